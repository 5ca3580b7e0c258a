"""gatedlib: gated linear networks that learn tasks and task abstractions by joint gradient descent."""

import importlib
from typing import TYPE_CHECKING, Any

from gatedlib import record
from gatedlib.composites import RowMixtures, Sums
from gatedlib.curricula import Blocked, Curriculum, Phases, RandomSwitches, Sequence
from gatedlib.engine import simulate
from gatedlib.experiment import DivergenceError, Experiment
from gatedlib.flow import Flow
from gatedlib.inputs import Examples, Noisy, Population, Sampled
from gatedlib.labellings import Labellings
from gatedlib.networks import GatedLinear, LinearNetwork, Network, NeuronGated, Params, TwoLayer
from gatedlib.penalties import Nonnegative, Penalty, Scaled, UnitNorm, WeightCost, WeightDecay
from gatedlib.solver import solve
from gatedlib.sweeps import sweep
from gatedlib.teachers import Correlated, Given, Orthogonal, Spectral, Teachers

if TYPE_CHECKING:
    from gatedlib import explore, images, metrics, observer, plotting, reduction, results, theory, transfer, trunk

__version__ = "0.1.0"

__all__ = [
    "Blocked",
    "Correlated",
    "Curriculum",
    "DivergenceError",
    "Examples",
    "Experiment",
    "Flow",
    "GatedLinear",
    "Given",
    "Labellings",
    "LinearNetwork",
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
    "Sequence",
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
    "trunk",
]

_LAZY = {"explore", "images", "metrics", "observer", "plotting", "reduction", "results", "theory", "transfer", "trunk"}


def __getattr__(name: str) -> Any:
    """Import a submodule that is slow to import, or that few need, when it is first used."""
    if name in _LAZY:
        return importlib.import_module(f"gatedlib.{name}")
    raise AttributeError(f"module 'gatedlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    """All public names, those that are not imported yet among them."""
    return sorted({*globals(), *_LAZY})
