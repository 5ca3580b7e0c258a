"""References as a list of list items: screen readers know no other children of a list."""


def name_items(app, pagename, templatename, context, doctree):
    """Give each reference the role that its list asks for."""
    if "citation-list" in context.get("body", ""):
        context["body"] = context["body"].replace('role="doc-biblioentry"', 'role="listitem"')


def setup(app):
    """Run on every page."""
    app.connect("html-page-context", name_items)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
