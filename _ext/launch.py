"""Buttons that open a chapter in Binder or in Colab, once the book knows where its repository is.

The address is that of the environment at build time, GATEDLIB_REPOSITORY=https://github.com/owner/name; without it
there are no buttons. Binder runs the repository. Colab opens single notebooks and knows nothing of the library, so each
chapter is also written to the book's folder `colab`, with a first cell that installs it; the branch of that name offers
them.
"""

import copy
import json
import os
import re
from pathlib import Path

BRANCH = "colab"
REFUSED = "GATEDLIB_REPOSITORY is {!r}: it must look like https://github.com/owner/name. Correct it, or leave it out"


def repository(address):
    """Owner and name in an address on GitHub; None where there is no address."""
    if not address:
        return None
    found = re.fullmatch(r"https://github\.com/([\w.-]+)/([\w.-]+?)(?:\.git)?/?", address)
    if found is None:
        raise ValueError(REFUSED.format(address))
    return found.groups()


def buttons(owner, name, page):
    """The entry of the page's header that offers both ways."""
    colab = f"https://colab.research.google.com/github/{owner}/{name}/blob/{BRANCH}/{Path(page).name}.ipynb"
    places = {
        "Binder": (
            f"https://mybinder.org/v2/gh/{owner}/{name}/HEAD?urlpath=lab/tree/{page}.ipynb",
            "a copy of everything",
        ),
        "Colab": (colab, "this chapter alone"),
    }
    links = [
        {"type": "link", "text": text, "url": url, "tooltip": f"Run on {text}: {what}", "icon": "fas fa-play"}
        for text, (url, what) in places.items()
    ]
    group = {"type": "group", "tooltip": "Run this chapter online", "icon": "fas fa-rocket", "label": "launch-buttons"}
    return {**group, "buttons": links}


def for_colab(notebook, address):
    """A chapter that begins with installing the library."""
    install = f'%pip install --quiet "gatedlib[all] @ git+{address.rstrip("/")}"'
    cell = {
        "cell_type": "code",
        "execution_count": None,
        "id": "install",
        "metadata": {},
        "outputs": [],
        "source": install,
    }
    return {**copy.deepcopy(notebook), "cells": [cell, *copy.deepcopy(notebook["cells"])]}


def add_buttons(app, pagename, templatename, context, doctree):
    """Put the buttons on pages that are notebooks."""
    found = repository(os.environ.get("GATEDLIB_REPOSITORY"))
    if found and doctree is not None and app.env.doc2path(pagename).endswith(".ipynb"):
        context["header_buttons"].insert(0, buttons(*found, pagename))


def write_notebooks(app, error):
    """Put the chapters for Colab beside the pages."""
    address = os.environ.get("GATEDLIB_REPOSITORY")
    if error or not address or app.builder.format != "html":
        return
    folder = Path(app.outdir) / "colab"
    folder.mkdir(exist_ok=True)
    for page in app.env.found_docs:
        source = Path(app.env.doc2path(page))
        if source.suffix == ".ipynb":
            notebook = for_colab(json.loads(source.read_text(encoding="utf-8")), address)
            text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
            (folder / source.name).write_text(text, encoding="utf-8")


def setup(app):
    """Refuse a wrong address at once; the rest once pages are written."""
    repository(os.environ.get("GATEDLIB_REPOSITORY"))
    app.connect("html-page-context", add_buttons, priority=600)  # after the theme has made its own
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
