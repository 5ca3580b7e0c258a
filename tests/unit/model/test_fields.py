"""Fields check their values when a part is made, and only then; names that changed say what they are called now."""

import pickle

import cloudpickle
import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import gatedlib as gl
from gatedlib.model.fields import Part, checked, integer, nonnegative, one_of, positive
from tests.examples import small


class Everything(Part):
    rate: float = positive(remedy="Use 1.0")
    size: int = integer(at_least=2, remedy="Use 2")
    kind: str = one_of("a", "b", default="a", remedy="Use a")
    cost: float | None = nonnegative(default=None, remedy="Leave it out")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rate": 0}, "rate = 0: must be a number above 0, and finite. Use 1.0."),
        ({"size": 1}, "size = 1: must be a whole number, 2 or above. Use 2."),
        ({"kind": "c"}, "kind = 'c': must be 'a' or 'b'. Use a."),
        ({"cost": -1.0}, "cost = -1.0: must be a finite number, 0 or above. Leave it out."),
        ({"rate": None}, "rate = None: must be a number above 0, and finite. Use 1.0."),
    ],
)
def test_a_field_refuses_by_its_own_name(settings, message):
    with pytest.raises(ValueError) as refusal:  # noqa: PT011
        Everything(**{"rate": 1.0, "size": 2, **settings})
    assert str(refusal.value) == message


def test_a_field_of_a_base_class_keeps_its_rule_and_its_default():
    class Derived(Everything):
        more: float = positive(default=2.0, remedy="Use 2.0")

    made = Derived(jnp.array(3.0), 2)
    assert (made.rate, made.kind, made.cost, made.more) == (3.0, "a", None, 2.0)
    with pytest.raises(ValueError, match="size = 0: must be a whole number, 2 or above"):
        Derived(1.0, 0)


class OtherPull(gl.Nonnegative):
    a: float = 0.1


class OtherNorm(gl.UnitNorm):
    ord: int = eqx.field(static=True, default=2)


class OtherFlow(gl.Flow):
    tau_c: float
    dt: float = eqx.field(converter=float, default=0.01)


class OtherBatch(gl.Sampled):
    batch: int = eqx.field(static=True, default=50)


class OtherTeachers(gl.Correlated):
    correlation: float = 0.2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OtherPull(-1.0), "a = -1.0: must be a finite number, 0 or above"),
        (lambda: OtherPull().__class__(a="x"), "a = 'x': must be a finite number, 0 or above"),
        (lambda: OtherNorm(1.0, ord=3), "ord = 3: must be 1 or 2"),
        (lambda: OtherFlow(tau_w=1.0, tau_c=-5.0), "tau_c = -5.0: must be a number above 0"),
        (lambda: OtherFlow(tau_w=1.0, tau_c=1.0, dt=-1), "dt = -1.0: must be a number above 0"),
        (lambda: OtherBatch(-5), "batch = -5: must be a whole number, 1 or above"),
        (lambda: OtherTeachers(correlation="a"), "correlation = 'a': must be a"),
        (lambda: small(penalties=(OtherPull(),)).replace(a=-2.0), "a = -2.0: must be a finite number"),
        (
            lambda: gl.sweep(small(penalties=(OtherPull(),)), seeds=1, a=[0.1, -1.0]),
            r"in the cell a = -1: a = -1\.0: must be a finite number, 0 or above",
        ),
    ],
)
def test_a_field_that_is_declared_again_keeps_its_rule(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_field_that_is_declared_again_has_its_own_default():
    made = OtherFlow(tau_w=1.0, tau_c=2)
    assert (OtherPull().a, OtherNorm(1.0).ord, OtherBatch().batch, made.dt, made.tau_c) == (0.1, 2, 50, 0.01, 2.0)
    assert OtherTeachers().correlation == 0.2

    class Looser(Everything):
        kind: str = checked(lambda name, value: None, static=True, default="z")  # a rule of its own

    assert Looser(1.0, 2).kind == "z"


def test_rules_of_fields_come_before_rules_between_them():
    with pytest.raises(ValueError, match="d_in = 'many': must be a whole number"):
        gl.Orthogonal(d_in="many")


def test_what_jax_makes_anew_is_not_checked_again():
    part = Everything(1.0, 2)
    assert jax.tree.map(lambda leaf: -leaf, part).rate == -1.0
    assert jax.grad(lambda part: part.rate**2)(part).rate == 2.0


def test_one_is_not_true():
    with pytest.raises(ValueError, match="per_neuron = 1: must be True or False"):
        gl.UnitNorm(1.0, per_neuron=1)


class Ruled(Part):
    even: int = checked(lambda name, value: None, default=2)


@pytest.mark.parametrize("send", [pickle, cloudpickle])
def test_parts_are_sent_to_other_processes(send):
    part = gl.GatedLinear(3)
    assert pickle.loads(send.dumps(part)) == part
    assert pickle.loads(send.dumps(Ruled())).even == 2


def test_old_names_hide_no_error_of_an_attribute():
    class Broken(gl.UnitNorm):
        @property
        def acts_on_weights(self):
            return self.typo

    with pytest.raises(AttributeError, match="typo"):
        Broken(1.0).acts_on_weights  # noqa: B018


def test_a_setting_may_be_called_slope():
    class Sloped(gl.Penalty):
        slope: float = 2.0

        def value(self, params):
            return self.slope * params.gates.sum()

    assert Sloped().slope == 2.0


def test_old_names_say_the_new_ones():
    with pytest.raises(AttributeError, match=r"slope is now called one_sided_gradient"):
        gl.UnitNorm(1.0).slope(jnp.ones(2), jnp.ones(2))
    with pytest.raises(AttributeError, match=r"of is now called base"):
        gl.Sums(gl.Orthogonal(), [(0.5, 0.5)]).of  # noqa: B018
    with pytest.raises(AttributeError, match=r"Own.slope is now called one_sided_gradient"):

        class Own(gl.Penalty):
            def slope(self, gates, side):
                return 0 * gates

            def value(self, params):
                return 0.0

    assert not hasattr(gl.UnitNorm(1.0), "strength")
