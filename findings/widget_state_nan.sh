#!/usr/bin/env bash
# ipywidgets 8.1.9 and anywidget 0.11.0, with jupyter_client 8.10.0.
# Expected: a number that is NaN or infinite (a run that diverged, a criterion never met) survives in a widget's state.
# Found: ipywidgets.embed writes NaN into the page's one block of state, which is then no JSON: strict parsers, as in
# browsers, refuse it as a whole. It holds all widgets made so far: one that is not shown spoils those that are. In a
# live notebook the number arrives as the text "nan"; only the kernel's side is warned.
# For gatedlib: in explorers of your own, send None where there is no number, and let the script test for null.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check ipywidgets==8.1.9 anywidget==0.11.0 jupyter_client==8.10.0
venv/bin/python - <<'PY'
import json
import re
import warnings

import anywidget
import ipywidgets
import jupyter_client
import traitlets
from ipywidgets.embed import embed_snippet
from jupyter_client.session import json_packer

for package in (ipywidgets, anywidget, jupyter_client):
    print(package.__name__, package.__version__)


class Reading(anywidget.AnyWidget):
    _esm = "export default { render({ model, el }) { el.textContent = model.get('loss'); } }"
    loss = traitlets.Float().tag(sync=True)


def strict(text):
    """Whether a parser accepts this text that knows JSON's numbers only."""
    try:
        json.loads(text, parse_constant=lambda name: {}[name])
    except KeyError as error:
        return f"refused for {error}"
    return "accepted"


def state(widget):
    return re.search(r'widget-state\+json">(.*?)</script>', embed_snippet(widget), re.DOTALL)[1]


sound = Reading(loss=0.1)
alone = strict(state(sound))
other = Reading(loss=float("nan"))
beside = strict(state(sound))
print("state of a page that shows a loss of 0.1:", alone)
print("the same, once a widget with a loss of nan was made:", beside)
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    live = json_packer({"loss": float("nan")}).decode()
print("live, a loss of nan is sent as", live, "| warnings:", len(caught))
assert alone == "accepted"
assert beside == "refused for 'NaN'"
assert json.loads(live) == {"loss": "nan"}
PY
