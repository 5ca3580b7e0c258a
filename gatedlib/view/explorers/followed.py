"""An explorer of choices that somebody made: gates follow them, trial by trial."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatedlib._internal.validation import as_float_array, refusal, require
from gatedlib.analysis.trials import gates_after
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, panels

STEEPNESS, REPEAT = 8.0, 2.0
"""How strongly gates decide at first, and how strong the tendency to repeat a choice is."""


def choices(
    chosen: Any,
    outcomes: Any,
    right: Any = None,
    names: tuple[str, ...] | None = None,
    tau_c: float = 0.5,
    b: float = 10.0,
) -> Explorer:
    """Choices between two options, and gates that follow them; move speed, bound and noise, and see how well they fit.

    Args:
        chosen: the option chosen in each trial, 0 or 1, axes (series, trial).
        outcomes: whether it was rewarded, 1 or 0, the same axes.
        right: the option that was the better one, the same axes, to shade the trials by; None if it is not known.
        names: what each series is called; `series 1` and so on unless given.
        tau_c: time constant of the gates at first, in trials, from 0.05 to 20.
        b: strength of the bound on their sum at first.

    Raises:
        ValueError: if anything but 0 and 1 is among them, shapes differ, or there is not one name for each series.

    Example:
        >>> made = gl.explore.choices(chosen=[[0, 0, 1]], outcomes=[[1, 0, 1]])
        >>> made.state["chosen"]
        ['001']

    Source: this library.
    """
    table = _of_two("chosen", chosen, None)
    rewards = _of_two("outcomes", outcomes, table.shape)
    better = None if right is None else _of_two("right", right, table.shape)
    names = tuple(f"series {number + 1}" for number in range(len(table))) if names is None else tuple(names)
    rule = f"must be {len(table)} different ones, one for each series"
    require(len(set(names)) == len(names) == len(table), "names", names, rule, "Leave them out")
    gates = np.full((table.shape[1] + 1, 2), 0.5)
    for trial, (choice, outcome) in enumerate(zip(table[0], rewards[0], strict=True)):
        gates[trial + 1] = gates_after(gates[trial], np.eye(2)[choice], outcome, tau_c, b)
    figure, (left, right_panel) = panels(2)
    trials = np.arange(1, table.shape[1] + 1)
    for option in (0, 1):
        color, made = plotting.task_color(option), table[0] == option
        for rewarded, alpha in ((1, 1.0), (0, 0.3)):
            shown = made & (rewards[0] == rewarded)
            left.vlines(trials[shown], 1 - option, 1.8 - option, color=color, alpha=alpha)
        right_panel.plot(trials, gates[:-1, option], color=color, label=f"for {plotting.task_name(option)}")
    left.set(yticks=(0.4, 1.4), yticklabels=("B", "A"), xlabel="trial", title="choices, pale if not rewarded")
    right_panel.set(xlabel="trial", title="gates before each choice")
    right_panel.legend(frameon=True, framealpha=0.9)
    state = {
        "names": list(names),
        "chosen": _digits(table),
        "outcomes": _digits(rewards),
        "right": None if better is None else _digits(better),
        "values": {"series": names[0], "tau_c": float(tau_c), "b": float(b), "steepness": STEEPNESS, "repeat": REPEAT},
        "code": """import numpy as np

import gatedlib as gl

# chosen and outcomes are those that were given to the explorer
gates, before, surprise = np.array([0.5, 0.5]), None, 0.0
for choice, outcome in zip(chosen[{series}], outcomes[{series}]):
    drive = {steepness} * gates
    if before is not None:
        drive[before] += {repeat}
    surprise += np.log(np.exp(drive).sum()) - drive[choice]
    gates = gl.trials.gates_after(gates, np.eye(2)[choice], outcome, tau_c={tau_c}, b={b})
    before = choice
print(f"{surprise:.1f} nats")
""",
    }
    alt = "Choices between two options in a row of trials, and beside them the two gates that follow these choices."
    return Explorer("choices", state, figure, alt, heights=(40, 52))


def _of_two(name: str, values: Any, shape: tuple[int, ...] | None) -> np.ndarray:
    """A table of zeros and ones, of a given shape."""
    table = as_float_array(name, values)
    if table.ndim != 2 or table.size == 0 or shape not in {None, table.shape}:
        rule = "must be (series, trial)" + ("" if shape is None else f", {shape} as of the choices")
        raise refusal(f"shape of {name}", table.shape, rule, "Give one row of trials for each series")
    others = int(np.sum((table != 0) & (table != 1)))
    require(others == 0, f"entries of {name} that are neither 0 nor 1", others, "must be none", "Number options from 0")
    return table.astype(int)


def _digits(table: np.ndarray) -> list[str]:
    return ["".join(map(str, row)) for row in table.tolist()]
