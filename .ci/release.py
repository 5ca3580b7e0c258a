"""What is said of a release: the part of the changelog about it. A tag that is not the version is refused.

`python .ci/release.py v0.2.0` prints it.
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def read(*path):
    """A file of the project."""
    with open(os.path.join(ROOT, *path), encoding="utf-8") as opened:
        return opened.read()


def notes(tag):
    """What the changelog says of the version with this tag."""
    version = re.search(r'__version__ = "(.+)"', read("gatedlib", "_internal", "version.py"))[1]
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag!r}, but the version is {version}. Tag v{version}, or change version.py first.")
    heading = rf"^## {re.escape(version)} - \d{{4}}-\d\d-\d\d\n"
    found = re.search(heading + r"(.+?)(?=^## |\Z)", read("CHANGELOG.md"), re.MULTILINE | re.DOTALL)
    if found is None:
        sys.exit(f"CHANGELOG.md has no section '## {version} - YYYY-MM-DD'. Write what changed for users.")
    return found[1].strip()


if __name__ == "__main__":
    print(notes(sys.argv[1]))
