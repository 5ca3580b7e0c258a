"""The book in print: bookmarks, page numbers, stills, mathematics, and no way out of it but to the web."""

import subprocess
import sys

import pytest
from pypdf import PdfReader

from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PAGES = ["book/emergence", "book/bench", "book/figures"]


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    file = tmp_path_factory.mktemp("pdf") / "some.pdf"
    subprocess.run([sys.executable, ROOT / ".ci" / "pdf.py", "--file", file, *PAGES], check=True, capture_output=True)
    return file


def test_bookmarks_lead_to_parts_chapters_and_sections(printed):
    reader = PdfReader(printed)
    parts = [item for item in reader.outline if not isinstance(item, list)]
    assert [part.title for part in parts] == ["Why it works", "Use the library", "Look things up"]
    first = reader.outline[1]
    assert first[0].title == "When flexibility emerges"
    assert len(first[1]) >= 4
    pages = [reader.get_destination_page_number(part) for part in parts]
    assert pages == sorted(pages)
    for part, title in zip(
        parts, ("When flexibility emerges", "Ask your own question", "Figure by figure"), strict=True
    ):
        assert title in reader.pages[reader.get_destination_page_number(part)].extract_text().replace("\n", " ")


def test_pages_are_numbered_and_hold_stills_and_formulas(printed):
    reader = PdfReader(printed)
    for number, page in enumerate(reader.pages, 1):
        text = page.extract_text().split()
        assert text[-1] == str(number) or str(number) in text[-4:], number
        assert len(text) > 20, "an empty page"
    bench = next(page for page in reader.pages if "explore.bench(experiment)" in page.extract_text())
    assert max(image.image.width for image in bench.images) > 700
    assert "Keep this one" not in bench.extract_text().split("It begins with")[0]  # no explorer is alive
    assert "$" not in reader.pages[0].extract_text()
    assert reader.metadata.title == "Flexible task abstractions"


def test_links_stay_within_the_book_or_lead_to_the_web(printed):
    inside, outside = set(), []
    for page in PdfReader(printed).pages:
        for note in page.get("/Annots", []):
            link = note.get_object()
            if "/Dest" in link:
                inside.add((link["/Dest"][0].idnum, str(link["/Dest"][3])))
            else:
                outside.append(link["/A"]["/URI"])
    assert len(inside) > 4  # as many places, which are no beginnings of pages
    assert all(address.startswith("http") for address in outside)
    assert b"file:" not in printed.read_bytes()
    assert str(ROOT).encode() not in printed.read_bytes()
