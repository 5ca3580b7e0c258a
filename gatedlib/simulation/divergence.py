"""Numbers that are not finite: which was the first, and what to say of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gatedlib._internal.validation import refusal


class DivergenceError(ValueError):
    """A run left the finite numbers because its step is too long for its time constants."""


class Fault(NamedTuple):
    """A number that is not finite: at which frame or step, which, and in the run of which seed and cell."""

    when: int
    name: str
    run: tuple[int, ...]


def first_nonfinite(values: dict[str, Any], runs: int = 2) -> Fault | None:
    """The earliest value that is not finite; the first so many axes are those of runs, and the next counts frames."""
    faults = []
    for name, value in values.items():
        bad = ~np.isfinite(value).reshape(*value.shape[: runs + 1], -1).all(-1)
        if bad.any():
            when = int(bad.any(tuple(range(runs))).argmax())
            run = np.unravel_index(int(bad[..., when].argmax()), bad.shape[:runs])
            faults.append(Fault(when, name, tuple(map(int, run))))
    return min(faults, key=lambda fault: fault.when, default=None)


def raise_nonfinite(fault: Fault, dt: float, run: str) -> None:
    """Say that a quantity is not finite, though weights and gates are."""
    rule = f"is nan or inf at time {fault.when * dt:.6g} ({run}), where weights and gates are not"
    raise refusal("quantity", fault.name, rule, "Remove nan and inf from what it gives")


def raise_divergence(fault: Fault, dt: float, run: str) -> None:
    """Say that a run diverged."""
    raise DivergenceError(
        f"{fault.name} = nan or inf at time {fault.when * dt:.6g} (step {fault.when}, {run}): the run diverged, its "
        f"step is too long for its time constants. Reduce dt (now {dt:g}), or raise tau_w and tau_c."
    )
