#!/usr/bin/env bash
# pypdf 7.1.1.
# Expected: in a file joined from several, a link leads to the place in its own file that it led to before.
# Found: named destinations are kept once for each name, and the first file's stays. Of two chapters that both have a
# section "exercises" (Chromium names a section after its anchor), the second one's link leads into the first one, with
# append as with add_page. Nothing is said.
# For gatedlib: `.ci/pdf.py` gives every link the page and the height that its own file's destination has, and a test
# looks at where links lead. Do so before you join, or rename the destinations.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check pypdf==7.1.1
venv/bin/python - <<'PY'
import io
import warnings

import pypdf
from pypdf.annotations import Link
from pypdf.generic import NameObject, TextStringObject

print("pypdf", pypdf.__version__)


def chapter(pages):
    """Empty pages; on the first a link to "exercises", which are on the last."""
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(200, 200)
    writer.add_named_destination("exercises", page_number=pages - 1)
    link = writer.add_annotation(0, Link(rect=(10, 10, 50, 50), target_page_index=0))
    link[NameObject("/Dest")] = TextStringObject("exercises")
    file = io.BytesIO()
    writer.write(file)
    return file


def leads_to(reader, page):
    (link,) = (each.get_object() for each in reader.pages[page]["/Annots"])
    return reader.get_destination_page_number(reader.named_destinations[link["/Dest"]])


for name in ("append", "add_page"):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        joined = pypdf.PdfWriter()
        for pages in (2, 3):
            if name == "append":
                joined.append(chapter(pages))
            else:
                for page in pypdf.PdfReader(chapter(pages)).pages:
                    joined.add_page(page)
        file = io.BytesIO()
        joined.write(file)
    reader = pypdf.PdfReader(file)
    found = [leads_to(reader, 0), leads_to(reader, 2)]
    print(f"{name}: links of pages 0 and 2 lead to pages {found}, where [1, 4] were meant; warnings: {len(caught)}")
    assert [leads_to(pypdf.PdfReader(chapter(pages)), 0) for pages in (2, 3)] == [1, 2]
    assert found == [1, 1]
    assert not caught
PY
