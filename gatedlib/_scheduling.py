"""The explorer of schedules: when tasks switch, what gates and an observer make of it, and what it costs."""

import ipywidgets
import xarray as xr

from gatedlib import _check, metrics, observer, plotting, record
from gatedlib._explorer import DT, Explorer, panels, slider
from gatedlib.curricula import Blocked, Curriculum, Phases, RandomSwitches
from gatedlib.engine import simulate
from gatedlib.experiment import Experiment
from gatedlib.inputs import Noisy

GATES = {**plotting.FLEXIBLE, "label": "gates"}


def schedule(experiment: Experiment, seed: int = 0) -> Explorer:
    """Choose a schedule of tasks; see gates and an ideal observer follow it, and what a switch costs.

    Args:
        experiment: two paths for two tasks. It learns for 20 time units from one noisy sample at a time; curriculum
            and inputs are chosen here.
        seed: which teachers, initial weights and samples.

    Source: this library.
    """
    tasks, paths = experiment.teachers.shape[0], experiment.network.shapes(*experiment.sizes)["gates"]
    rule, remedy = "this is about two tasks and two paths", "Use Orthogonal(tasks=2) and GatedLinear(paths=2)"
    _check.require((tasks, *paths) == (2, 2), "tasks and paths", (tasks, *paths), rule, remedy)
    duration, window, shown = 20.0, 4.0, 40
    base = experiment.replace(dt=DT, inputs=Noisy(1, 0.5), curriculum=Blocked(duration=duration))
    figure, (left, right) = panels(2)
    heading = figure.text(0.985, 0.93, "", ha="right", fontsize=9)
    keep = (record.gates, record.alignment, record.teacher_losses, record.population_loss)

    def plan(order: str, length: float) -> Curriculum:
        short, long = (Blocked(duration=duration / 2, block_length=each) for each in (0.05, length))
        return {
            "in turn": Blocked(duration=duration, block_length=length),
            "at random moments": RandomSwitches(duration=duration, mean_length=length),
            "interleaved first": Phases((short, long)),
            "interleaved last": Phases((long, short)),
        }[order]

    def after_switches(results: xr.Dataset, since: float, until: float) -> xr.DataArray:
        """The mean loss at each step since a switch, over the blocks within some time that last so long."""
        longest = int((results.block_stop - results.block_start).max())
        clean = results.assign(loss=results.population_loss)
        after = metrics.post_switch_loss(clean, min(shown, longest) - 1)
        within = (results.block_start > since / DT) & (results.block_stop <= until / DT)
        return after.isel(seed=0).where(within).mean("block")

    def update(order: str, block_length: float, tau_c: float, noise: float) -> None:
        changed = base.replace(curriculum=plan(order, block_length), tau_c=tau_c, inputs=Noisy(1, noise))
        results = simulate(changed, [seed], keep)
        gates, belief = observer.gate_shares(results), observer.posterior(results)
        late = slice(duration - window, None)
        for ax in (left, right):
            ax.clear()
        time, on = results.time.sel(time=late), results.active_task.sel(time=late) == 0
        left.fill_between(time, 0, 1, where=on, step="post", color=plotting.task_color(0), alpha=0.15, linewidth=0)
        for share, look in ((belief, {"color": "#222222", "label": "observer"}), (gates, GATES)):
            left.plot(time, share.sel(time=late, task=0)[0], linewidth=1.0, **look)
        left.set(xlim=(duration - window, duration), ylim=(0, 1), xlabel="time", ylabel="belief in task A")
        left.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=2)
        for label, begin, line in (("first quarter", 0.0, "--"), ("last quarter", 0.75, "-")):
            curve = after_switches(results, begin * duration, (begin + 0.25) * duration)
            right.plot(curve.step_since, curve, line, color="#222222", label=label)
        right.set(ylim=(0, 0.7), xlim=(0, shown), xlabel="steps since a switch", ylabel="loss")
        right.legend(loc="upper right")
        whole = results.isel(time=slice(-round(window / DT), None))
        wrong = [float(observer.error_rate(each.sel(time=late), whole).mean()) for each in (belief, gates)]
        hazard = results.sizes["block"] / results.sizes["time"]
        heading.set_text(f"hazard {hazard:.3f} a step; wrong: observer {wrong[0]:.0%}, gates {wrong[1]:.0%}")

    orders = ("in turn", "at random moments", "interleaved first", "interleaved last")
    sliders = {
        "order": slider(ipywidgets.Dropdown, "switches", options=orders, value=orders[0]),
        "block_length": slider(ipywidgets.FloatSlider, "block length", min=0.1, max=2.5, value=1.0, step=0.1),
        "tau_c": slider(
            ipywidgets.FloatLogSlider, "gate time constant", min=-2.0, max=0.0, value=float(base.flow.tau_c), step=0.05
        ),
        "noise": slider(ipywidgets.FloatSlider, "noise", min=0.1, max=2.0, value=0.5, step=0.1),
    }
    return Explorer(figure, update, sliders)
