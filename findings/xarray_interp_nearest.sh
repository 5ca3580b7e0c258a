#!/usr/bin/env bash
# xarray 2026.9.0 with scipy 1.17.1.
# Expected: Dataset.interp(method="nearest") takes all variables from the same row, the one that sel would take.
# Found: half-way between two rows, numbers come from the row before (scipy's rule), but flags, text and labels from the
# row after (pandas' rule, as in sel and reindex). For a single time, not in a list, flags and text are left out.
# For gatedlib: a run that is resampled at half steps gets the loss of one block with the task of the next. Use sel or
# reindex with method="nearest".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check xarray==2026.9.0 numpy==2.4.6 pandas==3.1.1 scipy==1.17.1
venv/bin/python - <<'PY'
import scipy
import xarray

print("xarray", xarray.__version__, "scipy", scipy.__version__)
run = xarray.Dataset(
    {"loss": ("time", [10.0, 20.0]), "switched": ("time", [False, True])},
    {"time": [0, 1], "task": ("time", ["A", "B"])},
)
rows = [(10.0, False, "A"), (20.0, True, "B")]


def row(data):
    return data.loss.item(), data.switched.item(), data.task.item()


def at(time):
    return {
        "interp": row(run.interp(time=[time], method="nearest")),
        "sel": row(run.sel(time=time, method="nearest")),
        "reindex": row(run.reindex(time=[time], method="nearest")),
    }


print("rows:", *rows)
for time in (0.4, 0.5, 0.6):
    print("nearest to", time, at(time))
single, listed = (sorted(run.interp(time=time).data_vars) for time in (0.4, [0.4]))
print("variables of interp at 0.4:", single, "and at [0.4]:", listed)
assert (single, listed) == (["loss"], ["loss", "switched"])
assert set(at(0.4).values()) == {rows[0]}
assert set(at(0.6).values()) == {rows[1]}
assert at(0.5) == {"interp": (10.0, True, "B"), "sel": rows[1], "reindex": rows[1]}
PY
