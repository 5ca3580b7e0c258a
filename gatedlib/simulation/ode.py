r"""Learning in continuous time: what ever smaller steps tend to, from an adaptive solver that shares no code with them.

The penalties have kinks where a gate is zero. A gate that gets there either goes on to the other side, or is pushed
back from both sides and stays *pinned* at zero, until one of the two pushes gives way (Filippov's sliding). Steps of
`simulate` jitter about zero there; here each smooth segment is solved by itself, and ends where a gate reaches zero
or is released.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import ceil_div, fixed_jax_settings
from gatedlib._internal.validation import require, require_positive
from gatedlib.model.experiment import Experiment, require_penalties_on_gates, require_whole
from gatedlib.model.inputs import Population
from gatedlib.model.networks import GatedLinear, Params
from gatedlib.model.penalties import Penalty
from gatedlib.simulation import record as rec
from gatedlib.simulation.arguments import Seeds, checked_initial, checked_record, checked_seeds, code_to_run
from gatedlib.simulation.divergence import first_nonfinite, raise_nonfinite
from gatedlib.simulation.results import label
from gatedlib.simulation.spec import Cell, RunArrays, RunSpec

AT_ZERO = 1e-12
"""A gate this close to zero when another one reaches it has reached it too; a push this weak moves none."""

MAX_SEGMENTS = 1000
"""The most smooth segments that one block may have."""

MAX_EVALUATIONS = 100_000
"""The most evaluations of the right-hand side in a segment: where it jumps unannounced, steps shrink without end."""


@fixed_jax_settings()
def solve(
    experiment: Experiment,
    seeds: Seeds = 10,
    record: Iterable[rec.Quantity] = rec.DEFAULT,
    every: int = 1,
    initial: Params | None = None,
    rtol: float = 1e-9,
) -> xr.Dataset:
    r"""Run an experiment as a differential equation, in double precision and without steps of dt.

    .. math::

        \tau_w \dot W_p = c_p\,(W^*_m - A), \qquad
        \tau_c \dot c_p = \langle W_p, W^*_m - A \rangle - \frac{\partial R}{\partial c_p}

    solved by Runge-Kutta of order 8 (scipy's DOP853) with a relative tolerance of `rtol` and an absolute one a
    thousand times smaller, from kink to kink of the penalties. Seeds run one after another: for a few small networks.

    Args:
        experiment: what to run: one gate per path, all inputs at once, penalties on gates only.
        seeds: how many seeds (0, 1, …), or which.
        record: the quantities to keep; see `gatedlib.record`.
        every: keep one frame every so many steps of the experiment's dt, which has no other part here.
        initial: parameters to start from instead of random ones, as in `simulate`.
        rtol: relative tolerance of the solver.

    Returns:
        A dataset of the same form as that of `simulate`, in double precision.

    Raises:
        ValueError: as `simulate`, or if network, inputs or penalties are others than these, if a penalty's derivative
            jumps where a gate is zero without a `one_sided_gradient` that says so, or if rtol is not in [1e-12, 0.1].
        RuntimeError: if the solver cannot get on, as where a penalty's derivative jumps at another place than zero.

    Example:
        >>> exact, steps = gl.solve(experiment, seeds=1), gl.simulate(experiment, seeds=1)
        >>> bool(abs(exact.loss - steps.loss).max() < 0.01)
        True

    Source: this library. A. F. Filippov, Differential Equations with Discontinuous Righthand Sides, 1988.
    """
    require_whole(experiment, "solve")
    rtol = require_positive("rtol", rtol, "Use 1e-9")
    require(1e-12 <= rtol <= 0.1, "rtol", rtol, "must be from 1e-12 to 0.1", "Use 1e-9")
    _require_solvable(experiment)
    schedule = experiment.schedule()
    chosen = checked_seeds(seeds)
    record, every = checked_record(record, every, len(schedule.tasks))
    params = None if initial is None else checked_initial(initial, experiment, chosen)
    forget_if_changed(code_to_run(experiment, record))
    spec = RunSpec((Cell(experiment, schedule),), chosen, record, every, params)

    rhs = _RightHandSide.of(experiment)
    runs = [_solve_seed(spec, seed, rhs, rtol) for seed in range(len(chosen))]
    arrays = jax.tree.map(lambda *leaves: np.stack(leaves)[None], *runs)  # axes (cell, seed, …)
    nonfinite = first_nonfinite(arrays.frames)
    if nonfinite is not None:
        raise_nonfinite(nonfinite._replace(when=every * nonfinite.when), spec)
    return label(spec, arrays, made_by="solve")


def _require_solvable(experiment: Experiment) -> None:
    """Require an experiment whose flow is the one that is solved here."""
    for name, part, kind in (
        ("network", experiment.network, GatedLinear),
        ("inputs", experiment.flow.inputs, Population),
    ):
        rule, remedy = f"only {kind.__name__} can be solved", f"Use {kind.__name__}(), or simulate"
        require(type(part) is kind, name, type(part).__name__, rule, remedy)
    require_penalties_on_gates(
        experiment, "acts on weights, and only those on gates can be solved", "Leave it out, or simulate"
    )
    _require_known_kinks(experiment)


def _require_known_kinks(experiment: Experiment) -> None:
    """Require that penalties jump at zero as their slopes say: derivatives there are those of gates close by."""
    gates = np.full(experiment.network.shapes(*experiment.sizes)["gates"], 0.5)
    for penalty in experiment.flow.penalties:
        for path, side in np.ndindex(len(gates), 2):
            at_zero, close_by, sides = gates.copy(), gates.copy(), np.ones_like(gates)
            sides[path] = (1.0, -1.0)[side]
            at_zero[path], close_by[path] = 0.0, 1e-9 * sides[path]
            declared, measured = (np.asarray(penalty.one_sided_gradient(point, sides)) for point in (at_zero, close_by))
            rule = "its derivative jumps where a gate is zero, and its one_sided_gradient does not say so"
            remedy = (
                "Give it one_sided_gradient(gates, side), the derivative on each side, as Nonnegative has; or simulate"
            )
            same = np.allclose(declared, measured, rtol=1e-4, atol=1e-6)
            require(same, "penalties", type(penalty).__name__, rule, remedy)


@dataclass(frozen=True)
class _RightHandSide:
    """The right-hand side of the equation for one target.

    States are vectors: all weights, then all gates. `sides` say on which side of zero each gate is: 1, -1, or 0 for a
    gate that is pinned there.
    """

    paths: int
    tau_w: float
    tau_c: float
    slopes: Sequence[Callable[..., Any]]  # of the penalties; to look such a method up takes longer than to call it
    target: np.ndarray

    @classmethod
    def of(cls, experiment: Experiment) -> _RightHandSide:
        flow = experiment.flow
        (paths,) = experiment.network.shapes(1, 1)["gates"]
        slopes = []
        for penalty in flow.penalties:
            slope = type(penalty).one_sided_gradient
            of_penalty = partial(slope, penalty)  # a method of a module would be looked up anew in each call
            slopes.append(jax.jit(of_penalty) if slope is Penalty.one_sided_gradient else of_penalty)
        return cls(paths, float(flow.tau_w), float(flow.tau_c), slopes, np.zeros(0))

    def slope(self, gates: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """The derivative of all penalties along each gate, on these sides of zero."""
        return sum((np.asarray(slope(gates, sides)) for slope in self.slopes), np.zeros(self.paths))

    @functools.cached_property
    def kinked(self) -> bool:
        """Whether penalties jump where a gate is zero, which makes it a special place for gates that are not frozen."""
        zero, sides = np.zeros(self.paths), np.ones(self.paths)
        return self.tau_c < np.inf and bool((self.slope(zero, sides) != self.slope(zero, -sides)).any())

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Weights, one row per path, and gates."""
        return state[: -self.paths].reshape(self.paths, -1), state[-self.paths :]

    def error(self, state: np.ndarray) -> np.ndarray:
        weights, gates = self.split(state)
        return self.target - gates @ weights

    def forces(self, state: np.ndarray, sides: np.ndarray) -> np.ndarray:
        """The rate of change of each gate times tau_c, if it is on this side of zero."""
        weights, gates = self.split(state)
        return weights @ self.error(state) - self.slope(gates, sides)

    def velocity(self, state: np.ndarray, sides: np.ndarray) -> np.ndarray:
        weights, gates = self.split(state)
        error = self.target - gates @ weights
        moves = (weights @ error - self.slope(gates, sides)) / self.tau_c
        if self.kinked:
            moves[sides == 0] = 0.0
        return np.concatenate([np.multiply.outer(gates, error / self.tau_w).ravel(), moves])

    def sides(self, state: np.ndarray) -> np.ndarray:
        """The side of each gate; where a gate is zero, the side that it moves to, or 0 if it is held there."""
        _, gates = self.split(state)
        up = self.forces(state, np.ones(self.paths)) > 0
        down = self.forces(state, -np.ones(self.paths)) < 0
        # driven away on both sides, a gate goes where it would without penalties
        either = np.where(self.forces(state, np.zeros(self.paths)) >= 0, 1.0, -1.0)
        next_sides = np.where(up & down, either, np.where(up, 1.0, np.where(down, -1.0, 0.0)))
        return np.where(gates != 0, np.sign(gates), next_sides)

    def events(self, sides: np.ndarray) -> list[_Release | _ReachesZero]:
        """What ends a smooth segment: a gate reaches zero from its side, or ceases to be held there."""
        pinned = [_Release(self, path, to) for path in np.flatnonzero(sides == 0).tolist() for to in (1.0, -1.0)]
        free = [_ReachesZero(self, path, sides[path]) for path in np.flatnonzero(sides).tolist()]
        return [*pinned, *free] if self.kinked else []


# Events in the form that scipy asks for: a function that crosses zero upwards where the segment ends.


@dataclass(frozen=True)
class _ReachesZero:
    rhs: _RightHandSide
    path: int
    side: float
    terminal: bool = True
    direction: float = 1.0

    def __call__(self, time: float, state: np.ndarray) -> float:
        return -self.side * self.rhs.split(state)[1][self.path]


@dataclass(frozen=True)
class _Release:
    rhs: _RightHandSide
    path: int
    side: float
    terminal: bool = True
    direction: float = 1.0

    def __call__(self, time: float, state: np.ndarray) -> float:
        sides = np.full(self.rhs.paths, self.side)
        # below zero where there is no force at all: such a gate stays
        return self.side * self.rhs.forces(state, sides)[self.path] - AT_ZERO


def _solve_seed(spec: RunSpec, seed: int, rhs: _RightHandSide, rtol: float) -> RunArrays:
    """The run of one seed, by its index."""
    experiment, schedule, _ = spec.cells[0]
    drawn, params = experiment.draw(int(spec.seeds[seed]))
    if spec.initial is not None:
        params = jax.tree.map(lambda leaf: leaf[seed], spec.initial)
    teachers, dt = np.asarray(drawn, float), float(experiment.flow.dt)
    shape = np.shape(params.weights)
    state = np.concatenate([np.ravel(params.weights), np.ravel(params.gates)]).astype(float)
    states, velocities, losses, tasks = [], [], [], []
    with jax.enable_x64(True):
        for first, stop, task in zip(schedule.start, schedule.stop, schedule.block_tasks, strict=True):
            rhs = replace(rhs, target=teachers[task].ravel())
            steps = np.arange(ceil_div(first, spec.every) * spec.every, stop, spec.every)
            inside, rates, state = _solve_block(rhs, state, (first * dt, stop * dt), steps * dt, rtol)
            states += inside
            velocities += rates
            losses += [np.sum(np.square(rhs.error(at))) / 2 for at in inside]
            tasks += [task] * len(inside)

        def unpack(vectors: np.ndarray) -> Params:
            return Params(vectors[..., : -shape[0]].reshape(*vectors.shape[:-1], *shape), vectors[..., -shape[0] :])

        frames = unpack(np.array(states)), unpack(np.array(velocities)), np.array(losses), np.array(tasks)
        every_frame = jax.tree.map(jnp.asarray, (*frames, np.broadcast_to(teachers, (len(states), *teachers.shape))))
        return RunArrays(teachers, unpack(state), jax.vmap(partial(_evaluate, spec.record, experiment))(*every_frame))


def _evaluate(record: tuple[rec.Quantity, ...], experiment: Experiment, *state: Any) -> dict[str, Any]:
    frame = rec.Frame(*state, experiment.network, experiment.flow.inputs, None)  # type: ignore[call-arg]
    return rec.evaluate(record, frame)


def _solve_block(
    rhs: _RightHandSide, state: np.ndarray, span: tuple[float, float], times: np.ndarray, rtol: float
) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """The states at these times of a block and their rates of change, and the state at its end."""
    start, stop = span
    states: list[np.ndarray] = []
    velocities: list[np.ndarray] = []
    sides = rhs.sides(state)
    for _ in range(MAX_SEGMENTS):
        events = rhs.events(sides)
        segment = solve_ivp(
            partial(_bounded_velocity, rhs, sides, itertools.count()),
            (start, stop),
            state,
            method="DOP853",
            t_eval=np.append(times[len(states) :], stop),
            events=events,
            rtol=rtol,
            atol=rtol / 1000,
        )
        reached = list(np.reshape(segment.y, (len(state), -1)).T)  # y is an empty list if no time was reached
        inside = reached[: len(times) - len(states)]  # without the end of the block
        states += inside
        velocities += [rhs.velocity(at, sides) for at in inside]
        if segment.status == 0:
            return states, velocities, reached[-1]
        if segment.status < 0:
            break
        number = next(number for number, times_of_event in enumerate(segment.t_events) if len(times_of_event))
        start, state = segment.t_events[number][0], segment.y_events[number][0]
        sides = _sides_after(events[number], rhs, state)
    raise RuntimeError(f"the solver could not get past time {start:.6g}: {segment.message}")


def _sides_after(event: _Release | _ReachesZero, rhs: _RightHandSide, state: np.ndarray) -> np.ndarray:
    """The sides of the gates after an event; gates that it found at zero are set to zero in the state."""
    gates = rhs.split(state)[1]  # a view: what is written here is in the state
    # the solver stops a rounding error from zero, on either side: there the same event would end the next segment too
    gates[np.abs(gates) < AT_ZERO] = 0.0
    gates[event.path] = 0.0
    sides = rhs.sides(state)
    if isinstance(event, _Release):  # its force is zero within rounding, which may say that the gate is still held
        sides[event.path] = event.side
    return sides


def _bounded_velocity(
    rhs: _RightHandSide, sides: np.ndarray, evaluations: Iterator[int], time: float, state: np.ndarray
) -> np.ndarray:
    """The velocity, if it was not evaluated too often."""
    if next(evaluations) >= MAX_EVALUATIONS:
        cause = "a penalty may have a kink at a place other than zero, of which the solver knows nothing: use simulate"
        raise RuntimeError(f"the solver hardly gets on at time {time:.6g}; {cause}")
    return rhs.velocity(state, sides)
