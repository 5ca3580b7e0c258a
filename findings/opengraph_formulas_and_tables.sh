#!/usr/bin/env bash
# sphinxext-opengraph 0.13.0 with sphinx 8.2.3.
# Expected: the description of a page, which is shown where a link to it is shared, is its first words as a reader sees
# them, or leaves out what is no words.
# Found: a formula stands there as its LaTeX source, without the space before it ("constant\tau_w"), and a table as its
# cells between runs of commas. Nothing is said.
# For gatedlib: `_ext/sharing.py` gives descriptions of its own, of sentences that are words alone, and a test reads
# those of all pages. In a book of yours write `:og:description:` at the head of a page.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check sphinx==8.2.3 sphinxext-opengraph==0.13.0
cat >conf.py <<'PY'
extensions = ["sphinxext.opengraph"]
ogp_site_url = "https://example.org/"
ogp_social_cards = {"enable": False}
PY
cat >index.rst <<'RST'
Learning rates
==============

Weights learn with the time constant :math:`\tau_w`.

====== =====
name   value
====== =====
tau_w  1.3
====== =====
RST
mkdir pages && mv conf.py index.rst pages
venv/bin/python -m sphinx -q pages out 2>said
venv/bin/python - <<'PY'
import re
from importlib.metadata import version
from pathlib import Path

print("sphinx", version("sphinx"), "sphinxext-opengraph", version("sphinxext-opengraph"))
page = Path("out/index.html").read_text(encoding="utf-8")
(found,) = re.findall('property="og:description" content="(.*)" />', page)
print("description:", found)
assert "constant\\tau_w" in found
assert ",," in found
assert "WARNING" not in Path("said").read_text(encoding="utf-8")
PY
