"""Numbers that are not finite: which was the first, and what to say of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from gatedlib._internal.validation import refusal
from gatedlib.simulation.spec import RunSpec


class DivergenceError(ValueError):
    """A run left the finite numbers because its step is too long for its time constants."""


class NonFinite(NamedTuple):
    """A value that is nan or inf: at which frame or step, of which quantity, and in which cell and seed (by index)."""

    when: int
    name: str
    cell: int
    seed: int


def first_nonfinite(values: Mapping[str, Any]) -> NonFinite | None:
    """The earliest value that is not finite, in arrays with the axes cell, seed, frame and those of the quantity."""
    first = []
    for name, value in values.items():
        bad = ~np.isfinite(value).reshape(*value.shape[:3], -1).all(-1)
        if bad.any():
            when = int(bad.any((0, 1)).argmax())  # argmax of booleans: the first that is true
            cell, seed = np.unravel_index(int(bad[..., when].argmax()), bad.shape[:2])
            first.append(NonFinite(when, name, int(cell), int(seed)))
    return min(first, key=lambda value: value.when, default=None)


def raise_nonfinite(value: NonFinite, spec: RunSpec) -> None:
    """Say that a quantity is not finite, though weights and gates are."""
    time, run = value.when * _dt(value, spec), spec.run_name(value.cell, value.seed)
    rule = f"is nan or inf at time {time:.6g} ({run}), where weights and gates are not"
    raise refusal("quantity", value.name, rule, "Remove nan and inf from what it gives")


def raise_divergence(value: NonFinite, spec: RunSpec) -> None:
    """Say that a run diverged."""
    dt, run = _dt(value, spec), spec.run_name(value.cell, value.seed)
    raise DivergenceError(
        f"{value.name} = nan or inf at time {value.when * dt:.6g} (step {value.when}, {run}): the run diverged, its "
        f"step is too long for its time constants. Reduce dt (now {dt:g}), or raise tau_w and tau_c."
    )


def _dt(value: NonFinite, spec: RunSpec) -> float:
    return float(spec.cells[value.cell].experiment.flow.dt)
