#!/usr/bin/env bash
# nbconvert 7.17.1 (HTML), outputs of ipywidgets or anywidget.
# Expected: an output that brings text/html beside its widget shows that HTML where no widget can be had.
# Found: if the notebook holds the widget's state, the HTML is not in the page at all. The page asks two other sites for
# scripts before it can show anything, so that offline the place stays empty. Without that state the HTML is shown.
# For gatedlib: an explorer gives its still picture as an output of its own, which exported pages keep.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check nbconvert==7.17.1 nbformat==5.11.1
venv/bin/python - <<'PY'
import re

import nbconvert
import nbformat
from nbformat.v4 import new_code_cell, new_notebook, new_output

print("nbconvert", nbconvert.__version__)
VIEW = "application/vnd.jupyter.widget-view+json"
STILL = {"text/html": "<p>a still picture</p>", "text/plain": "Explorer()"}
MODEL = "0123456789abcdef0123456789abcdef"
WIDGET = {VIEW: {"model_id": MODEL, "version_major": 2, "version_minor": 1}}
LABEL = {"model_name": "LabelModel", "model_module": "@jupyter-widgets/controls", "model_module_version": "2.0.0"}
STATE = {"version_major": 2, "version_minor": 0, "state": {MODEL: {**LABEL, "state": {"value": "live"}}}}


def page(data, **state):
    notebook = new_notebook(cells=[new_code_cell("show()", outputs=[new_output("display_data", data)])])
    notebook.metadata = nbformat.from_dict({"language_info": {"name": "python"}, **state})
    nbformat.validate(notebook)
    return nbconvert.HTMLExporter().from_notebook_node(notebook)[0]


stateless = page({**STILL, **WIDGET})
beside = page({**STILL, **WIDGET}, widgets={"application/vnd.jupyter.widget-state+json": STATE})
scripts = re.findall(r"""['"](https://[^'"\s]+?(?:require\.min|embed-amd)\.js)['"]""", beside)
sites = sorted({script.split("/")[2] for script in scripts})
print("the still picture is in the page:")
print("  without the widget's state:", "a still picture" in stateless)
print("  with the widget's state:   ", "a still picture" in beside)
print("scripts for the widget:", *sorted(set(scripts)), sep="\n  ")
assert "a still picture" in stateless
assert "a still picture" not in beside
assert len(sites) == 2
PY
