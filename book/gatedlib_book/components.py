"""Components: the experiments and the claims of the paper's Fig. A.14, and what decides them."""

from __future__ import annotations

import itertools

import numpy as np
import xarray as xr

import gatedlib as gl
from gatedlib import metrics, record
from gatedlib_book import invariant
from gatedlib_book.cache import cached
from gatedlib_book.claims import Measured, claim
from gatedlib_book.estimates import Estimate, Numbers, along, exact, fraction, median
from gatedlib_book.experiments import TASKS, halves
from gatedlib_book.forms import GATE_SPREAD, earlier
from gatedlib_book.networks import networks

FOLLOWED = 50
"""How many networks are followed through their training."""

COUNTED = 300
"""Of how many we count those that find the components: enough to tell whether more than three of four do."""

HIDDEN_RELEASED = TASKS.replace(
    tau_w=0.05,
    a=0.333,
    b=1.667,
    dt=2e-3,
    curriculum=gl.Blocked(blocks=50, order=(3, 4, 5)),
    inputs=gl.Population(),
)
"""Fig. A.14 in the released form: trained on (A + B) / 2, (B + C) / 2 and (C + A) / 2 only."""

HIDDEN = earlier(HIDDEN_RELEASED, GATE_SPREAD)
"""Fig. A.14 in the form that drew it."""

FOUND_ALIGNMENT = 0.9
"""Components count as found if the matched alignment is above this, as it is in the published picture."""

Course = tuple[float, float, float]

COURSES: tuple[Course, ...] = (
    *((10.0, 0.02, 8**-0.5), (20.0, 0.02, 8**-0.5), (40.0, 0.02, 8**-0.5)),
    *((15.0, 0.03, 0.3), (30.0, 0.03, 0.3)),
)
"""Networks whose course is followed: v, how many times as fast as weights gates are; tau_c; length of the rows."""

CLOCKED = 100
"""How many networks tell when paths pass by the components."""

FINAL_AGE = 24
"""Up to which age networks are followed, in blocks over v."""


def aligned(results: xr.Dataset) -> xr.DataArray:
    """Alignment of paths with components, matched anew at every time, dims seed and time."""
    return _best_alignment(metrics.components(results).alignment)


def _best_alignment(alignment: xr.DataArray) -> xr.DataArray:
    """The mean alignment of tasks, each with another path, for the best choice of paths at every time."""
    scores = alignment.transpose("seed", "time", "task", "path").values
    tasks, paths = (np.arange(size) for size in scores.shape[2:])
    choices = itertools.permutations(paths, len(tasks))
    best = np.max([scores[:, :, tasks, choice].mean(-1) for choice in choices], 0)
    return xr.DataArray(best, {"seed": alignment.seed, "time": alignment.time}, ("seed", "time"), name="aligned")


@cached
def run(experiment: gl.Experiment = HIDDEN, seeds: int = FOLLOWED) -> xr.Dataset:
    """Loss, gates, alignment and spread, a hundred times in a block."""
    every = round(0.01 / experiment.flow.dt)
    keep = (record.loss, record.gates, record.alignment, record.weight_products)
    return gl.simulate(experiment, networks(seeds), keep, every=every)


@cached
def finds_components(experiment: gl.Experiment) -> xr.DataArray:
    """Whether paths are the components at the end of a run, dims seed."""
    every = round(0.01 / experiment.flow.dt)
    results = gl.simulate(experiment, networks(COUNTED), (record.alignment,), every=every)
    last = results.isel(time=slice(-1, None))
    return metrics.alignment_matched(last).isel(time=0, drop=True) > FOUND_ALIGNMENT


def at_speed(v: float, tau_c: float, scale: float, blocks: int) -> gl.Experiment:
    r"""The experiment of Fig. A.14 with gates v times as fast as weights.

    .. math::

        v = \frac{\|W^*\|_F^2 / \tau_c}{1 / \tau_w} = \frac{\tau_w\, s^2 d_\mathrm{out}}{\tau_c}
    """
    tau_w = v * tau_c / (HIDDEN_RELEASED.sizes[0] * scale**2)
    curriculum = gl.Blocked(blocks=blocks, order=(3, 4, 5))
    return HIDDEN_RELEASED.replace(tau_w=tau_w, tau_c=tau_c, scale=scale, dt=5e-3, curriculum=curriculum)


@cached
def course(
    v: float,
    tau_c: float = 0.02,
    scale: float = 8**-0.5,
    *,
    blocks: int | None = None,
    seeds: int = FOLLOWED,
    ord: int = 1,
) -> xr.Dataset:
    """`aligned` and `spread` at the start of every block, against `age`, the number of blocks over v."""
    experiment = at_speed(v, tau_c, scale, round(FINAL_AGE * v) + 1 if blocks is None else blocks).replace(ord=ord)
    block = round(1 / experiment.flow.dt)
    results = gl.simulate(experiment, networks(seeds), (record.alignment, record.weight_products), every=block)
    data = xr.Dataset({"aligned": aligned(results), "spread": metrics.specialization(results)})
    return data.assign_coords(age=("time", np.arange(data.sizes["time"]) / v)).swap_dims(time="age").drop_vars("time")


@cached
def shrinking(dt: float) -> xr.Dataset:
    """What becomes of triangles with v = 10 that pass the components, in steps of this length, dims seed.

    The `lowest` alignment after that, the age at which they come `back`, and the largest `rise` of a pair's invariant,
    over tau_w and the squared distance of two components.
    """
    v = COURSES[0][0]
    keep = (record.gates, record.alignment, record.weight_products)
    experiment = at_speed(*COURSES[0], blocks=round(40 * v) + 1).replace(dt=dt)
    results = gl.simulate(experiment, networks(20), keep, every=round(1 / dt))
    # components are at a squared distance of 2 v tau_c / tau_w from each other
    rise = invariant.rise(results) / (2 * v)
    alignment = aligned(results)
    alignment = alignment.assign_coords(time=np.arange(alignment.sizes["time"]) / v)
    after, next_round = alignment.sel(time=slice(12, 25)), alignment.sel(time=slice(25, None))
    back = next_round.idxmax("time")
    return xr.Dataset({"lowest": after.min("time"), "back": back, "rise": rise})


def on_the_way(spread: np.ndarray) -> np.ndarray:
    r"""The alignment of paths with components if every composite lies on an edge of the triangle of paths.

    .. math::

        \cos = \sqrt{\frac{1 + 2 \sigma}{3}}, \qquad \tfrac14 \le \sigma \le 1

    with :math:`\sigma` the squared distance of paths relative to that of components: 1/4 for paths that are the
    composites (0.707), 1 for paths that are the components (1), in a triangle with equal sides.
    """
    return np.sqrt((1 + 2 * np.asarray(spread)) / 3)


def _numbers(experiment: gl.Experiment) -> Numbers:
    results = run(experiment)
    last, widest = results.isel(time=slice(-1, None)), results.gates.max("path")
    matched, crossed = metrics.alignment_matched(last).isel(time=0), metrics.alignment_crossed(last).isel(time=0)
    return Numbers(
        component_alignment_matched=median(matched),
        component_alignment_crossed=median(crossed),
        found_fraction=fraction(finds_components(experiment)),
        first_loss=median(results.loss.isel(time=0)),
        largest_gate_by_block=median(
            metrics.per_block(widest, results, lambda gates: gates.mean(-1)).sel(block=slice(1, 3))
        ),
        end_loss=median(metrics.last(metrics.end_loss(results), 3)),
    )


@claim(
    "A.14",
    "A.14",
    published={"first_loss": 0.25, "largest_gate_by_block": [0.87, 0.90, 0.87]},
    form="earlier",
    note="With gates that begin equal more networks do. They are found for a while only: see A.14-clock.",
    counterfactual={"experiment": HIDDEN_RELEASED},
)
def hidden(experiment: gl.Experiment = HIDDEN) -> Measured:
    """In the form that drew the figure: trained on composites only, the network finds their hidden components.

    Alignment of paths with A, B and C after 50 blocks of their means, gates spread by 0.1 at the start, or equal.
    """
    n = _numbers(experiment)
    n["found_fraction_equal_gates"] = fraction(finds_components(experiment.replace(gate_spread=0.0)))
    return n, {
        "matched alignment is {} in the typical network": n.component_alignment_matched > FOUND_ALIGNMENT,
        "crossed alignment is {}": n.component_alignment_crossed < 0.2,
        "the fraction of networks that find them is {}": n.found_fraction >= 0.75,
    }


@claim(
    "A.14-released",
    "A.14",
    note="There gates are slower than weights, and paths stay alike.",
    counterfactual={"experiment": HIDDEN},
)
def hidden_released(experiment: gl.Experiment = HIDDEN_RELEASED) -> Measured:
    """In the released form networks do not find the components, nor does the released code.

    The same in the released form; and how far apart paths are in the end.
    """
    n = _numbers(experiment)
    n["specialization"] = median(metrics.specialization(run(experiment)).isel(time=-1))
    return n, {
        "the fraction of networks that find them is {}": n.found_fraction < 0.02,
        "for paths do not part: specialization is {}": n.specialization < 0.05,
    }


@claim("A.14-clock", "A.14", as_given=False, counterfactual={"ord": 2})
def clock(courses: tuple[Course, ...] = COURSES, ord: int = 1) -> Measured:
    """Paths pass by the components after some 10 v blocks, for gates v times as fast as weights.

    Alignment at three ages (blocks / v) for v from 10 to 40; and v = 1, for 400 blocks.
    """
    speeds = [v for v, *_ in courses]
    followed = [course(*settings, ord=ord, seeds=CLOCKED).aligned for settings in courses]

    def at(age: float) -> Estimate:
        return median(along("speed", speeds, [a.sel(age=age, method="nearest", drop=True) for a in followed]))

    n = Numbers(
        speed=exact(speeds),
        alignment_after_v_blocks=at(1),
        alignment_after_10_v_blocks=at(10),
        alignment_after_24_v_blocks=at(FINAL_AGE),
        found_fraction_ever_at_speed_1=fraction(
            (course(1.0, blocks=400, ord=ord).aligned > FOUND_ALIGNMENT).any("age")
        ),
    )
    return n, {
        "after v blocks the alignment of the typical network is {}": n.alignment_after_v_blocks < FOUND_ALIGNMENT,
        "after 10 v blocks it is {}": n.alignment_after_10_v_blocks > FOUND_ALIGNMENT,
        "after 24 v blocks it is {}": n.alignment_after_24_v_blocks < 0.95,
        "v = 1: the fraction of networks that find them within 400 blocks is {}": n.found_fraction_ever_at_speed_1
        < 0.1,
    }


Pairs = tuple[tuple[int, int], ...]


def ring(parts: int) -> Pairs:
    """Each part together with the next one, and the last with the first."""
    return tuple((part, (part + 1) % parts) for part in range(parts))


WHOLES: dict[str, Pairs] = {
    "ring of three": ring(3),
    "ring of four": ring(4),
    "ring of five": ring(5),
    "ring of four, one more pair": (*ring(4), (0, 2)),
    "all pairs of four": tuple(itertools.combinations(range(4), 2)),
}
"""Sets of wholes: which pairs of parts are on, in this order. The first is that of Fig. A.14."""

COMPARED = 150
"""How many networks are trained on each set of wholes."""


def wholes(pairs: Pairs, spare_paths: int = 0, gate_spread: float = GATE_SPREAD) -> gl.Experiment:
    """Training on the means of pairs of parts in turn, with gates ten times as fast as weights, for 120 blocks.

    Further tasks, which are never on, are the mirror images of the parts: each reflected at the mean of all of them.
    """
    parts = 1 + max(itertools.chain(*pairs))
    mirror_images = tuple(map(tuple, (2 / parts - np.eye(parts)).tolist()))
    order = tuple(range(parts, parts + len(pairs)))
    return at_speed(*COURSES[0], blocks=1).replace(
        teachers=gl.Sums(
            gl.Orthogonal(tasks=parts, d_in=30, d_out=6, scale=COURSES[0][2]), (*halves(pairs, parts), *mirror_images)
        ),
        network=gl.GatedLinear(parts + spare_paths, gate_spread=gate_spread),
        curriculum=gl.Blocked(blocks=120, order=order),
        dt=4e-3,
    )


@cached
def shown(experiment: gl.Experiment) -> xr.Dataset:
    """At the start of each block, how well paths align with the parts and with their mirror images; and the gates."""
    keep = (record.alignment, record.gates)
    results = gl.simulate(experiment, networks(COMPARED), keep, every=round(1 / experiment.flow.dt))
    parts = metrics.components(results).sizes["task"]
    mirrored = _best_alignment(results.alignment.isel(task=slice(-parts, None)))
    return xr.Dataset({"aligned": aligned(results), "mirrored": mirrored, "gates": results.gates})


def _at_end(alignment: xr.DataArray) -> Estimate:
    """The fraction of networks whose paths are aligned in the end."""
    return fraction(alignment.isel(time=-1, drop=True) > FOUND_ALIGNMENT)


def _ever(alignment: xr.DataArray) -> Estimate:
    """The fraction of networks whose paths are aligned at some time."""
    return fraction((alignment > FOUND_ALIGNMENT).any("time"))


@claim("wholes", counterfactual={"even": WHOLES["all pairs of four"]})
def even_ring(even: Pairs = WHOLES["ring of four"]) -> Measured:
    """Wholes that span less than their parts hide them; wholes that span them need not show them.

    Which fraction of networks align with the parts at any time in 120 blocks of pairs of parts, by set of wholes.
    """
    found = {name: _ever(shown(wholes(pairs)).aligned) for name, pairs in WHOLES.items()}
    hidden_parts = shown(wholes(even)).aligned
    n = Numbers(
        found_fraction_ring_of_three=found["ring of three"],
        found_fraction_even_ring=_ever(hidden_parts),
        highest_alignment_even_ring=exact(hidden_parts.max()),
        found_fraction_ring_of_five=found["ring of five"],
        found_fraction_one_more_pair=found["ring of four, one more pair"],
    )
    return n, {
        "a ring of three shows the parts at some time to a fraction of {}": n.found_fraction_ring_of_three > 0.9,
        "a ring of four, whose wholes span less than four parts, to {}": n.found_fraction_even_ring < 0.05,
        "its highest alignment, of all networks and times, is {}": n.highest_alignment_even_ring < 0.87,
        "a ring of five, whose wholes span all parts, to {}": n.found_fraction_ring_of_five < 0.15,
        "a ring of four with one more pair, which do so too, to {}": n.found_fraction_one_more_pair < 0.3,
    }


@claim("mirror", counterfactual={"pairs": WHOLES["ring of four, one more pair"]})
def mirror(pairs: Pairs = WHOLES["all pairs of four"]) -> Measured:
    """Networks that see all pairs of four parts find the parts or their mirror images, and which depends on the start.

    Fractions of networks that align with either after 120 blocks, gates spread by 0.1 at the start, or equal.
    """
    spread, equal = shown(wholes(pairs)), shown(wholes(pairs, gate_spread=0.0))
    n = Numbers(
        found_fraction=_at_end(spread.aligned),
        mirrored_fraction=_at_end(spread.mirrored),
        either_fraction=_at_end(np.maximum(spread.aligned, spread.mirrored)),
        found_fraction_equal_start=_at_end(equal.aligned),
        mirrored_fraction_equal_start=_at_end(equal.mirrored),
        either_fraction_equal_start=_at_end(np.maximum(equal.aligned, equal.mirrored)),
    )
    return n, {
        "gates that begin unequal: a fraction of {} finds the parts": n.found_fraction > 0.6,
        "gates that begin equal: {} find the mirror images": n.mirrored_fraction_equal_start > 0.5,
        "with unequal gates {} find either": n.either_fraction > 0.8,
        "and with equal gates {}": n.either_fraction_equal_start > 0.8,
    }


@claim("spare", counterfactual={"spare_paths": 0, "pairs": WHOLES["ring of four"]})
def spare_path(spare_paths: int = 1, pairs: Pairs = WHOLES["ring of three"]) -> Measured:
    """A spare path does not hide the parts: some three of four paths are the parts, and the fourth is in use too.

    Four paths for the wholes of Fig. A.14: alignment after 120 blocks; gates at the ends of the last three blocks.
    """
    trained = shown(wholes(pairs, spare_paths))
    widest = trained.gates.isel(time=slice(-3, None)).max("time")
    n = Numbers(
        found_fraction_without_spare=_at_end(shown(wholes(pairs)).aligned),
        found_fraction=_at_end(trained.aligned),
        largest_gate_of_least_used_path=median(widest.min("path")),
    )
    return n, {
        "a fraction of {} finds the parts": n.found_fraction > 0.85,
        "the path that opens least has a gate of {} at the end of some block": n.largest_gate_of_least_used_path > 0.2,
    }
