"""What a cell writes to stderr is logged by the build, and not shown in the page; a warning of ours is a warning.

Libraries write there whatever they like: that there is a GPU, that a cache of fonts is made. None of it is a fault of
the book. A Python warning that points at a line of gatedlib or of a chapter is one, and fails a build that asks for no
warnings.
"""

import os
import re
from importlib.util import find_spec
from pathlib import Path

from sphinx.util import logging

logger = logging.getLogger(__name__)
CELL = r"[/\\]ipykernel_\d+[/\\]"


def warnings_of_ours(text):
    """The warnings in a text that point at a line of the library, of the book's package or of a cell."""
    origins = (find_spec(package).origin for package in ("gatedlib", "gatedlib_book"))
    places = "|".join([*(re.escape(str(Path(origin).parent) + os.sep) for origin in origins), CELL])
    return [found[0] for found in re.finditer(rf"(?:{places})[^\n]*?:\d+: \w*Warning: .*", text)]


def written(notebook):
    """What the cells of an executed notebook wrote to stderr: the number of each such cell, and the text."""
    for number, cell in enumerate(notebook["cells"], 1):
        streams = [out for out in cell.get("outputs", ()) if out["output_type"] == "stream" and out["name"] == "stderr"]
        if streams:
            yield number, "".join("".join(stream["text"]) for stream in streams)


def report(page, notebook):
    """Log what the cells of an executed chapter wrote."""
    for number, text in written(notebook):
        logger.info("%s: cell %d wrote to stderr:\n%s", page, number, text.rstrip())
        for warning in warnings_of_ours(text):
            logger.warning("cell %d: %s", number, warning, location=page, type="gatedlib", subtype="stderr")
