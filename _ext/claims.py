"""The names of claims in a page: {claims}`5A*` lists those that begin so, {claims}`@8B` those about that figure."""

from fnmatch import fnmatchcase

from docutils import nodes
from sphinx.util.docutils import SphinxRole

from gatedlib_book.claims import registry


def listed(patterns):
    """The names that fit one of some patterns, in the order of the book."""
    return [
        claim.id
        for claim in registry()
        if any(pattern == f"@{claim.figure}" or fnmatchcase(claim.id, pattern) for pattern in patterns.split())
    ]


class Claims(SphinxRole):
    """The role."""

    def run(self):
        return [nodes.Text(", ".join(listed(self.text)))], []


def setup(app):
    """Register the role."""
    app.add_role("claims", Claims())
    return {"parallel_read_safe": True, "parallel_write_safe": True}
