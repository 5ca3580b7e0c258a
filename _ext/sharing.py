"""What a link to a page looks like where people share links, and what reference managers read off it.

Where links are shared, a page has the title and the picture that sphinxext-opengraph gives it. Their addresses must be
whole, so this is for where the address of the repository is known (see launch.py), from which that of the site follows.
Descriptions and citation tags are here: the extension takes the beginning of a page with its tables and formulas. So is
the picture of pages that have none: the first one of the book.
"""

import html
import os
import re
from pathlib import Path
from urllib.parse import urljoin

import yaml
from docutils import nodes
from launch import repository

ROOT = Path(__file__).parent.parent
LONGEST, FORMULA = 250, "\0"
SENTENCE_ENDS = re.compile(r"(?<=[.?!])(?<!\bFig\.) ")
NO_PROSE = (nodes.table, nodes.Admonition, nodes.figure, nodes.citation)
LARGE_PICTURE = '<meta name="twitter:card" content="summary_large_image" />'


def tags(title, book, work, address):
    """The tags of one page: a chapter of the book, which refers to the paper."""
    paper = work["preferred-citation"]
    people = [f"{person['given-names']} {person['family-names']}" for person in paper["authors"]]
    reference = "; ".join(
        [
            f"citation_title={paper['title']}",
            *(f"citation_author={name}" for name in people),
            f"citation_publication_date={paper['year']}",
            f"citation_conference_title={paper['collection-title']}",
            f"citation_volume={paper['volume']}",
            *(f"citation_arxiv_id={each['value'].removeprefix('arXiv:')}" for each in paper["identifiers"]),
        ]
    )
    pairs = [
        ("citation_title", title),
        *(("citation_author", author["name"]) for author in work["authors"]),
        ("citation_publication_date", work["date-released"].strftime("%Y/%m/%d")),
        ("citation_inbook_title", book),
        ("citation_language", "en"),
        *([("citation_public_url", address)] if address else []),
        ("citation_reference", reference),
    ]
    return "".join(f'\n<meta name="{name}" content="{html.escape(content)}" />' for name, content in pairs)


def description(doctree, otherwise):
    """The first sentences of a page that are words alone, of at most 250 letters."""
    for paragraph in doctree.findall(nodes.paragraph):
        if any(isinstance(above, NO_PROSE) for above in parents(paragraph)):
            continue
        copy = paragraph.deepcopy()
        for formula in list(copy.findall(nodes.math)):
            formula.replace_self(nodes.Text(FORMULA))
        told = ""
        for sentence in SENTENCE_ENDS.split(" ".join(copy.astext().split())):
            unfinished = not re.search(r"[.?!]\W*$", sentence)  # it goes on in what stands below
            if FORMULA in sentence or unfinished or (told and len(told) + len(sentence) > LONGEST):
                break
            told = f"{told} {sentence}".strip()
        if len(told) > 30:
            return told
    return otherwise


def parents(node):
    """All that a node stands in."""
    while node.parent is not None:
        node = node.parent
        yield node


def add_tags(app, pagename, templatename, context, doctree):
    """Put them into the head of every page of the book."""
    if doctree is None:
        return
    work = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title, book, site = app.env.titles[pagename].astext(), app.config.html_title, app.config.ogp_site_url
    told = html.escape(description(doctree, f"{title}, a page of {book}"))
    made = tags(title, book, work, site and urljoin(site, app.builder.get_target_uri(pagename)))
    context["metatags"] = f'{context.get("metatags", "")}\n<meta name="description" content="{told}" />{made}\n'
    shared = {"og:description": told, **picture(app, doctree)} if site else {"ogp_disable": ""}
    context["meta"] = {**(context.get("meta") or {}), **shared}


def picture(app, doctree):
    """The first picture of the book, for a page that has none; what the page has is found by sphinxext-opengraph."""
    if next(doctree.findall(nodes.image), None) is not None:
        return {}
    for image in app.env.get_doctree(app.config.root_doc).findall(nodes.image):
        _, name = app.env.images[image["candidates"]["*"]]
        return {"og:image": urljoin(app.config.ogp_site_url, f"_images/{name}"), "og:image:alt": image.get("alt", "")}
    return {}


def know_the_site(app, config):
    """The address of the site, if there is one."""
    found = repository(os.environ.get("GATEDLIB_REPOSITORY"))
    if found:
        config.ogp_site_url = "https://{}.github.io/{}/".format(*found)
        config.ogp_custom_meta_tags = (LARGE_PICTURE,)


def setup(app):
    """Before sphinxext-opengraph writes its tags."""
    app.setup_extension("sphinxext.opengraph")
    app.connect("config-inited", know_the_site)
    app.connect("html-page-context", add_tags, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
