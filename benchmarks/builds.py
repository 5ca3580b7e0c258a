"""What two builds of the book print differently: `python -m benchmarks.builds OLD/_build NEW/_build`."""

import json
import re
import sys
from pathlib import Path

NOISE = re.compile(r"0x[0-9a-f]+|IPY_MODEL_\w+|[0-9a-f]{32}| id=\"[^\"]*\"|measured in [\d.]+ s")
"""What is never the same twice."""


def printed(path):
    """What the code cells of an executed notebook print, each as a list of lines or of pieces of HTML."""
    cells = [cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        said = []
        for output in cell["outputs"]:
            data = output.get("data", {})
            text = output.get("text") or data.get("text/html") or data.get("text/markdown") or data.get("text/plain")
            if output.get("name") != "stderr" and "image/png" not in data:
                said.append("".join(text or ""))
        yield re.split(r"\n|(?<=>)", NOISE.sub("", "".join(said)))


def main(old, new):
    """Print every line that differs, and how many cells do."""
    cells = differing = 0
    for before in sorted(Path(old, "executed").glob("*.ipynb")):
        after = Path(new, "executed", before.name)
        for number, pair in enumerate(zip(printed(before), printed(after), strict=True), 1):
            lines = [(was, now) for was, now in zip(*pair, strict=False) if was != now]
            cells, differing = cells + 1, differing + bool(lines or len(pair[0]) != len(pair[1]))
            for was, now in lines:
                print(f"{before.stem}, cell {number}: {was.strip()} -> {now.strip()}")
    print(f"{differing} of {cells} cells print something else")


if __name__ == "__main__":
    main(*sys.argv[1:])
