"""Explorers in pages: their modules and their script, on the pages that have one."""

import json
from pathlib import Path

from gatedlib.view.explorers import explorer
from gatedlib.view.explorers.explorer import joined, needed, read

SCRIPT, STYLE = "explorers.js", "explorers.css"
BEGIN = "document.documentElement.dataset.scripts = ''"


def write(app):
    """Put modules and script into one file that any page may load, also one that is opened from a folder."""
    if app.builder.format != "html":
        return
    folder = Path(explorer.__file__).parent
    explorers = sorted(path.stem for path in folder.glob("*.js") if "export default" in path.read_text("utf-8"))
    modules = {name: needed(f"{name}.js") for name in explorers}
    files = {file: joined(file) for file in sorted({file for module in modules.values() for file in module})}
    sources = {"modules": modules, "files": files}
    static = Path(app.outdir) / "_static"
    static.mkdir(parents=True, exist_ok=True)
    text = f"window.gatedlibExplorers = {json.dumps(sources)};\n{read('page.js')}"
    (static / SCRIPT).write_text(text, encoding="utf-8")
    (static / STYLE).write_text(read(STYLE), encoding="utf-8")


def load(app, pagename, templatename, context, doctree):
    """Load them where there is a place for an explorer."""
    if "explorer-place" in context.get("body", ""):
        app.add_css_file(STYLE)
        app.add_js_file(None, body=BEGIN)  # before anything is drawn: no still picture flashes up
        app.add_js_file(SCRIPT, loading_method="defer")


def setup(app):
    """Write once, load page by page."""
    app.connect("builder-inited", write)
    app.connect("html-page-context", load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
