#!/usr/bin/env bash
# sphinx 8.2.3, its extension napoleon with the settings that it comes with.
# Expected: of an attribute documented in Google's style, "float: Time constant: of the weights.", the type is what stands
# before the first colon, and the description all that follows.
# Found: as both styles are on, the docstring is read twice, and the second time the beginning of the description is
# taken for another type: it says "of the weights", and of two types, "float" and "Time constant". Where
# no type is given a leading colon, which says so, helps only with one of the styles switched off. Nothing is said.
# For gatedlib: `_config.yml` switches NumPy's style off, and a test reads the types in the reference.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sphinx==8.2.3
mkdir pages
cat >pages/constants.py <<'PY'
tau_w = 1.3
"""float: Time constant: of the weights."""
PY
cat >pages/conf.py <<'PY'
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon"]
PY
cat >pages/index.rst <<'RST'
Constants
=========

.. autodata:: constants.tau_w
   :no-value:
RST
venv/bin/python -m sphinx -q -b text pages both 2>said
venv/bin/python -m sphinx -q -b text -D napoleon_numpy_docstring=0 pages one 2>>said
venv/bin/python - <<'PY'
from importlib.metadata import version
from pathlib import Path

print("sphinx", version("sphinx"))
both, one = (" ".join(Path(folder, "index.txt").read_text(encoding="utf-8").split()) for folder in ("both", "one"))
print("both styles: ", both)
print("Google's only:", one)
assert "Time constant: of the weights." in one and one.endswith("Type: float")
assert "Time constant: of the weights." not in both
assert "Type: Time constant" in both
assert not Path("said").read_text(encoding="utf-8")
PY
