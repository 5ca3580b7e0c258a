"""Checks of what a caller passes for a run: seeds, record, initial parameters and start."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from gatedlib._internal.validation import as_real_array, refusal, require, require_finite, require_integer, to_plain
from gatedlib.model.checks import require_concrete
from gatedlib.model.experiment import Experiment, code_of
from gatedlib.model.networks import Params
from gatedlib.simulation import record as rec

Seeds = int | Sequence[int] | np.ndarray
"""A number of seeds, or which."""

RESERVED = {"teachers", "final_weights", "final_gates", "component", "active_task", "settings", "swept"} | {
    *("seed", "time", "step", "task", "class", "path", "hidden", "weight", "out", "in", "other_path", "other_hidden"),
    *("block", "block_start", "block_stop", "block_task"),
}
"""Names of axes, of tables and of what results hold whatever was recorded."""


def checked_seeds(seeds: Seeds) -> np.ndarray:
    """The seeds that a number or a list asks for."""
    require_concrete({"seeds": seeds}, "a run")
    remedy = "Ask for a number such as 10, or for a list such as [0, 1, 2]"
    plain = to_plain(seeds)
    if isinstance(plain, int):
        count = require_integer("seeds", plain, 1, remedy)
        return np.arange(count)
    flat = isinstance(plain, tuple) and not any(isinstance(seed, tuple) for seed in plain)
    require(flat, "seeds", seeds, "must be a number or a list of numbers", remedy)
    require(len(plain) > 0, "seeds", list(plain), "must hold at least one seed", remedy)
    for seed in plain:
        require_integer("seed", seed, 0, remedy)
    require(len(set(plain)) == len(plain), "seeds", list(plain), "must not repeat a seed", remedy)
    return np.asarray(plain)


def checked_start(start: int, steps: int) -> int:
    """The number of steps that were taken before a run of this many steps."""
    start = require_integer("start", start, 0, "Use the steps of the run before, such as int(first.block_stop[-1])")
    rule = f"a run of {steps} steps from there ends above 2**31"
    require(start + steps < 2**31, "start", start, rule, "Use an earlier one")
    return start


def as_record(record: Iterable[rec.Quantity]) -> tuple[rec.Quantity, ...]:
    """The record as a tuple."""
    name, rule = getattr(record, "name", None), "must be a list of quantities"
    require(not isinstance(record, rec.Quantity), "record", name, rule, f"Write record=(gl.record.{name},)")
    quantities = to_plain(record)
    require(isinstance(quantities, tuple), "record", record, rule, "Leave it out for the default record")
    return quantities


def checked_record(record: Iterable[rec.Quantity], every: int, steps: int) -> tuple[tuple[rec.Quantity, ...], int]:
    """The record, and the steps from one frame to the next, for a run of this many steps."""
    record = as_record(record)
    for quantity in record:
        if not isinstance(quantity, rec.Quantity):
            remedy = "Use those of gatedlib.record, or make one with @gatedlib.record.quantity"
            raise refusal("record", quantity, "must be made of quantities", remedy)
    names = [quantity.name for quantity in record]
    require(len(set(names)) == len(names), "record", names, "must not repeat a name", "Rename one")
    taken = sorted(set(names) & RESERVED)
    require(not taken, "record", taken, "must leave out names that results have already", "Rename them")
    require(len(names) > 0, "record", names, "must keep something", "Leave it out for the default record")
    every = require_integer("every", every, 1, "Use 1 to keep every step")
    if steps % every:
        divisors = [n for n in range(1, steps + 1) if steps % n == 0]
        near = sorted(sorted(divisors, key=lambda n: abs(n - every))[:2])
        rule, remedy = f"must divide the number of steps, {steps}", f"Use {' or '.join(map(str, near))}"
        raise refusal("every", every, rule, remedy)
    return record, every


def code_to_run(experiment: Experiment, record: tuple[rec.Quantity, ...]) -> list[Any]:
    """What a user wrote of what a run compiles: classes of parts, and functions of quantities."""
    own = [q.fn for q in record if not (getattr(q.fn, "__module__", None) or "").startswith("gatedlib.simulation.")]
    return [*code_of(experiment), *own]


def checked_initial(initial: Params, experiment: Experiment, seeds: np.ndarray) -> Params:
    """Initial parameters with a seed axis, after a check of whose they are and of their shapes."""
    if not isinstance(initial, Params):
        remedy = "Write gatedlib.Params(weights, gates), or use gatedlib.results.final_params"
        raise refusal("initial", initial, "must be Params", remedy)
    asked = seeds.tolist()
    owners = getattr(initial, "seeds", asked)  # final_params notes them, Params of a user's own have none
    if owners != asked:
        rule = f"these networks have learned the teachers of their own seeds, and would go on under those of {asked}"
        remedy = f"Use seeds={owners}, or initial=gatedlib.Params(*initial) if other teachers are meant"
        raise refusal("seeds of initial", owners, rule, remedy)
    require_concrete({"initial": initial}, "a run")
    leaves = {}
    for name, shape in experiment.network.shapes(*experiment.sizes).items():
        remedy = "Compare network.shapes(d_out, d_in)"
        leaf = np.asarray(as_real_array(f"initial {name}", getattr(initial, name), remedy), float)
        if leaf.shape not in (shape, (len(seeds), *shape)):
            rule = f"must be {shape}, or {(len(seeds), *shape)} with one set per seed"
            raise refusal(f"shape of initial {name}", leaf.shape, rule, remedy)
        require_finite(f"initial {name}", leaf)
        leaves[name] = np.broadcast_to(leaf, (len(seeds), *shape))
    return Params(**leaves)
