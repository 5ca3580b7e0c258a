"""The chapters that have a module here, which bears the name of the notebook."""

NAMES = (
    *("dynamics", "regimes", "robustness", "reduction", "cycle", "invariant", "emergence"),
    *("composition", "reach", "components", "depth", "pictures"),
    *("cognition", "reversals", "observer", "people", "predictions", "sensitivity"),
)
"""In the order of the book's table of contents."""

LONGEST_FIRST = (
    *("pictures", "depth", "robustness", "sensitivity", "components", "emergence", "observer", "regimes"),
    *("composition", "invariant", "notes", "predictions", "cognition"),
)
"""Chapters that take long to run, in the order in which to begin them, so that in the end no core waits for one."""
