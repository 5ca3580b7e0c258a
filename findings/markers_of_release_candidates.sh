#!/usr/bin/env bash
# pip 26.1 (the marker code inside it) and uv 0.13.9.
# Expected: of `python_full_version < '3.12'` and `>= '3.12'` exactly one holds, and installers agree on which.
# Found: for 3.12.0rc1 neither holds in pip, which leaves out a requirement that is split in two by them, without a
# word. uv leaves the "rc1" aside, and the second holds. (PEP 440: `<` excludes pre-releases of its version.)
# For gatedlib: requirements.txt, which uv exports, splits jax, numpy and scipy by Python; `make lock` writes markers of
# python_version there, of which one holds in both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/python -m pip install --quiet --disable-pip-version-check pip==26.1 uv==0.13.9
cat > requirements.in <<'TXT'
six==1.16.0 ; python_full_version < '3.12'
six==1.17.0 ; python_full_version >= '3.12'
TXT
venv/bin/pip --version | cut -d' ' -f1,2
venv/bin/uv --version | cut -d' ' -f1,2
venv/bin/python - <<'PY' > pip.txt
from pip._vendor.packaging.requirements import Requirement

candidate = {"python_full_version": "3.12.0rc1", "python_version": "3.12"}
for line in open("requirements.in", encoding="utf-8"):
    requirement = Requirement(line)
    print(f"{requirement.name}{requirement.specifier}", requirement.marker.evaluate(candidate))
PY
venv/bin/uv pip compile --quiet --no-header --no-annotate --python-version 3.12.0rc1 requirements.in > uv.txt
echo "pip on 3.12.0rc1, requirement and whether it applies:"
cat pip.txt
echo "uv on 3.12.0rc1 takes:"
cat uv.txt
diff pip.txt <(printf 'six==1.16.0 False\nsix==1.17.0 False\n')
diff uv.txt <(echo six==1.17.0)
