r"""Learning in continuous time: what ever smaller steps tend to, from an adaptive solver that shares no code with them.

The penalties have kinks where a gate is zero. A gate that gets there either goes on to the other side, or is pushed
back from both sides and stays *pinned* at zero, until one of the two pushes gives way (Filippov's sliding). Steps of
`simulate` jitter about zero there; here each smooth stretch is solved by itself, and ends where a gate reaches zero
or is let go.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import xarray as xr
from scipy.integrate import solve_ivp

from gatedlib._internal.identity import forget_if_changed
from gatedlib._internal.numerics import fixed_jax_settings
from gatedlib._internal.validation import require, require_positive
from gatedlib.model.experiment import Experiment, require_penalties_on_gates, require_whole
from gatedlib.model.inputs import Population
from gatedlib.model.networks import GatedLinear, Params
from gatedlib.model.penalties import Penalty
from gatedlib.simulation import record as rec
from gatedlib.simulation.arguments import Seeds, checked_initial, checked_record, checked_seeds, code_to_run
from gatedlib.simulation.divergence import first_nonfinite, raise_nonfinite
from gatedlib.simulation.results import label

AT_ZERO = 1e-12
"""A gate this close to zero when another one reaches it has reached it too; a push this weak moves none."""

STRETCHES = 1000
"""How many smooth stretches one block may have."""

EVALUATIONS = 100_000
"""How often the right-hand side of a stretch may be computed: where it jumps unannounced, steps shrink without end."""


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
    schedule = experiment.schedule()
    chosen = checked_seeds(seeds)
    record, every = checked_record(record, every, len(schedule.tasks))
    given = None if initial is None else checked_initial(initial, experiment, chosen)
    forget_if_changed(code_to_run(experiment, record))
    learning = _Learning.of(experiment)

    teachers, finals, frames = [], [], []
    for number, seed in enumerate(chosen):
        drawn, params = experiment.draw(int(seed))
        start = params if given is None else Params(given.weights[number], given.gates[number])
        targets = np.asarray(drawn, float)
        blocks = zip(schedule.start, schedule.stop, schedule.block_tasks, strict=True)
        with jax.enable_x64(True):
            states, final = _run(learning, targets, start, list(blocks), every, float(experiment.flow.dt), rtol)
            state = jax.tree.map(jax.numpy.asarray, states)
            frames.append(jax.vmap(partial(_evaluated, record, experiment))(*state))
        teachers.append(targets)
        finals.append(final)

    final, together = (jax.tree.map(lambda *leaves: np.stack(leaves), *each) for each in (finals, frames))
    fault = first_nonfinite(together, runs=1)
    if fault is not None:
        found = fault._replace(when=every * fault.when)
        raise_nonfinite(found, float(experiment.flow.dt), f"seed {chosen[fault.run]}")
    return label(
        [experiment],
        schedule,
        chosen,
        record,
        every,
        np.stack(teachers),
        final,
        together,
        initial=given,
        made_by="solve",
    )


def _require_known_kinks(experiment: Experiment) -> None:
    """Require that penalties jump at zero as their slopes say: derivatives there are those of gates close by."""
    gates = np.full(experiment.network.shapes(*experiment.sizes)["gates"], 0.5)
    for penalty in experiment.flow.penalties:
        for path, side in np.ndindex(len(gates), 2):
            at_zero, close_by, sides = gates.copy(), gates.copy(), np.ones_like(gates)
            sides[path] = (1.0, -1.0)[side]
            at_zero[path], close_by[path] = 0.0, 1e-9 * sides[path]
            told, found = (np.asarray(penalty.one_sided_gradient(each, sides)) for each in (at_zero, close_by))
            rule = "its derivative jumps where a gate is zero, and its one_sided_gradient does not say so"
            remedy = (
                "Give it one_sided_gradient(gates, side), the derivative on each side, as Nonnegative has; or simulate"
            )
            require(np.allclose(told, found, rtol=1e-4, atol=1e-6), "penalties", type(penalty).__name__, rule, remedy)


def _evaluated(record: tuple[rec.Quantity, ...], experiment: Experiment, *state: Any) -> dict[str, Any]:
    frame = rec.Frame(*state, experiment.network, experiment.flow.inputs, None)  # type: ignore[call-arg]
    return rec.evaluate(record, frame)


@dataclass(frozen=True)
class _Learning:
    """The right-hand side, with the side of zero that each gate is on: 1, -1, or 0 for a gate that is pinned."""

    paths: int
    tau_w: float
    tau_c: float
    slopes: Sequence[Callable[..., Any]]  # of the penalties; to look such a method up takes longer than to call it

    @classmethod
    def of(cls, experiment: Experiment) -> _Learning:
        flow = experiment.flow
        (paths,) = experiment.network.shapes(1, 1)["gates"]
        slopes = [
            jax.jit(gradient) if type(penalty).one_sided_gradient is Penalty.one_sided_gradient else gradient
            for penalty in flow.penalties
            for gradient in [penalty.one_sided_gradient]
        ]
        return cls(paths, float(flow.tau_w), float(flow.tau_c), slopes)

    def slope(self, gates: np.ndarray, side: np.ndarray) -> np.ndarray:
        """The derivative of all penalties along each gate, on this side of zero."""
        return sum((np.asarray(slope(gates, side)) for slope in self.slopes), np.zeros(self.paths))

    @functools.cached_property
    def kinked(self) -> bool:
        """Whether penalties jump where a gate is zero, which makes it a special place for gates that are not frozen."""
        zero, side = np.zeros(self.paths), np.ones(self.paths)
        return self.tau_c < np.inf and bool((self.slope(zero, side) != self.slope(zero, -side)).any())

    def split(self, state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return state[: -self.paths].reshape(self.paths, -1), state[-self.paths :]

    def error(self, state: np.ndarray, target: np.ndarray) -> np.ndarray:
        weights, gates = self.split(state)
        return target - gates @ weights

    def pushes(self, state: np.ndarray, target: np.ndarray, side: np.ndarray) -> np.ndarray:
        """What moves each gate, times tau_c, if it is on this side of zero."""
        weights, gates = self.split(state)
        return weights @ self.error(state, target) - self.slope(gates, side)

    def velocity(self, state: np.ndarray, target: np.ndarray, sides: np.ndarray) -> np.ndarray:
        _, gates = self.split(state)
        weights = np.multiply.outer(gates, self.error(state, target)) / self.tau_w
        moves = self.pushes(state, target, sides) / self.tau_c
        if self.kinked:
            moves = np.where(sides == 0, 0.0, moves)
        return np.concatenate([weights.ravel(), moves])

    def sides(self, state: np.ndarray, target: np.ndarray) -> np.ndarray:
        """The side of each gate; where a gate is zero, the side that it is drawn to, or 0 if it is held there."""
        _, gates = self.split(state)
        up = self.pushes(state, target, np.ones(self.paths)) > 0
        down = self.pushes(state, target, -np.ones(self.paths)) < 0
        # pushed away on both sides, a gate goes where it would without penalties
        either = np.where(self.pushes(state, target, np.zeros(self.paths)) >= 0, 1.0, -1.0)
        drawn = np.where(up & down, either, np.where(up, 1.0, np.where(down, -1.0, 0.0)))
        return np.where(gates != 0, np.sign(gates), drawn)

    def endings(self, target: np.ndarray, sides: np.ndarray) -> list[_LetGo | _ReachesZero]:
        """What ends a smooth stretch: a gate reaches zero from its side, or ceases to be held there."""
        pinned = [_LetGo(self, target, path, to) for path in np.flatnonzero(sides == 0).tolist() for to in (1.0, -1.0)]
        free = [_ReachesZero(self, path, sides[path]) for path in np.flatnonzero(sides).tolist()]
        return [*pinned, *free] if self.kinked else []


# Events in the form that scipy asks for: a function that crosses zero upwards where the stretch ends.


@dataclass(frozen=True)
class _ReachesZero:
    learning: _Learning
    path: int
    side: float
    terminal: bool = True
    direction: float = 1.0

    def __call__(self, time: float, state: np.ndarray) -> float:
        return -self.side * self.learning.split(state)[1][self.path]


@dataclass(frozen=True)
class _LetGo:
    learning: _Learning
    target: np.ndarray
    path: int
    side: float
    terminal: bool = True
    direction: float = 1.0

    def __call__(self, time: float, state: np.ndarray) -> float:
        sides = np.full(self.learning.paths, self.side)
        # below zero where there is no push at all: such a gate stays
        return self.side * self.learning.pushes(state, self.target, sides)[self.path] - AT_ZERO


def _run(
    learning: _Learning,
    targets: np.ndarray,
    start: Params,
    blocks: list[tuple[int, int, int]],
    every: int,
    dt: float,
    rtol: float,
) -> tuple[tuple, Params]:
    """The parts of the frames of one seed, and the parameters at its end."""
    shape = np.shape(start.weights)
    state = np.concatenate([np.ravel(start.weights), np.ravel(start.gates)]).astype(float)
    flat = targets.reshape(len(targets), -1)
    states, velocities, tasks = [], [], []
    for first, stop, task in blocks:
        steps = np.arange(-(-first // every) * every, stop, every)
        inside, state = _block(learning, state, flat[task], first * dt, stop * dt, steps * dt, rtol)
        for at in inside:
            states.append(at)
            velocities.append(learning.velocity(at, flat[task], learning.sides(at, flat[task])))
            tasks.append(task)

    def params(vectors: np.ndarray) -> Params:
        return Params(vectors[..., : -shape[0]].reshape(*vectors.shape[:-1], *shape), vectors[..., -shape[0] :])

    errors = [learning.error(at, flat[task]) for at, task in zip(states, tasks, strict=True)]
    loss = np.sum(np.square(errors), -1) / 2
    repeated = np.broadcast_to(targets, (len(states), *targets.shape))
    frames = params(np.array(states)), params(np.array(velocities)), loss, np.array(tasks), repeated
    return frames, params(state)


def _block(
    learning: _Learning,
    state: np.ndarray,
    target: np.ndarray,
    start: float,
    stop: float,
    times: np.ndarray,
    rtol: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The states at some times of a block, and at its end."""
    states = np.empty((0, len(state)))
    sides = learning.sides(state, target)
    for _ in range(STRETCHES):
        endings = learning.endings(target, sides)
        stretch = solve_ivp(
            partial(_velocity, learning, target, sides, itertools.count()),
            (start, stop),
            state,
            method="DOP853",
            t_eval=np.append(times[len(states) :], stop),
            events=endings,
            rtol=rtol,
            atol=rtol / 1000,
        )
        reached = np.reshape(stretch.y, (len(state), -1)).T  # an empty list if no time was reached
        if stretch.status == 0:
            return np.concatenate([states, reached[:-1]]), reached[-1]
        if stretch.status < 0:
            break
        states = np.concatenate([states, reached])
        ending, start, state = next(
            (ending, when[0], where[0])
            for ending, when, where in zip(endings, stretch.t_events, stretch.y_events, strict=True)
            if len(when)
        )
        gates = learning.split(state)[1]
        gates[np.abs(gates) < AT_ZERO] = 0.0
        gates[ending.path] = 0.0
        sides = learning.sides(state, target)
        if isinstance(ending, _LetGo):
            sides[ending.path] = ending.side
    raise RuntimeError(f"the solver could not get past time {start:.6g}: {stretch.message}")


def _velocity(
    learning: _Learning,
    target: np.ndarray,
    sides: np.ndarray,
    evaluations: Iterator[int],
    time: float,
    state: np.ndarray,
) -> np.ndarray:
    if next(evaluations) >= EVALUATIONS:
        cause = "a penalty may have a kink at a place other than zero, of which the solver knows nothing: use simulate"
        raise RuntimeError(f"the solver hardly gets on at time {time:.6g}; {cause}")
    return learning.velocity(state, target, sides)
