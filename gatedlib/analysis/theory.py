r"""Theory: closed forms for two tasks and two paths, and the flow among the teachers for any number of them.

`Switch` is one switch of task in the symmetric model of the paper; `gate_divergence` and `steady_spread` say whether
gates come to differ enough for one to reach zero, and `crossing` whether the next block then carries them across, with
no simulation in them. `ratchet` follows the few numbers that learning changes among the teachers. Distances are those
of the teachers, :math:`D = \|W^*_A - W^*_B\|`.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from gatedlib._internal.renamed import renamed
from gatedlib._internal.validation import (
    as_float_array,
    is_number,
    refusal,
    require_finite,
    require_integer,
    require_positive,
    to_plain,
    to_real,
)
from gatedlib.analysis.ratchet import Emergence as Emergence
from gatedlib.analysis.ratchet import ratchet as ratchet
from gatedlib.analysis.requirements import Given, Numbers, array_ending_with, positive_array


@dataclass(frozen=True)
class Switch:
    r"""One switch of task in the symmetric model: where the gates are, against how far apart the paths are.

    .. math::

        \tau_c \dot{\bar c} = \tfrac{D^2}{2}\, \bar w\, (1 - \bar c \bar w), \qquad
        2 \tau_w \dot{\bar w} = \bar c\, (1 - \bar c \bar w), \qquad
        \bar w^2 - \kappa \bar c^2 = \text{const}, \quad \kappa = \frac{\tau_c}{D^2 \tau_w}

    with gates :math:`(1 \pm \bar c)/2` and paths whose difference is :math:`\bar w` times that of the teachers (the
    root of the specialization). The switch begins at :math:`\bar c = -1`, with the gates of the old task, and with
    paths as far `apart` as they are then, :math:`\bar w_0`.

    Args:
        tau_w: time constant of the weights.
        tau_c: time constant of the gates.
        distance: D; the root of 2 for two orthogonal teachers of length 1, as in the paper's toy.

    Raises:
        ValueError: if a number is not above 0.

    Example:
        >>> from gatedlib.analysis.theory import Switch
        >>> switch = Switch(tau_w=1.0, tau_c=0.1)
        >>> round(float(switch.curve(gates=0.0)), 4)       # halfway, from perfect paths
        0.9747
        >>> [round(float(switch.time(gates=0.0, apart=w)), 3) for w in (0.4, 0.7, 1.0)]
        [0.242, 0.113, 0.071]

    Source: paper, Fig. 4H (the conserved quantity); the course in time, this library.
    """

    tau_w: float
    tau_c: float
    distance: float = 2**0.5

    def __post_init__(self) -> None:
        require_positive("tau_w", self.tau_w, "The paper's Fig. 4H has 1.0")
        require_positive("tau_c", self.tau_c, "The paper's Fig. 4H has 0.1 to 1.0")
        require_positive("distance", self.distance, "Orthogonal teachers of length 1 are the root of 2 apart")

    @property
    def kappa(self) -> float:
        r""":math:`\kappa`: gates turn over only where :math:`\bar w^2 > \kappa`; else the weights do."""
        return self.tau_c / (self.distance**2 * self.tau_w)

    def curve(self, gates: Given, apart: Given = 1.0) -> Numbers:
        r"""How far apart the paths are when the gates are there, from :math:`(-1, \bar w_0)`; nan if they never are.

        .. math::

            \bar w(\bar c) = \sqrt{\bar w_0^2 - \kappa\,(1 - \bar c^2)}
        """
        gates, apart = as_float_array("gates", gates), as_float_array("apart", apart)
        with np.errstate(invalid="ignore"):
            return np.sqrt(np.square(apart) - self.kappa * (1 - np.square(gates)))

    def time(self, gates: Given, apart: Given = 1.0) -> Numbers:
        r"""How long the gates' difference takes from -1 to a value; infinite where it never gets there.

        .. math::

            t = T \left[\operatorname{artanh} \frac{\tanh\theta + h}{\sqrt{1 + h^2}}\right]_{\theta_0}^{\theta},
            \qquad \sqrt\kappa\, \bar c = \sqrt H \sinh\theta, \quad H = \bar w_0^2 - \kappa, \quad
            h = \frac{H}{2\sqrt\kappa}, \quad T = \frac{2 \sqrt{\tau_w \tau_c}}{D \sqrt{1 + h^2}}
        """
        gates, apart = as_float_array("gates", gates), as_float_array("apart", apart)
        height, h, scale = self._constants(apart)
        place = [np.tanh(np.arcsinh(np.sqrt(self.kappa / height) * end)) for end in (gates, -1.0)]
        with np.errstate(invalid="ignore", divide="ignore"):
            end, start = (np.arctanh((x + h) / np.sqrt(1 + h**2)) for x in place)
            before_rest = gates * self.curve(gates, apart) < 1 - 1e-12  # where the product is 1 nothing moves any more
        return np.where(before_rest & np.isfinite(end), scale * (end - start), np.inf)

    def course(self, time: Given, apart: float = 1.0) -> tuple[Numbers, Numbers]:
        r"""The gates' difference and how far apart the paths are after a time, of a network that switches by its gates.

        .. math::

            \tanh\theta(t) = \sqrt{1 + h^2} \tanh\Big(\frac tT + \operatorname{artanh}
            \frac{\tanh\theta_0 + h}{\sqrt{1 + h^2}}\Big) - h

        Raises:
            ValueError: if the paths are too much alike, the square of `apart` not above :math:`\kappa`.
        """
        passed = as_float_array("time", time)
        if not np.all(passed >= 0):
            raise refusal("time", time, "must be 0 or above throughout", "Count it from the switch")
        apart = require_positive("apart", apart, "Use 1 for paths that are the teachers")
        if apart**2 <= self.kappa:
            rule = f"must be above sqrt(kappa) = {self.kappa**0.5:.4g}, or the weights turn over in place of the gates"
            raise refusal("apart", apart, rule, "Use 1")
        height, h, scale = self._constants(apart)
        root = np.sqrt(1 + h**2)
        start = np.arctanh((np.tanh(np.arcsinh(-np.sqrt(self.kappa / height))) + h) / root)
        theta = np.arctanh(root * np.tanh(passed / scale + start) - h)
        return np.sqrt(height / self.kappa) * np.sinh(theta), np.sqrt(height) * np.cosh(theta)

    def _constants(self, apart: Given) -> tuple[Numbers, Numbers, Numbers]:
        """H, h and T; nan where the weights turn over."""
        height = np.square(apart) - self.kappa
        height = np.where(height > 0, height, np.nan)
        h = height / (2 * np.sqrt(self.kappa))
        return height, h, 2 * np.sqrt(self.tau_w * self.tau_c) / (self.distance * np.sqrt(1 + h**2))


def gate_divergence(
    targets: Float[np.ndarray, "task mode"],
    tasks: Sequence[int] | np.ndarray,
    lengths: Sequence[float] | np.ndarray,
    tau_w: float,
    tau_c: Float[np.ndarray, "*any"] | float,
    apart: Float[np.ndarray, "*any mode"],
    start: Float[np.ndarray, "*any mode"] | None = None,
    gates: Float[np.ndarray, "*any"] | float = 0.0,
) -> Float[np.ndarray, "*any block"]:
    r"""How far the gates of two nearly equal paths are driven apart: one hyperbolic turn per block.

    .. math::

        \begin{pmatrix} \sqrt{\tau_c}\,\Delta c \\ \sqrt{\tau_w}\,\Delta w \cdot \hat\epsilon_k \end{pmatrix}
        \leftarrow
        \begin{pmatrix} \cosh\varphi_k & \sinh\varphi_k \\ \sinh\varphi_k & \cosh\varphi_k \end{pmatrix}
        \begin{pmatrix} \sqrt{\tau_c}\,\Delta c \\ \sqrt{\tau_w}\,\Delta w \cdot \hat\epsilon_k \end{pmatrix},
        \qquad \varphi_k = 2 \|\epsilon_k\| \sqrt{\frac{\tau_w}{\tau_c}}\, (1 - q_k), \quad q_k = e^{-\tau_k / 2\tau_w}

    with :math:`\epsilon_{k+1} = w^*_{m(k+1)} - w^*_{m(k)} + q_k \epsilon_k` the error at the start of block k + 1, of
    a network whose two gates are nearly 1/2. A difference of 1 means that one gate has reached zero. This is the linear
    theory of two equal paths: it takes the gates' sum to stay at one, and leaves out what the growing difference does
    to the error, which is of the order of the root of kappa (see `Switch`) when a gate reaches zero.

    Args:
        targets: the teachers in the coordinates of `reduction.teacher_span` or `reduction.modes`.
        tasks: the task of each block.
        lengths: the length of each block, in time units.
        tau_w: time constant of the weights.
        tau_c: time constant of the gates; one for all, or one for each of `apart`.
        apart: the difference of the two paths' weights at the start, in the same coordinates; one or many.
        start: the mean weights at the start, of one shape with `apart`; zero unless given.
        gates: :math:`\Delta c_0`, the difference of the gates at the start; one for all, or one for each of `apart`.

    Returns:
        The size of :math:`\Delta c` at the end of each block.

    Raises:
        ValueError: if there is no task or one without a target, there are not as many lengths as tasks, a time is
            not above 0, `start` or `gates` do not go with `apart`, or one of these two is not finite.

    Example:
        >>> from gatedlib.analysis.theory import gate_divergence
        >>> gate_divergence(np.eye(2), [0, 1, 0], [1.0, 1.0, 1.0], 1.0, 0.1, np.array([0.01, 0.0])).round(3)
        array([0.189, 0.871, 1.545])

    Source: this library.
    """
    tau_w = require_positive("tau_w", tau_w, "The paper's Fig. 2 has 1.3")
    targets = as_float_array("targets", targets)
    if targets.ndim != 2:
        remedy = "Use the targets of reduction.teacher_span"
        raise refusal("shape of targets", targets.shape, "must be (task, mode), two axes", remedy)
    blocks = _checked_blocks(tasks, lengths, len(targets))
    difference = array_ending_with("apart", apart, targets.shape[1:], "Use teacher_span(...).project")
    shape = difference.shape[:-1]
    mean = np.zeros(difference.shape) if start is None else start
    mean = np.broadcast_to(_shaped("start", mean, difference.shape[-1:], difference.shape), difference.shape)
    gates = _shaped("gates", gates, (), shape)
    for number in np.ravel(tau_c).tolist():
        require_positive("tau_c", number, "The paper's Fig. 2 has 0.03")
    tau_c = _shaped("tau_c", tau_c, (), shape)
    # the vector of the equation: scaled_gates is sqrt(tau_c) Delta c, and weights is sqrt(tau_w) Delta w
    scaled_gates = np.broadcast_to(np.sqrt(tau_c) * gates, shape)
    weights = np.sqrt(tau_w) * difference
    spread = []
    for task, length in blocks:
        error = targets[task] - mean
        size = np.sqrt(np.sum(error**2, -1))
        direction = error / np.where(size > 0, size, 1.0)[..., None]
        # both gates are nearly 1/2, so the mean of the paths learns with the time constant 2 tau_w
        q = np.exp(-length / (2 * tau_w))
        phi = 2 * size * np.sqrt(tau_w / tau_c) * (1 - q)
        # only the weights along the error turn with the gates; across it the two paths learn alike
        along = np.sum(weights * direction, -1)
        turned = np.sinh(phi) * scaled_gates + np.cosh(phi) * along
        scaled_gates = np.cosh(phi) * scaled_gates + np.sinh(phi) * along
        weights = weights + (turned - along)[..., None] * direction
        mean = targets[task] - q * error
        spread.append(np.abs(scaled_gates) / np.sqrt(tau_c))
    return np.stack(spread, -1)


def _checked_blocks(
    tasks: Sequence[int] | np.ndarray, lengths: Sequence[float] | np.ndarray, targets: int
) -> list[tuple[int, float]]:
    """The task and the length of each block."""
    order, times = to_plain(tasks), to_plain(lengths)
    if not isinstance(order, tuple) or not order:
        raise refusal("tasks", tasks, "must name at least one task, in a list", "Use [0, 1] for one round")
    if not isinstance(times, tuple) or len(times) != len(order):
        count = len(times) if isinstance(times, tuple) else times
        raise refusal("number of lengths", count, f"must be the number of tasks, {len(order)}", "Give one per block")
    for task, length in zip(order, times, strict=True):
        if require_integer("task", task, 0, "Tasks are counted from 0") >= targets:
            raise refusal("task", task, f"there are {targets} targets", "Give it a target")
        require_positive("length", length, "Give each block a length in time units")
    return list(zip(order, times, strict=True))


def _shaped(name: str, value: Given, one: tuple[int, ...], many: tuple[int, ...]) -> Numbers:
    """Finite numbers for one difference of paths, which hold for all, or for many of them."""
    array = as_float_array(name, value)
    if array.shape not in (one, many):
        remedy = "Give one for all differences in apart, or one for each"
        raise refusal(f"shape of {name}", array.shape, f"must be {one} or {many}, as apart has it", remedy)
    require_finite(f"numbers in {name}", array)
    return array


def steady_spread(
    block_length: Given,
    tau_w: Given,
    tau_c: Given,
    distance: Given,
    apart: Given,
    gates: Given = 0.0,
) -> Numbers:
    r"""How far the gates part within one block of two alternating tasks, once nothing else changes any more.

    .. math::

        \Delta c = \sqrt{\frac{\tau_w}{\tau_c}}\; \delta\, \sinh\varphi + \Delta c_0 \cosh\varphi, \qquad
        \varphi = 2 D \sqrt{\frac{\tau_w}{\tau_c}} \tanh \frac{\tau_B}{4 \tau_w}

    A gate reaches zero where this is 1. In this linear theory the next block turns everything back, so what is not
    reached within one block is never reached.

    Args:
        block_length: :math:`\tau_B`.
        tau_w: time constant of the weights.
        tau_c: time constant of the gates.
        distance: the distance D of the teachers.
        apart: :math:`\delta`, the difference of the paths along the difference of the teachers.
        gates: :math:`\Delta c_0`, the difference of the gates at the start of the block.

    Returns:
        The spread, of the shape to which the arguments broadcast.

    Raises:
        ValueError: if a time or the distance is not above 0 (a block may be without end).

    Example:
        >>> from gatedlib.analysis.theory import steady_spread
        >>> bool(steady_spread(1.0, 1.0, 0.1, 2**0.5, 0.01) < 1 < steady_spread(4.0, 1.0, 0.1, 2**0.5, 0.01))
        True

    Source: this library.
    """
    settings = {"block_length": block_length, "tau_w": tau_w, "tau_c": tau_c, "distance": distance}
    length, tau_w, tau_c, distance = (positive_array(name, value) for name, value in settings.items())
    require_finite("numbers in distance", distance)
    ratio, phi = np.sqrt(tau_w / tau_c), _turn_of_block(length, tau_w, tau_c, distance)
    difference, gates = as_float_array("apart", apart), as_float_array("gates", gates)
    return np.abs(ratio * difference * np.sinh(phi) + gates * np.cosh(phi))


def crossing(spread: Given, block_length: Given, tau_w: Given, tau_c: Given, distance: Given) -> Numbers:
    r"""How far the block after the first zero carries the gates, relative to all the way from one path to the other.

    .. math::

        \frac{H}{\kappa} \sinh^2 \frac\varphi2, \qquad H = 2 \sqrt\kappa\, g + g^2, \qquad
        g = \frac{e^{-t^*/2\tau_w}}{1 + q} \Big( 1 - e^{-(\tau_B - t^*)/\tau_w} \Big), \qquad
        1 - e^{-t^*/2\tau_w} = (1 - q) \Big( 1 - \frac{\ln S}\varphi \Big)

    with the angle :math:`\varphi` of `steady_spread`, :math:`q = e^{-\tau_B/2\tau_w}` and :math:`\kappa` of `Switch`.
    The gates reach zero at :math:`t^*`, when their difference, which ends the block at S by the linear theory, is 1.
    What is left of the block one path learns alone, and gains :math:`g` times the teachers' distance. The next block
    has to turn gates by :math:`2 \operatorname{arsinh} \sqrt{\kappa/H}`: where this number is 1 or more it does, by
    this estimate, and paths specialize. Where it is less they may still, later: each block that closes a gate adds to H
    (see `ratchet`).

    Args:
        spread: S, the largest difference of the gates by `gate_divergence` or `steady_spread`.
        block_length: :math:`\tau_B`.
        tau_w: time constant of the weights.
        tau_c: time constant of the gates.
        distance: the distance D of the teachers.

    Returns:
        The number, of the shape to which the arguments broadcast; 0 where the spread is below 1, for no gate closes.

    Raises:
        ValueError: if a time or the distance is not above 0, or the spread is below 0 or nan.

    Example:
        >>> from gatedlib.analysis.theory import crossing
        >>> crossing([0.5, 2.0, 2.0], [1.0, 1.0, 4.0], 1.0, 0.1, 2**0.5).round(2).tolist()
        [0.0, 2.95, 322.53]

    Source: this library.
    """
    settings = {"block_length": block_length, "tau_w": tau_w, "tau_c": tau_c, "distance": distance}
    length, tau_w, tau_c, distance = (positive_array(name, value) for name, value in settings.items())
    for name, numbers in (("tau_w", tau_w), ("tau_c", tau_c), ("distance", distance)):
        require_finite(f"numbers in {name}", numbers)
    spread = as_float_array("spread", spread)
    if not np.all(spread >= 0):
        raise refusal("spread", spread.tolist(), "must be 0 or above throughout", "Use gate_divergence")
    kappa = tau_c / (distance**2 * tau_w)
    phi = _turn_of_block(length, tau_w, tau_c, distance)
    q = np.exp(-length / (2 * tau_w))
    # A head start, from turns that did not undo each other, may exceed what one block can do: then zero comes at once.
    left = 1 - (1 - q) * np.maximum(1 - np.log(np.maximum(spread, 1)) / phi, 0)  # exp(-t* / 2 tau_w)
    left = np.maximum(left, q)  # which rounding hides where blocks are long; both are 0 in a block without end
    learned = (left - q * (q / np.maximum(left, np.finfo(float).tiny))) / (1 + q)
    height = 2 * np.sqrt(kappa) * learned + learned**2
    return np.where(spread >= 1, height / kappa * np.sinh(phi / 2) ** 2, 0.0)


def _turn_of_block(length: Numbers, tau_w: Numbers, tau_c: Numbers, distance: Numbers) -> Numbers:
    """The angle by which a block turns nearly equal paths, once errors point to and fro."""
    return 2 * distance * np.sqrt(tau_w / tau_c) * np.tanh(length / (4 * tau_w))


def next_block(
    new: float, old: float, block_length: float, tau_w: float, tau_c: float, distance: float
) -> tuple[float, float, float]:
    r"""What one block adds: how far the path of the new task and that of the old one have specialized, a block later.

    .. math::

        u_\mathrm{new} \leftarrow 1 - \Big(1 - u_\mathrm{new} - \frac{\ell}{2 \tau_w}\Big)\,
        e^{-(\tau_B - t_s)/\tau_w}, \qquad u_\mathrm{old} \leftarrow u_\mathrm{old} - \frac{\ell}{2 \tau_w}

    First the gates move from the old path to the new one, which takes the time :math:`t_s` and, for both paths
    together, adds nothing: by the invariant :math:`\bar w = (u_\mathrm{new} + u_\mathrm{old})/2` is afterwards
    what it was, but the new path has gained what the old one has lost. Then the old path's gate is pinned at zero and
    its weights rest, while the new path learns alone. Here :math:`\ell = \int \epsilon\, dt` over the switch, in
    units of D/2: :math:`\ell = \frac{4 \sqrt{\tau_w \tau_c}}{D} \operatorname{arsinh} \sqrt{\kappa / (\bar w^2 -
    \kappa)}`. The gates' sum is taken to stay at one.

    Args:
        new: how far the path that serves the coming task is on its way to its teacher, along the teachers' difference:
            0 is the mean of both teachers, 1 the teacher.
        old: the same for the other path and its own teacher.
        block_length: :math:`\tau_B`.
        tau_w: time constant of the weights.
        tau_c: time constant of the gates.
        distance: the distance D of the teachers.

    Returns:
        `new` and `old` after the block, and :math:`t_s`; all nan where the block is too short for the gates to
        arrive, or the paths are too alike for the gates to move at all (:math:`\bar w^2 \le \kappa`).

    Raises:
        ValueError: if a time or the distance is not above 0.

    Example:
        >>> from gatedlib.analysis.theory import next_block
        >>> new, old, time = next_block(0.5, 0.5, block_length=1.0, tau_w=1.3, tau_c=0.06, distance=2**0.5)
        >>> round(new, 3), round(old, 3), round(time, 3)
        (0.765, 0.405, 0.295)

    Source: this library.
    """
    block_length = require_positive("block_length", block_length, "The paper's Fig. 2 has 1.0")
    new, old = to_real(new), to_real(old)
    for name, value in (("new", new), ("old", old)):
        # nan is taken, as it stands for a network that could not go on and is handed on from block to block
        if not (isinstance(value, float) or is_number(value)) or abs(value) == np.inf:
            raise refusal(name, value, "must be a number", "Use 0.5")
    kappa = Switch(tau_w, tau_c, distance).kappa
    mean, lead = (new + old) / 2, (new - old) / 2
    if mean <= np.sqrt(kappa):
        return np.nan, np.nan, np.nan
    height = mean**2 - kappa
    # Without the time, the cycle of the symmetric model is a hyperbola: over sigma, the integral of the error, it is
    # run through at a constant rate from -reach to reach. The time follows from dt = d sigma / epsilon.
    reach = np.arcsinh(np.sqrt(kappa / height))
    rate = distance / (2 * np.sqrt(tau_w * tau_c))
    sigma = np.linspace(0, 2 * reach / rate, 2001)
    error = 1 - lead - sigma / (2 * tau_w) - height / (2 * np.sqrt(kappa)) * np.sinh(2 * (rate * sigma - reach))
    time = np.trapezoid(1 / error, sigma) if error.min() > 0 else np.inf
    if time >= block_length:
        return np.nan, np.nan, np.nan
    moved = sigma[-1] / (2 * tau_w)
    grown = 1 - (1 - new - moved) * np.exp(-(block_length - time) / tau_w)
    return float(grown), float(old - moved), float(time)


def alternation_loss(run_length: Given, tau_c: float, distance: float, dt: float) -> Numbers:
    r"""The mean loss of a network whose paths are its two tasks, while these alternate in runs of equal length.

    .. math::

        \langle L \rangle = \frac{D^2}{2n}\, \frac{1 - r^{2n}}{(1 - r^2)(1 + r^n)^2}, \qquad
        r = 1 - \frac{D^2 dt}{2 \tau_c}, \quad n = \frac{R}{dt}

    How far the gates are from the task that is on, :math:`\delta`, shrinks by r in each step; it begins a run at
    :math:`1/(1 + r^n)`. In small steps this is

    .. math::

        \langle L \rangle \to \frac{\tau_c}{2 R} \tanh \frac{D^2 R}{4 \tau_c}

    Long runs cost :math:`\tau_c / 2` for each switch, *whatever the distance of the tasks*: the switch between similar
    tasks is shallow, but lasts. Short runs cost :math:`D^2 / 8`, as a network does that has only the mean of the tasks,
    and in steps that are not small even more.

    Args:
        run_length: R, in time units.
        tau_c: time constant of the gates.
        distance: the distance D of the teachers.
        dt: the length of a step.

    Returns:
        The loss once it repeats from run to run, of the shape of the run lengths. The weights stand still, and the
        gates add up to one and stay positive, where penalties do not push.

    Raises:
        ValueError: if an argument is not above 0, or the step so long that gates overshoot.

    Example:
        >>> from gatedlib.analysis.theory import alternation_loss
        >>> alternation_loss(run_length=[0.001, 1.0], tau_c=0.03, distance=1.0, dt=0.001).round(3).tolist()
        [0.127, 0.015]

    Source: this library.
    """
    lengths = positive_array("run_length", run_length, "Use 0.1 or 1.0")
    settings = {"tau_c": tau_c, "distance": distance, "dt": dt}
    tau_c, distance, dt = (require_positive(*named, "Use those of the experiment") for named in settings.items())
    rate = distance**2 / (2 * tau_c)
    if rate * dt >= 1:
        raise refusal("dt", dt, f"must be below {1 / rate:.3g}, or gates overshoot", "Use a shorter step")
    # 1 - r is tiny in small steps: its powers are taken through the logarithm, so that they keep their digits
    log, steps = np.log1p(-rate * dt), lengths / dt
    return distance**2 / (2 * steps) * np.expm1(2 * steps * log) / (np.expm1(2 * log) * (1 + np.exp(steps * log)) ** 2)


renamed(sys.modules[__name__], {"spreading": "gate_divergence"})
