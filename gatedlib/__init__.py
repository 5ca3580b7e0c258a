"""gatedlib: gated linear networks that learn tasks and task abstractions by joint gradient descent."""

import importlib
from typing import TYPE_CHECKING, Any

from gatedlib._internal.extras import require_extra
from gatedlib._internal.version import __version__ as __version__
from gatedlib.model.composites import RowMixtures, Sums
from gatedlib.model.curricula import Blocked, BlockSequence, Curriculum, Phases, RandomSwitches, Schedule
from gatedlib.model.experiment import Experiment
from gatedlib.model.inputs import Examples, Inputs, Noisy, Population, Sampled
from gatedlib.model.labellings import Labellings
from gatedlib.model.learning import Flow
from gatedlib.model.networks import GatedLinear, Network, NeuronGated, Params, TwoLayer
from gatedlib.model.penalties import Nonnegative, Penalty, Scaled, UnitNorm, WeightCost, WeightDecay
from gatedlib.model.teachers import Correlated, Given, Orthogonal, Spectral, Teachers
from gatedlib.simulation import record
from gatedlib.simulation.divergence import DivergenceError
from gatedlib.simulation.simulate import simulate
from gatedlib.simulation.sweep import sweep

if TYPE_CHECKING:
    from gatedlib.analysis import metrics, observer, reduction, theory, transfer, trials
    from gatedlib.simulation import results
    from gatedlib.simulation.ode import solve
    from gatedlib.view import explorers as explore
    from gatedlib.view import plotting
    from gatedlib.vision import images, trunk

__all__ = [
    "BlockSequence",
    "Blocked",
    "Correlated",
    "Curriculum",
    "DivergenceError",
    "Examples",
    "Experiment",
    "Flow",
    "GatedLinear",
    "Given",
    "Inputs",
    "Labellings",
    "Network",
    "NeuronGated",
    "Noisy",
    "Nonnegative",
    "Orthogonal",
    "Params",
    "Penalty",
    "Phases",
    "Population",
    "RandomSwitches",
    "RowMixtures",
    "Sampled",
    "Scaled",
    "Schedule",
    "Spectral",
    "Sums",
    "Teachers",
    "TwoLayer",
    "UnitNorm",
    "WeightCost",
    "WeightDecay",
    "explore",
    "images",
    "metrics",
    "observer",
    "plotting",
    "record",
    "reduction",
    "results",
    "simulate",
    "solve",
    "sweep",
    "theory",
    "transfer",
    "trials",
    "trunk",
]

_LATER = {
    "explore": "gatedlib.view.explorers",
    "images": "gatedlib.vision.images",
    "metrics": "gatedlib.analysis.metrics",
    "observer": "gatedlib.analysis.observer",
    "plotting": "gatedlib.view.plotting",
    "reduction": "gatedlib.analysis.reduction",
    "results": "gatedlib.simulation.results",
    "solve": "gatedlib.simulation.ode:solve",
    "theory": "gatedlib.analysis.theory",
    "transfer": "gatedlib.analysis.transfer",
    "trials": "gatedlib.analysis.trials",
    "trunk": "gatedlib.vision.trunk",
}
"""What is imported when it is first used: matplotlib, widgets and scipy are slow to import."""

_EXTRAS = {"explore": "explore", "images": "images", "plotting": "plot", "trunk": "images"}
"""What needs packages that not everyone installs, and the extra that brings them."""


def __getattr__(name: str) -> Any:
    """Import something when it is first used."""
    if name in _LATER:
        if name in _EXTRAS:
            require_extra(_EXTRAS[name], f"gatedlib.{name}")
        module, _, thing = _LATER[name].partition(":")
        found = importlib.import_module(module)
        return getattr(found, thing) if thing else found
    if name == "paper":  # for one version
        raise AttributeError("gatedlib.paper is now a package beside this one: from gatedlib_book import dynamics")
    raise AttributeError(f"module 'gatedlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, those that are not imported yet among them."""
    return sorted({*globals(), *_LATER})
