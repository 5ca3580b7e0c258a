"""gatedlib: gated linear networks that learn tasks and task abstractions by joint gradient descent."""

import importlib
from typing import TYPE_CHECKING, Any

from gatedlib import record
from gatedlib.composites import RowMixtures, Sums
from gatedlib.curricula import Blocked, Curriculum, Phases, RandomSwitches, Sequence
from gatedlib.engine import simulate
from gatedlib.experiment import DivergenceError, Experiment
from gatedlib.flow import Flow
from gatedlib.inputs import Population, Sampled
from gatedlib.networks import GatedLinear, Network, NeuronGated, Params
from gatedlib.penalties import Nonnegative, Penalty, Scaled, UnitNorm, WeightCost
from gatedlib.solver import solve
from gatedlib.sweeps import sweep
from gatedlib.teachers import Correlated, Given, Orthogonal, Spectral, Teachers

if TYPE_CHECKING:
    from gatedlib import explore, metrics, plotting, reduction, results, theory, transfer

__version__ = "0.1.0"

__all__ = [
    "Blocked",
    "Correlated",
    "Curriculum",
    "DivergenceError",
    "Experiment",
    "Flow",
    "GatedLinear",
    "Given",
    "Network",
    "NeuronGated",
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
    "UnitNorm",
    "WeightCost",
    "explore",
    "metrics",
    "plotting",
    "record",
    "reduction",
    "results",
    "simulate",
    "solve",
    "sweep",
    "theory",
    "transfer",
]

_LAZY = ("explore", "metrics", "plotting", "reduction", "results", "theory", "transfer")


def __getattr__(name: str) -> Any:
    """Import a submodule that is slow to import (xarray, matplotlib, ipywidgets) when it is first used."""
    if name in _LAZY:
        return importlib.import_module(f"gatedlib.{name}")
    raise AttributeError(f"module 'gatedlib' has no attribute {name!r}")
