"""Jupyter Book always loads sphinx-thebe, whose script is added twice and then fails in the browser: leave it out."""


def drop_thebe(app, pagename, templatename, context, doctree):
    """Keep the scripts of a page, but those of thebe."""
    context["script_files"] = [file for file in context["script_files"] if "THEBE" not in str(vars(file))]


def setup(app):
    """Run once the page's scripts are known."""
    app.connect("html-page-context", drop_thebe, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
