"""MathJax from the book itself: of the 25 MB in the package, what pages ask for."""

import shutil
from importlib.util import find_spec
from pathlib import Path

NEEDED = ("tex-chtml.js", "output/chtml/fonts/woff-v2")


def copy_needed(app, error):
    """Put the script and its fonts among the book's own files."""
    if error:
        return
    package = Path(find_spec("sphinx-mathjax-offline").origin).parent / "static" / "mathjax"
    for name in NEEDED:
        source, target = package / name, Path(app.outdir) / "_static" / "mathjax" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)


def setup(app):
    """Pages load the script from here; it is copied once they are written."""
    app.config.mathjax_path = "mathjax/tex-chtml.js"
    app.connect("build-finished", copy_needed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
