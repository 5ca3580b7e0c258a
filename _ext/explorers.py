"""Explorers in pages: a script for each, on the pages that have it."""

import re
from pathlib import Path

from gatedlib.view.explorers import explorer
from gatedlib.view.explorers.explorer import joined, read, source

FOLDER, STYLE = "explorers", "explorers.css"
BEGIN = "document.documentElement.dataset.scripts = ''"


def script(name):
    """An explorer and what brings it to its places, as a plain script: a page from a folder may load no module."""
    module = re.sub(r"(?m)^export default", "const explorer =", source(name))
    return f'(() => {{\n"use strict";\n{module}{joined("page.js")}bring("{name}", explorer);\n}})();\n'


def write(app):
    """Put the script of every explorer, and the style of all, where pages find them."""
    if app.builder.format != "html":
        return
    static = Path(app.outdir) / "_static"
    (static / FOLDER).mkdir(parents=True, exist_ok=True)
    for path in Path(explorer.__file__).parent.glob("*.js"):
        if "export default" in path.read_text(encoding="utf-8"):
            (static / FOLDER / path.name).write_text(script(path.stem), encoding="utf-8")
    (static / STYLE).write_text(read(STYLE), encoding="utf-8")


def load(app, pagename, templatename, context, doctree):
    """Load them where there is a place for an explorer."""
    names = sorted(set(re.findall(r'class="explorer-place" data-explorer="(\w+)"', context.get("body", ""))))
    if names:
        app.add_css_file(STYLE)
        app.add_js_file(None, body=BEGIN)  # before anything is drawn: no still picture flashes up
    for name in names:
        app.add_js_file(f"{FOLDER}/{name}.js", loading_method="defer")


def setup(app):
    """Write once, load page by page."""
    app.connect("builder-inited", write)
    app.connect("html-page-context", load)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
