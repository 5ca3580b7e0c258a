"""The book in print: bookmarks, page numbers, stills, mathematics, and no way out of it but to the web."""

import importlib.util
import subprocess
import sys

import pytest
from pypdf import PdfReader

from tests.examples import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PAGES = ["book/emergence", "book/bench", "book/figures"]
TITLES = ["When flexibility emerges", "Ask your own question", "Figure by figure"]


@pytest.fixture(scope="module")
def printed(browser, address, tmp_path_factory):  # which say what is missing
    file = tmp_path_factory.mktemp("pdf") / "some.pdf"
    subprocess.run([sys.executable, ROOT / ".ci" / "pdf.py", "--file", file, *PAGES], check=True, capture_output=True)
    return file


def words(page):
    return " ".join(page.extract_text().split())


def test_bookmarks_lead_to_parts_chapters_and_sections(printed):
    reader = PdfReader(printed)
    parts = [item for item in reader.outline if not isinstance(item, list)]
    assert [part.title for part in parts] == ["Contents", "Why it works", "Use the library", "Look things up"]
    chapters = [item for item in reader.outline if isinstance(item, list)]
    assert [chapter[0].title for chapter in chapters] == TITLES
    sections = chapters[0][1]
    assert len(sections) >= 4
    for section in sections:
        page = reader.pages[reader.get_destination_page_number(section)]
        assert section.title in words(page)
        assert 0 < section.top <= page.mediabox.height
    pages = [reader.get_destination_page_number(part) for part in parts]
    assert pages == sorted(pages)
    for part, title in zip(parts[1:], TITLES, strict=True):
        assert words(reader.pages[reader.get_destination_page_number(part)]).startswith(title)


def test_the_contents_say_on_which_page_a_chapter_begins_and_lead_there(printed):
    reader = PdfReader(printed)
    assert "Flexible task abstractions emerge in linear networks" in words(reader.pages[0])
    lines = reader.pages[1].extract_text().splitlines()
    number = {page.indirect_reference.idnum: n for n, page in enumerate(reader.pages, 1)}
    begins = [number[note.get_object()["/Dest"][0].idnum] for note in reader.pages[1]["/Annots"]]
    assert all(f"{title} {begin}" in lines for title, begin in zip(TITLES, begins, strict=True))
    assert all(words(reader.pages[n - 1]).startswith(title) for n, title in zip(begins, TITLES, strict=True))


def test_pages_are_numbered_and_hold_stills_and_formulas(printed):
    reader = PdfReader(printed)
    for number, page in enumerate(reader.pages, 1):
        text = words(page).split()
        assert number == 1 or text[-1] == str(number), number
        assert len(text) > 20, "an empty page"
    bench = next(page for page in reader.pages if "explore.bench(experiment)" in page.extract_text())
    assert max(image.image.width for image in bench.images) > 700
    assert "Keep this one" not in bench.extract_text().split("It begins with")[0]  # no explorer is alive
    assert "$" not in words(reader.pages[2])
    assert r"\tau" not in words(reader.pages[2])
    assert "/Type3" in fonts(reader.pages[2])  # those of formulas
    assert reader.metadata.title == "Flexible task abstractions"


def fonts(page):
    return [font.get_object()["/Subtype"] for font in page["/Resources"]["/Font"].get_object().values()]


def test_what_is_folded_is_open_or_left_out(printed):
    text = " ".join(words(page) for page in PdfReader(printed).pages)
    assert "code cell" not in text  # the handles of folded code
    assert "how it is measured, n = 30" in text
    assert "Solution" in text
    assert text.index("Solution") < text.index("Ask your own question", text.index("Solution"))
    assert "plt.subplots" not in text.split("Ask your own question")[1]


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


@pytest.fixture(scope="module")
def pdf():
    spec = importlib.util.spec_from_file_location("pdf", ROOT / ".ci" / "pdf.py")
    module = sys.modules["pdf"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    yield module
    del sys.modules["pdf"]


@pytest.mark.parametrize(("page", "wide"), [("book/sensitivity", "table"), ("book/api_analysis", "mjx-math")])
def test_nothing_is_wider_than_the_paper(browser, address, pdf, page, wide):
    tab, _ = pdf.laid_out(browser, ROOT / "_build" / "html", page)
    edges = tab.eval_on_selector_all(f"article {wide}", "all => all.map(each => each.getBoundingClientRect().right)")
    tab.close()
    assert len(edges) >= 2
    assert max(edges) <= pdf.WIDTH + 1
