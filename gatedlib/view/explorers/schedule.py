"""The explorer of schedules: when tasks switch, what gates and an observer make of it, and what it costs."""

from typing import Any

import ipywidgets
import xarray as xr
from matplotlib.colors import ListedColormap

from gatedlib.analysis import metrics, observer
from gatedlib.model.curricula import Blocked, Curriculum, Phases, RandomSwitches
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Noisy
from gatedlib.simulation import record
from gatedlib.simulation.simulate import simulate
from gatedlib.view import plotting
from gatedlib.view.explorers.explorer import DT, Explorer, panels, require_two_tasks, run_code, slider, speeds

GATES = {**plotting.FLEXIBLE, "label": "gates"}


def schedule(experiment: Experiment, seed: int = 0) -> Explorer:
    """Choose a schedule of tasks; see gates and an ideal observer follow it, and what a switch costs.

    Args:
        experiment: two paths for two tasks. It learns for 20 time units from one noisy sample at a time; curriculum
            and inputs are chosen here.
        seed: which teachers, initial weights and samples.

    Source: this library.
    """
    require_two_tasks(experiment)
    duration, window, shown = 20.0, 4.0, 40
    base = experiment.replace(dt=DT, inputs=Noisy(1, 0.5), curriculum=Blocked(duration=duration))
    figure, (left, right) = panels(2)
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

    def changed(order: str, block_length: float, tau_c: float, noise: float) -> Experiment:
        return base.replace(curriculum=plan(order, block_length), tau_c=tau_c, inputs=Noisy(1, noise))

    late = slice(duration - window, None)
    left.set(xlim=(duration - window, duration), ylim=(0, 1), xlabel="time", ylabel="belief in task A")
    right.set(xlim=(0, shown), ylim=(0, 0.7), xlabel="steps since a switch", ylabel="loss")
    tints = ListedColormap(["white", plotting.task_color(0)])
    place = {"extent": (duration - window, duration, 0, 1), "aspect": "auto", "alpha": 0.15, "vmin": 0, "vmax": 1}
    tint = left.imshow([[0, 1]], tints, animated=True, **place)
    looks = {"observer": {"color": "#222222", "label": "observer"}, "gates": GATES}
    shares = {name: left.plot([], [], linewidth=1.0, animated=True, **look)[0] for name, look in looks.items()}
    left.legend(loc="lower left", bbox_to_anchor=(-0.02, 0.97), ncols=2)
    quarters = {0.0: ("first quarter", "--"), 0.75: ("last quarter", "-")}
    curves = {
        begin: right.plot([], [], line, color="#222222", label=label, animated=True)[0]
        for begin, (label, line) in quarters.items()
    }
    right.legend(loc="upper right")
    heading = right.text(1.0, 1.04, "", transform=right.transAxes, ha="right", fontsize=9, animated=True)

    def update(**moved: Any) -> None:
        results = simulate(changed(**moved), [seed], keep)
        beliefs = {"observer": observer.posterior(results), "gates": observer.gate_shares(results)}
        tint.set_data(results.active_task.sel(time=late).values[None] == 0)
        for name, line in shares.items():
            line.set_data(results.time.sel(time=late), beliefs[name].sel(time=late, task=0)[0])
        for begin, line in curves.items():
            curve = after_switches(results, begin * duration, (begin + 0.25) * duration)
            line.set_data(curve.step_since, curve)
        late_results = results.isel(time=slice(-round(window / DT), None))
        wrong = {
            name: float(observer.error_rate(each.sel(time=late), late_results).mean()) for name, each in beliefs.items()
        }
        hazard = results.sizes["block"] / results.sizes["time"]
        text = f"hazard {hazard:.3f} a step; wrong: observer {wrong['observer']:.0%}, gates {wrong['gates']:.0%}"
        heading.set_text(text)

    orders = ("in turn", "at random moments", "interleaved first", "interleaved last")
    sliders = {
        "order": slider(ipywidgets.Dropdown, "switches", options=orders, value=orders[0]),
        "block_length": slider(ipywidgets.FloatSlider, "block length", min=0.1, max=2.5, value=1.0, step=0.1),
        "tau_c": speeds(0.01, 1.0, base.flow.tau_c),
        "noise": slider(ipywidgets.FloatSlider, "noise", min=0.1, max=2.0, value=0.5, step=0.1),
    }
    show = "gl.observer.gate_shares(results).isel(seed=0, task=0).plot()"
    return Explorer(figure, update, sliders, lambda **moved: run_code(changed(**moved), seed, keep, show))
