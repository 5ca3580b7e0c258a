"""What a link to a page looks like where people share links, and what reference managers read off it.

Title, description and picture are those of sphinxext-opengraph. Their addresses must be whole: they are given where the
address of the repository is known (see launch.py), from which that of the site follows. Citation tags are here.
"""

import html
import os
from pathlib import Path

import yaml
from launch import repository

ROOT = Path(__file__).parent.parent


def tags(title, book, work, released, paper):
    """The tags of one page: a chapter of the book, which refers to the paper."""
    people = [f"{person['given-names']} {person['family-names']}" for person in paper["authors"]]
    reference = "; ".join(
        [
            f"citation_title={paper['title']}",
            *(f"citation_author={name}" for name in people),
            f"citation_publication_date={paper['year']}",
            f"citation_conference_title={paper['collection-title']}",
        ]
    )
    pairs = [
        ("citation_title", title),
        *(("citation_author", author["name"]) for author in work["authors"]),
        ("citation_publication_date", released.strftime("%Y/%m/%d")),
        ("citation_inbook_title", book),
        ("citation_language", "en"),
        ("citation_reference", reference),
    ]
    return "".join(f'\n<meta name="{name}" content="{html.escape(content)}" />' for name, content in pairs)


def add_tags(app, pagename, templatename, context, doctree):
    """Put them into the head of every page of the book."""
    if doctree is None:
        return
    work = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    title = app.env.titles[pagename].astext()
    made = tags(title, app.config.html_title, work, work["date-released"], work["preferred-citation"])
    context["metatags"] = context.get("metatags", "") + made


def know_the_site(app, config):
    """The address of the site, if there is one."""
    found = repository(os.environ.get("GATEDLIB_REPOSITORY"))
    if found:
        config.ogp_site_url = "https://{}.github.io/{}/".format(*found)


def setup(app):
    """Before sphinxext-opengraph reads its settings, and after it has written its tags."""
    app.setup_extension("sphinxext.opengraph")
    app.connect("config-inited", know_the_site)
    app.connect("html-page-context", add_tags, priority=800)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
