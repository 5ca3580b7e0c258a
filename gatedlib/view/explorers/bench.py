"""The bench: any experiment with gated linear networks that an explorer can run, and another one beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from gatedlib._internal.validation import refusal, require_integer
from gatedlib.analysis import metrics
from gatedlib.model.curricula import Blocked, RandomSwitches
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Noisy, Population
from gatedlib.model.networks import GatedLinear, NeuronGated, TwoLayer
from gatedlib.model.penalties import Nonnegative, UnitNorm
from gatedlib.model.teachers import Correlated, Orthogonal
from gatedlib.simulation import record
from gatedlib.simulation.simulate import simulate
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import Explorer, duration_of, flow_of, panels

STUDENTS: dict[Any, str] = {
    GatedLinear: "a gate per path",
    NeuronGated: "a gate per path and output",
    TwoLayer: "two layers",
}
CHOICES = {
    **{"made": "each of its own", "mix": "1 2 1+2"},
    **{"rare": 0.25, "round": "A1 B1 A0.5 B0.5", "network": 0, "criterion": 0.4},
}
"""What the bench begins with where an experiment does not say it."""

PARTS = "teachers", "network", "curriculum", "flow"
MOST = {"tasks": 5, "d_in": 60, "d_out": 12, "paths": 8, "hidden": 40, "draw": 49, "seeds": 50}


def bench(experiment: Experiment, seeds: int = 20) -> Explorer:
    """Ask a question of your own: change any setting, see many networks answer, keep one setting beside another.

    The page draws teachers, weights and samples by random numbers of its own, so that single networks are others than
    those of `simulate`, and what many do is the same.

    Args:
        experiment: what the bench begins with: `Orthogonal` or `Correlated` teachers of 2 to 5 tasks; `GatedLinear`,
            `NeuronGated` or `TwoLayer`; tasks in turn (`Blocked`) or at random moments (`RandomSwitches`); the
            penalties a and b; `Population()` or `Noisy(batch=1)`.
        seeds: how many networks learn at first, 1 to 50.

    Raises:
        ValueError: if a part is of another kind, or there are more tasks, paths or networks than there is room for.

    Example:
        >>> made = gl.explore.bench(experiment, seeds=8)
        >>> made.state["values"]["tasks"], made.state["values"]["student"]
        (2, 'a gate per path')

    Source: this library.
    """
    values = {**_settings_of(experiment), "seeds": require_integer("seeds", seeds, 1, "Use 20"), **CHOICES}
    for name, most in MOST.items():
        if values[name] > most:
            raise refusal(name, values[name], f"the bench has room for {most}", "Use gatedlib.simulate for more")
    results = simulate(experiment, [0], (record.loss, record.gates, record.alignment))
    figure, (loss, gates) = panels(2)
    plotting.loss(results, loss, color="#222222", linewidth=1)
    for gate, label in ((metrics.gate_on, "of the task on"), (metrics.gate_off, "others")):
        gates.plot(results.time, gate(results).isel(seed=0), label=label)
    gates.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2)  # above the curves
    for ax, name in ((loss, "loss"), (gates, "gates")):
        ax.set(xlabel="time", ylabel=name, xlim=(0, float(results.time[-1])))
        plotting.shade_blocks(results, ax, names=False)
    alt = "Loss, and the gate of the task that is on beside the others, of one network over its whole run."
    return Explorer("bench", {"values": values}, figure, alt, heights=(72, 121))


def _settings_of(experiment: Experiment) -> dict[str, Any]:
    """The settings of an experiment by the names that they have in bench.js."""
    _require_known(experiment)
    teachers, network, curriculum, flow = (getattr(experiment, part) for part in PARTS)
    tasks, d_out, d_in = teachers.shape
    layers, in_turn, settings = isinstance(network, TwoLayer), isinstance(curriculum, Blocked), flow_of(experiment)
    length = 1.0 if teachers.scale is None else float(teachers.scale) * d_in**0.5
    return {
        "tasks": tasks,
        "correlation": float(getattr(teachers, "correlation", 0.0)),
        "d_in": d_in,
        "d_out": d_out,
        "length": float(f"{length:.10g}"),
        "student": STUDENTS[type(network)],
        "paths": getattr(network, "paths", tasks),
        "hidden": getattr(network, "hidden", tasks * d_out),
        "gate_init": float(getattr(network, "gate_init", 0.5)),
        "gate_spread": 0.0 if layers else float(network.gate_spread),
        "layer_spread": float(network.gate_spread) if layers else 0.07,
        "weight_scale": float(network.weight_scale),
        "curriculum": "in turn" if in_turn else "at random moments",
        "block_length": float(curriculum.block_length if in_turn else curriculum.mean_length),
        "draw": int(getattr(curriculum, "draw", 0)),
        "duration": duration_of(experiment),
        **{name: settings[name] for name in ("tau_w", "tau_c", "a", "b")},
        "norm": str(settings["k"]),
        "inputs": "all at once" if isinstance(flow.inputs, Population) else "single noisy samples",
        "noise": float(getattr(flow.inputs, "noise", 0.5)),
        "dt": settings["dt"],
    }


def _require_known(experiment: Experiment) -> None:
    """Require parts of the kinds that bench.js knows."""
    flow = experiment.flow
    for name, part, kinds in (
        ("teachers", experiment.teachers, (Orthogonal, Correlated)),
        ("network", experiment.network, tuple(STUDENTS)),
        ("curriculum", experiment.curriculum, (Blocked, RandomSwitches)),
        ("inputs", flow.inputs, (Population, Noisy)),
        *(("penalty", penalty, (Nonnegative, UnitNorm)) for penalty in flow.penalties),
    ):
        if type(part) not in kinds:  # a subclass may do something else
            names = ", ".join(kind.__name__ for kind in kinds)
            raise refusal(name, type(part).__name__, f"the bench knows {names}", "Use gatedlib.simulate for others")
    tasks, plan = experiment.teachers.shape[0], experiment.schedule()
    if tasks < 2:
        raise refusal("tasks", tasks, "must be two or more, to switch between", "Use tasks=2")
    in_turn = isinstance(experiment.curriculum, Blocked)
    order = plan.block_tasks[:tasks] if in_turn else np.unique(plan.block_tasks)
    if not np.array_equal(order, range(tasks)):
        rule = f"must be all {tasks} tasks, in turn or at random moments"
        raise refusal("tasks in the curriculum", order.tolist(), rule, f"Use order=range({tasks}), or tasks={tasks}")
    if isinstance(flow.inputs, Noisy) and flow.inputs.batch != 1:
        raise refusal("batch", flow.inputs.batch, "the bench has single samples, or all inputs", "Use Noisy(batch=1)")
    if any(isinstance(penalty, UnitNorm) and penalty.per_neuron for penalty in flow.penalties):
        raise refusal("per_neuron", True, "the bench has one norm of all gates", "Use UnitNorm(b)")
