"""Punctuation stays with its formula: a browser may break a line on either side of one, whatever stands there."""

import re

from docutils import nodes
from sphinx.transforms.post_transforms import SphinxPostTransform

AFTER = re.compile(r"[,.;:!?)\]%”’]+|[-–][^\W\d]+")
BEFORE = re.compile(r"[(\[“‘]+$")


class KeepPunctuation(SphinxPostTransform):
    """Put a formula and the punctuation around it into one element, in which no line is broken."""

    default_priority = 700
    formats = ("html",)

    def run(self, **kwargs):
        """Change every formula within a line that has punctuation beside it."""
        for formula in list(self.document.findall(nodes.math)):
            line, place = formula.parent, formula.parent.index(formula)
            before, after = (line[n] if 0 <= n < len(line) else None for n in (place - 1, place + 1))
            opening = BEFORE.search(before.astext()) if isinstance(before, nodes.Text) else None
            closing = AFTER.match(after.astext()) if isinstance(after, nodes.Text) else None
            if not opening and not closing:
                continue
            together = nodes.inline(classes=["unbroken"])
            first, last = place, place + 1
            if opening:
                first -= 1
                together += nodes.Text(opening[0])
            together += formula.deepcopy()
            if closing:
                last += 1
                together += nodes.Text(closing[0])
            rest = [nodes.Text(before[: opening.start()])] if opening else []
            line[first:last] = [*rest, together, *([nodes.Text(after[closing.end() :])] if closing else [])]


def setup(app):
    """Run it on every page."""
    app.add_post_transform(KeepPunctuation)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
