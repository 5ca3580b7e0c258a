"""The built book as one PDF, with contents, bookmarks and page numbers: Chromium prints, pypdf joins what it prints."""

import argparse
import html
import io
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import yaml
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PageObject, PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, NameObject, NullObject, TextStringObject

ROOT = Path(__file__).parent.parent
PAPER = {"format": "A4", "margin": {"top": "15mm", "bottom": "18mm", "left": "15mm", "right": "15mm"}}
WIDTH, HEIGHT = 680, 990  # of what is printed on a page, in CSS pixels

LOOKS = """
:is(.bd-header, .bd-sidebar, .bd-sidebar-secondary, .bd-header-article, .bd-footer, .prev-next-footer, .headerlink,
    button.copybtn, button.enlarge, .scorecard-filters, .toggle-button, #pst-back-to-top, #jb-print-toc, .skip-link) {
  display: none !important;
}
:is(.bd-content, .bd-main, .bd-article-container, .bd-container, .bd-container__inner) {
  display: block !important; max-width: none !important; padding: 0 !important; margin: 0 !important;
}
body, article { font-size: 10pt; font-variant-ligatures: none; } /* so that words can be searched for */
#jb-print-docs-body h1 { margin: 0 0 6mm !important; text-align: left !important; }
article :is(p, li) { orphans: 3; widows: 3; }
article pre { white-space: pre-wrap !important; overflow-wrap: anywhere; font-size: 7.8pt; orphans: 3; widows: 3; }
article :is(table, div.highlight, [class*="highlight-"], .admonition) { break-inside: auto !important; }
article div.highlight { display: block; }
:is(figure, .cell_output img, tr, dt, .sd-card, div.verdict details) { break-inside: avoid; }
:is(h1, h2, h3, h4, summary, dt, thead, .rubric) { break-after: avoid; }
:is(div.verdict > p, div.verdict tr:first-child) { break-after: avoid; }
div.verdict tr:last-child, div.verdict details { break-before: avoid; }
div.verdict summary { margin-top: 1mm; font-size: 8pt; }
div.verdict details p { font-size: 8pt; }
.explorer-place::after { content: "As it begins. In the page it can be moved."; font-size: 8pt; color: #555; }
article .in-one-piece.in-one-piece { break-inside: avoid !important; }
article table { font-size: 8pt; }
table.scorecard { display: table !important; width: 100%; font-size: 7pt !important; }
table.scorecard tr { break-inside: auto; }
table.scorecard td:first-child { min-width: 0 !important; width: 30%; }
table.scorecard td:nth-child(3) { width: 52%; }
article img { max-width: 100%; }

:is(.cell_output, div.math, div.verdict) { overflow: visible !important; max-height: none; }

/* Code that draws a figure is left out, and so is what boxes of claims said before; what else is folded is open. */
:is(.tag_hide-input details.hide, div.verdict details div.highlight, table.scorecard details) { display: none; }
div.cell.tag_hide-cell details.hide > summary { display: none !important; }
details > summary { list-style: none; }
article * { animation: none !important; }
"""

PREPARE = """async ([width, height]) => {
    delete document.documentElement.dataset.scripts                         // stills in the place of explorers
    const article = document.querySelector('article'), all = query => article.querySelectorAll(query)
    for (const box of all('.toggle-hidden')) box.classList.remove('toggle-hidden')
    for (const box of all('details')) box.open = true
    await window.MathJax?.startup?.promise
    await document.fonts.ready

    // Chromium knows of those places only to which a link on the same page leads, shown or not.
    const links = document.createElement('div')
    links.style.display = 'none'
    for (const { id } of all('[id]')) links.append(Object.assign(document.createElement('a'), { href: '#' + id }))
    article.append(links)

    for (const link of all('a[href^="#"]'))                                 // to settings of an explorer: no place
        if (!document.getElementById(decodeURIComponent(link.hash.slice(1)))) link.removeAttribute('href')
    for (const code of all('pre')) {                                        // smaller, where no line then breaks
        code.style.setProperty('white-space', 'pre', 'important')
        const share = Math.max(0.75, code.clientWidth / code.scrollWidth)
        if (share < 1) code.style.fontSize = `${share * parseFloat(getComputedStyle(code).fontSize)}px`
        code.style.setProperty('white-space', '')
    }
    for (const table of all('table')) {                                     // paper cannot be scrolled
        const style = getComputedStyle(table.parentElement)
        const room = table.parentElement.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight)
        const narrowest = (table.style.width = 'min-content', table.getBoundingClientRect().width)
        table.style.width = ''
        if (narrowest > room) Object.assign(table.style, { zoom: room / narrowest, display: 'table' })
    }
    for (const formula of all('mjx-container[display=true]')) {
        const needed = formula.scrollWidth / formula.clientWidth, size = parseFloat(getComputedStyle(formula).fontSize)
        if (needed > 1) formula.style.fontSize = `${size / needed}px`
    }
    for (const figure of all('figure, .cell_output'))                       // with its caption on one page
        for (const picture of figure.querySelectorAll('img')) {
            const words = figure.matches('figure') ? figure.offsetHeight - picture.offsetHeight : 0
            const room = height - words - 60
            if (picture.offsetHeight > room) picture.style.cssText += `
                ;width: auto !important; height: auto !important; max-height: ${room}px !important`
        }
    for (const box of all('pre, div.cell_input, div.verdict, table:not(.verdict *), .admonition'))
        if (box.getBoundingClientRect().height < 0.4 * height) box.classList.add('in-one-piece')

    return Array.from(all('section > h1, section > h2, section > h3'), heading => {
        const words = heading.cloneNode(true)
        for (const link of words.querySelectorAll('.headerlink')) link.remove()
        return [Number(heading.tagName[1]), words.textContent.trim(), heading.parentElement.id]
    })
}"""

FRONT = """<!doctype html><style>
body { margin: 0; font: 10.5pt/1.5 sans-serif; font-variant-ligatures: none; color: #222; }
h1 { font-size: 30pt; font-weight: 500; line-height: 1.2; margin: 70mm 0 6mm; }
h2 { font-size: 17pt; font-weight: 500; margin: 0 0 2mm; break-before: page; }
h3 { font-size: 10.5pt; margin: 2.2mm 0 0; break-after: avoid; }
a { color: inherit; text-decoration: none; display: flex; line-height: 1.3; }
a::before { content: ""; order: 1; flex: 1; border-bottom: 1px dotted #999; margin: 0 2mm 1.3mm; }
a span { order: 2; }
p { max-width: 135mm; }
</style>"""


@dataclass
class Chapter:
    """A page of the book in print: its sheets, and its headings as (level, words, id)."""

    file: PdfReader
    headings: list[tuple[int, str, str]]
    begin: int = 0

    @property
    def title(self) -> str:
        """Its first heading."""
        return self.headings[0][1]

    def place(self, anchor: str) -> tuple[int, Any] | None:
        """On which sheet of the book something stands, and how high; nothing if it is not in print."""
        found = self.file.named_destinations.get(f"/{anchor}")
        if found is None:
            return None
        return self.begin + self.file.get_destination_page_number(found), found.top or NullObject()


def contents(toc: Path) -> list[tuple[str, list[str]]]:
    """The parts of the table of contents: a caption and its pages; the first page stands alone."""
    table = yaml.safe_load(toc.read_text(encoding="utf-8"))
    parts = [(part["caption"], [chapter["file"] for chapter in part["chapters"]]) for part in table["parts"]]
    return [("", [table["root"]]), *parts]


def laid_out(browser: Browser, source: Path, page: str) -> tuple[Page, list[tuple[int, str, str]]]:
    """One page of the book, ready to be printed, and its headings."""
    tab = browser.new_page(color_scheme="light", viewport={"width": WIDTH, "height": HEIGHT})
    tab.route("**/_static/explorers/*", lambda route: route.abort())
    tab.goto((source / f"{page}.html").as_uri())
    tab.emulate_media(media="print", color_scheme="light")
    tab.add_style_tag(content=LOOKS)
    return tab, tab.evaluate(PREPARE, [WIDTH, HEIGHT])


def printed(browser: Browser, source: Path, page: str) -> Chapter:
    """One page of the book in print."""
    tab, headings = laid_out(browser, source, page)
    made = tab.pdf(print_background=True, **PAPER)
    tab.close()
    return Chapter(PdfReader(io.BytesIO(made)), headings)


def front(browser: Browser, source: Path, parts: list[tuple[str, list[str]]], chapters: dict[str, Chapter]) -> Chapter:
    """A title page and the contents, which take as many sheets as all numbers in them know of."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    work = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    paper = work["preferred-citation"]
    people = ", ".join(f"{person['given-names']} {person['family-names']}" for person in paper["authors"])
    address = os.environ.get("GATEDLIB_REPOSITORY")
    origin = f" The book and the library are at {html.escape(address)}." if address else ""
    opening = f"""<h1>{html.escape(settings["title"])}, run on your machine</h1>
        <p>A book with gatedlib {work["version"]} · {html.escape(settings["author"])} · {settings["copyright"]}</p>
        <p>It accompanies <i>{html.escape(paper["title"])}</i> by {html.escape(people)}
        ({html.escape(paper["collection-title"])}, {paper["year"]}), and is independent of its authors.</p>
        <p>Explorers, which can be moved in the book's own pages, are pictures here. The code that draws figures and
        the code of claims are left out; those pages have it, and so have the notebooks.{origin}</p>
        <p>{settings["html"]["extra_footer"]}</p><h2>Contents</h2>"""

    def sheets(before: int) -> PdfReader:
        lines, begin = [], before
        for caption, pages in parts:
            lines.append(f"<h3>{html.escape(caption)}</h3>" if caption else "")
            for page in pages:
                place = (source / f"{page}.html").as_uri()
                title = html.escape(chapters[page].title)
                lines.append(f'<a href="{place}">{title}<span>{begin + 1}</span></a>')
                begin += len(chapters[page].file.pages)
        tab = browser.new_page()
        tab.set_content(FRONT + opening + "".join(lines))
        made = tab.pdf(**PAPER)
        tab.close()
        return PdfReader(io.BytesIO(made))

    return Chapter(sheets(len(sheets(0).pages)), [(1, "Contents", "")])


def numbers(browser: Browser, titles: list[str]) -> PdfReader:
    """Pages that are empty but for their number and the title of their chapter, to be laid over others."""
    rows = "".join(
        f"<div><span>{html.escape(title)}</span><span>{n}</span></div>" if n > 1 else "<div></div>"
        for n, title in enumerate(titles, 1)
    )
    style = """@page { size: A4; margin: 0 }
        body { margin: 0; font: 8pt sans-serif; font-variant-ligatures: none; color: #555 }
        div { height: 296.9mm; box-sizing: border-box; padding: 284mm 15mm 0; display: flex;
              justify-content: space-between; break-after: page }"""
    tab = browser.new_page()
    tab.set_content(f"<style>{style}</style>{rows}")
    made = tab.pdf(format="A4", print_background=False)
    tab.close()
    return PdfReader(io.BytesIO(made))


def whole_book(source: Path, parts: list[tuple[str, list[str]]], file: Path) -> int:
    """Print, join, number; the number of pages."""
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        sys.exit("Chromium is not installed: it prints the pages")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        chapters = {}
        for page in (page for _, pages in parts for page in pages):
            chapters[page] = printed(browser, source, page)
            print(f"{page}: {len(chapters[page].file.pages)} pages", flush=True)
        chapters = {"": front(browser, source, parts, chapters), **chapters}
        footers = numbers(browser, [chapter.title for chapter in chapters.values() for _ in chapter.file.pages])
        browser.close()
    writer = PdfWriter()
    for chapter in chapters.values():
        chapter.begin = len(writer.pages)
        for sheet in chapter.file.pages:
            writer.add_page(sheet)
    for sheet, footer in zip(writer.pages, footers.pages, strict=True):
        sheet.merge_page(footer)
    for page, chapter in chapters.items():
        for n in range(len(chapter.file.pages)):
            relink(writer, writer.pages[chapter.begin + n], page, chapters)
    writer.add_outline_item(title="Contents", page_number=1)
    for caption, pages in parts:
        part = writer.add_outline_item(title=caption, page_number=chapters[pages[0]].begin) if caption else None
        for page in pages:
            add_bookmarks(writer, chapters[page], part)
    describe(writer)
    file.parent.mkdir(parents=True, exist_ok=True)
    writer.write(file)
    return len(writer.pages)


def add_bookmarks(writer: PdfWriter, chapter: Chapter, part: Any) -> None:
    """Bookmarks of a chapter and of its sections, which are folded."""
    above = {0: part}
    for level, words, anchor in chapter.headings:
        sheet, top = chapter.place(anchor) or (chapter.begin, NullObject())
        parent = next(above[higher] for higher in range(level - 1, -1, -1) if higher in above)
        goal = destination(writer, sheet, top)
        item = DictionaryObject({NameObject("/Title"): TextStringObject(words), NameObject("/Dest"): goal})
        above = {higher: each for higher, each in above.items() if higher < level}
        above[level] = writer.add_outline_item_dict(item, parent=parent, is_open=False)


def destination(writer: PdfWriter, sheet: int, top: Any) -> ArrayObject:
    """A place on a sheet, seen as large as before."""
    at = writer.pages[sheet].indirect_reference
    return ArrayObject([at, NameObject("/XYZ"), NullObject(), top, NullObject()])


def relink(writer: PdfWriter, sheet: PageObject, page: str, chapters: dict[str, Chapter]) -> None:
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
        if goal not in chapters or "=" in anchor:  # settings of an explorer, which is not alive here
            continue
        number, top = chapters[goal].place(anchor) or (chapters[goal].begin, NullObject())
        looks = [key for key in ("/Type", "/Subtype", "/Rect", "/Border") if key in note]
        link = DictionaryObject({NameObject(key): note[key] for key in looks})
        link[NameObject("/Dest")] = destination(writer, number, top)
        kept.append(writer._add_object(link))
    if "/Annots" in sheet:
        sheet[NameObject("/Annots")] = kept


def describe(writer: PdfWriter) -> None:
    """What a viewer shows before the first page; and the file is made small."""
    settings = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    writer.metadata = {"/Title": settings["title"], "/Author": settings["author"]}
    writer.root_object[NameObject("/Lang")] = TextStringObject("en")
    writer.page_mode = "/UseOutlines"
    writer.create_viewer_preferences().display_doctitle = True
    writer.compress_identical_objects()
    for sheet in writer.pages:
        sheet.compress_content_streams()


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
