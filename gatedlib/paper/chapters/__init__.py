"""What the chapters of the book run, and their claims: each module has a notebook of its name."""

import pkgutil
import re
from pathlib import Path

LONGEST_FIRST = (
    *("sensitivity", "notes", "robustness", "pictures", "depth", "regimes", "observer", "composition"),
    *("emergence", "cognition"),
)
"""Chapters that take long to run, in the order in which to begin them, so that in the end no core waits for one."""


def _in_order_of_book() -> list[str]:
    """All modules here, in the order of the book's table of contents where that is there, as in a clone."""
    contents = Path(__file__).parents[3] / "_toc.yml"
    pages = re.findall(r"book/(\w+)", contents.read_text(encoding="utf-8")) if contents.exists() else []
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return [page for page in pages if page in names] or names


NAMES = _in_order_of_book()
"""The names of these modules, in the order of the book."""
