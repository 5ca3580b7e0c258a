"""Fields check their values when a part is made, and only then; names that changed say what they are called now."""

import pickle

import cloudpickle
import jax
import jax.numpy as jnp
import pytest

import gatedlib as gl
from gatedlib.model.fields import Part, checked, integer, nonnegative, one_of, positive


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
