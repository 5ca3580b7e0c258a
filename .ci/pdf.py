"""The built book as one PDF, with bookmarks and page numbers: Chromium prints, pypdf joins what it prints."""

import argparse
import io
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from playwright.sync_api import Browser, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, FloatObject, NameObject, NullObject

ROOT = Path(__file__).parent.parent
PAPER = {"format": "A4", "margin": {"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"}}

LOOKS = """
:is(.bd-header, .bd-sidebar, .bd-sidebar-secondary, .bd-header-article, .bd-footer, .prev-next-footer, .headerlink,
    button.copybtn, button.enlarge, .scorecard-filters, .toggle-button, #pst-back-to-top, #jb-print-toc, .skip-link) {
  display: none !important;
}
:is(.bd-content, .bd-main, .bd-article-container, .bd-container, .bd-container__inner) {
  display: block !important; max-width: none !important; padding: 0 !important; margin: 0 !important;
}
body, article { font-size: 10pt; }
article pre { white-space: pre-wrap !important; overflow-wrap: anywhere; font-size: 7.8pt; }
:is(figure, .cell_output img, .admonition, table.claim, tr) { break-inside: avoid; }
:is(h1, h2, h3, h4, summary) { break-after: avoid; }
article table { font-size: 8pt; }
table.scorecard { display: table !important; width: 100%; font-size: 7pt !important; }
table.scorecard tr { break-inside: auto; }
table.scorecard td:first-child { min-width: 0 !important; width: 30%; }
table.scorecard td:nth-child(3) { width: 52%; }
article img { max-width: 100%; }
"""

PREPARE = """() => {
    delete document.documentElement.dataset.scripts                         // stills in the place of explorers
    for (const box of document.querySelectorAll('.toggle-hidden')) box.classList.remove('toggle-hidden')
    for (const box of document.querySelectorAll('.admonition details, details.toggle-details')) box.open = true
    const article = document.querySelector('article'), wide = () => article.getBoundingClientRect().width
    for (const table of article.querySelectorAll('table'))                  // paper cannot be scrolled
        if (table.scrollWidth > wide()) table.style.zoom = wide() / table.scrollWidth
    return document.fonts.ready.then(() => true)
}"""


def contents(toc: Path) -> list[tuple[str, list[str]]]:
    """The parts of the table of contents: a caption and its pages; the first page stands alone."""
    table = yaml.safe_load(toc.read_text(encoding="utf-8"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in table["parts"]]
    return [("", [table["root"]]), *parts]


def printed(browser: Browser, html: Path, page: str) -> bytes:
    """One page of the book in print."""
    tab = browser.new_page(color_scheme="light", viewport={"width": 680, "height": 1000})
    tab.route("**/explorers.js*", lambda route: route.abort())
    tab.goto((html / f"{page}.html").as_uri(), wait_until="networkidle")
    tab.emulate_media(media="print", color_scheme="light")
    tab.add_style_tag(content=LOOKS)
    tab.evaluate(PREPARE)
    made = tab.pdf(outline=True, tagged=True, print_background=True, **PAPER)  # no outline without tags
    tab.close()
    return made


def numbers(browser: Browser, titles: list[str]) -> PdfReader:
    """Pages that are empty but for their number and the title of their chapter, to be laid over others."""
    rows = "".join(f"<div><span>{title}</span><span>{n}</span></div>" for n, title in enumerate(titles, 1))
    style = """@page { size: A4; margin: 0 } body { margin: 0; font: 8pt sans-serif; color: #555 }
        div { height: 296.9mm; box-sizing: border-box; padding: 284mm 15mm 0; display: flex;
              justify-content: space-between; break-after: page }"""
    tab = browser.new_page()
    tab.set_content(f"<style>{style}</style>{rows}")
    made = tab.pdf(format="A4", print_background=False)
    tab.close()
    return PdfReader(io.BytesIO(made))


def whole_book(html: Path, parts: list[tuple[str, list[str]]], file: Path) -> int:
    """Print, join, number; the number of pages."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: it prints the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        readers = {}
        for page in (page for _, pages in parts for page in pages):
            readers[page] = PdfReader(io.BytesIO(printed(browser, html, page)))
            print(f"{page}: {len(readers[page].pages)} pages", flush=True)
        titles = [title_of(reader) for reader in readers.values() for _ in reader.pages]
        footers = numbers(browser, titles)
        browser.close()
    writer = PdfWriter()
    begins: dict[str, int] = {}
    for page, reader in readers.items():
        begins[page] = len(writer.pages)
        for sheet in reader.pages:
            writer.add_page(sheet)
    for sheet, footer in zip(writer.pages, footers.pages, strict=True):
        sheet.merge_page(footer)
    for page, reader in readers.items():
        for n in range(len(reader.pages)):
            relink(writer, writer.pages[begins[page] + n], page, readers, begins)
    for caption, pages in parts:
        part = writer.add_outline_item(title=caption, page_number=begins[pages[0]]) if caption else None
        for page in pages:
            add_outline(writer, readers[page], readers[page].outline, begins[page], part)
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    writer.metadata = {"/Title": settings["title"], "/Author": settings["author"]}
    writer.compress_identical_objects()
    for sheet in writer.pages:
        sheet.compress_content_streams()
    file.parent.mkdir(parents=True, exist_ok=True)
    writer.write(file)
    return len(writer.pages)


def title_of(reader: PdfReader) -> str:
    """The title of a page of the book: its first heading."""
    return str(reader.outline[0].title) if reader.outline else ""


def add_outline(writer: PdfWriter, reader: PdfReader, items: list[Any], begin: int, parent: Any) -> None:
    """Bookmarks of one page of the book, section below section."""
    last = parent
    for item in items:
        if isinstance(item, list):
            add_outline(writer, reader, item, begin, last)
        else:
            number = begin + reader.get_destination_page_number(item)
            last = writer.add_outline_item(title=item.title, page_number=number, parent=parent)


def relink(
    writer: PdfWriter, sheet: PageObject, page: str, readers: dict[str, PdfReader], begins: dict[str, int]
) -> None:
    """Let links within the book lead to their places here; what leads to a file that is not here leads nowhere."""
    kept = ArrayObject()
    for reference in sheet.get("/Annots", []):
        note = reference.get_object()
        action = note.get("/A", DictionaryObject()).get_object()
        address = str(action.get("/URI", ""))
        if address and not address.startswith("file:"):
            kept.append(reference)
            continue
        goal, anchor = page, str(note.get("/Dest", action.get("/D", ""))).removeprefix("/")
        if address:
            parts = urlsplit(address)
            goal, anchor = "/".join(Path(unquote(parts.path)).with_suffix("").parts[-2:]), unquote(parts.fragment)
        if goal not in readers:
            continue
        number, top = begins[goal], NullObject()
        place = readers[goal].named_destinations.get(f"/{anchor}")
        if place is not None:
            number, top = number + readers[goal].get_destination_page_number(place), place.top or NullObject()
        looks = [key for key in ("/Type", "/Subtype", "/Rect", "/Border") if key in note]
        link = DictionaryObject({NameObject(key): note[key] for key in looks})
        at = writer.pages[number].indirect_reference
        link[NameObject("/Dest")] = ArrayObject([at, NameObject("/XYZ"), NullObject(), top, FloatObject(0)])
        kept.append(writer._add_object(link))
    if "/Annots" in sheet:
        sheet[NameObject("/Annots")] = kept


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--html", type=Path, default=ROOT / "_build" / "html")
    arguments.add_argument("--file", type=Path, default=ROOT / "_build" / "gatedlib.pdf")
    arguments.add_argument("pages", nargs="*", help="some pages only, such as book/intro")
    given = arguments.parse_args()
    chosen = contents(ROOT / "_toc.yml")
    if given.pages:
        chosen = [(caption, [page for page in pages if page in given.pages]) for caption, pages in chosen]
        chosen = [(caption, pages) for caption, pages in chosen if pages]
    count = whole_book(given.html.resolve(), chosen, given.file)
    print(f"{given.file}: {count} pages, {given.file.stat().st_size / 1e6:.1f} MB")
