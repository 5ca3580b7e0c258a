"""Metrics: pure functions of results, from labelled data to labelled data.

Blocks are numbered from 1. Anything that needs to know which path serves which task matches them first
(`matching`): the assignment with the best total alignment, once per run, over its last tenth. Tasks that are made of
others (`Sums`, `RowMixtures`) have no path of their own and are left out of it. Where each output neuron has gates of
its own (`NeuronGated`), it has its own assignment too.

Metrics of results also take the results of a sweep, and are then taken in each cell; `per_block`, `end_of_block` and
`mixing_cost` want a single run (`gatedlib.results.cell`).
"""

from gatedlib.analysis.gate_readout import decoded_task, matching_by_gates
from gatedlib.analysis.matching import components, matching, reorder_paths
from gatedlib.analysis.specialization import (
    alignment_crossed,
    alignment_matched,
    gate_like,
    gate_off,
    gate_on,
    specialization,
    total_alignment,
)
from gatedlib.analysis.switching import (
    end_loss,
    end_of_block,
    last,
    mixing_cost,
    per_block,
    post_switch_loss,
    switch_cost,
    switch_duration,
    switch_loss,
    time_to_criterion,
)

__all__ = [
    "alignment_crossed",
    "alignment_matched",
    "components",
    "decoded_task",
    "end_loss",
    "end_of_block",
    "gate_like",
    "gate_off",
    "gate_on",
    "last",
    "matching",
    "matching_by_gates",
    "mixing_cost",
    "per_block",
    "post_switch_loss",
    "reorder_paths",
    "specialization",
    "switch_cost",
    "switch_duration",
    "switch_loss",
    "time_to_criterion",
    "total_alignment",
]
