"""Explorers: interactive figures, the same in a notebook and in a page, which needs no kernel."""

from gatedlib.view.explorers.bench import bench
from gatedlib.view.explorers.explorer import Explorer
from gatedlib.view.explorers.followed import choices
from gatedlib.view.explorers.learning import phase_diagram, regimes, schedule, second_layer, session, smallest
from gatedlib.view.explorers.trained import change_of_mind, compose, gates_by_hand, switch

__all__ = [
    "Explorer",
    "bench",
    "change_of_mind",
    "choices",
    "compose",
    "gates_by_hand",
    "phase_diagram",
    "regimes",
    "schedule",
    "second_layer",
    "session",
    "smallest",
    "switch",
]
