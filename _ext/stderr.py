"""What a cell writes to stderr is shown to who builds the book, and not in the page; a warning of ours is a warning.

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
    """The warnings in a text that point at a line of the library or of a cell."""
    package = re.escape(str(Path(find_spec("gatedlib").origin).parent) + os.sep)
    return [found[0] for found in re.finditer(rf"(?:{package}|{CELL})[^\n]*?:\d+: \w*Warning: .*", text)]


def written(notebook):
    """What the cells of an executed notebook wrote to stderr: the number of each such cell, and the text."""
    for number, cell in enumerate(notebook["cells"], 1):
        streams = [out for out in cell.get("outputs", ()) if out["output_type"] == "stream" and out["name"] == "stderr"]
        if streams:
            yield number, "".join("".join(stream["text"]) for stream in streams)


def report(page, notebook):
    """Tell who builds the book what the cells of an executed chapter wrote."""
    for number, text in written(notebook):
        logger.info("%s: cell %d wrote to stderr:\n%s", page, number, text.rstrip())
        for warning in warnings_of_ours(text):
            logger.warning("cell %d: %s", number, warning, location=page, type="gatedlib", subtype="stderr")
