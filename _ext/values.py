"""Google's style takes what stands before a colon for the type of a value; ours have sentences there: no types."""


def untyped(app, what, name, obj, options, lines):
    """Begin the words on a value, or on what is returned, with the colon that the style looks for, and no type."""
    if what in ("data", "attribute", "property") and lines:
        lines[0] = f": {lines[0]}"
    for n, line in enumerate(lines[:-1]):
        if line.strip() == "Returns:":
            words = lines[n + 1].lstrip()
            lines[n + 1] = f"{lines[n + 1].removesuffix(words)}: {words}"


def setup(app):
    """Run before the docstring is parsed."""
    app.connect("autodoc-process-docstring", untyped, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
