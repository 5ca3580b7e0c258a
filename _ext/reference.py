"""Reference pages: a table of public names with a sentence each, and below it what their docstrings say.

`.. reference:: Experiment(replace, draw) simulate metrics` names things in `gatedlib`: classes with members to show,
and modules, which stand for all their public names. `:within: paper.claims` looks for them in that module.
"""

import importlib
import inspect
import re
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst.directives import unchanged
from docutils.statemachine import StringList
from sphinx.util.docutils import SphinxDirective

NAME = re.compile(r"(\w+)(?:\(([^)]*)\))?")


def public(module):
    """The public names of a module, in their order there: functions and classes of its own, unless it lists others."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def sentence(thing):
    """The first paragraph of a docstring, in one line."""
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


class Reference(SphinxDirective):
    """The directive."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"within": unchanged}

    def run(self):
        path = ".".join(filter(None, ["gatedlib", self.options.get("within")]))
        home = importlib.import_module(path)
        told, rows, entries = [], [], []
        for name, members in NAME.findall(self.arguments[0]):
            thing = getattr(home, name)
            if inspect.ismodule(thing):
                told += [*(inspect.getdoc(thing) or "").splitlines(), ""]
                things = [(f"{path}.{name}.{each}", getattr(thing, each), "") for each in public(thing)]
            else:
                things = [(f"{path}.{name}", thing, members)]
            for full, each, shown in things:
                rows += [f"   * - :py:obj:`~{full}`", f"     - {sentence(each)}"]
                entries += self.entry(full, each, shown)
        table = [".. list-table::", "   :widths: 25 75", "   :class: names", "", *rows, ""]
        node = nodes.Element()
        text = StringList([*told, *table, *entries], source=self.get_source_info()[0])
        self.state.nested_parse(text, self.content_offset, node)
        return node.children

    def entry(self, full, thing, members):
        kind = "data" if not callable(thing) or type(thing).__name__ == "Quantity" else "function"
        if inspect.isclass(thing):
            kind = "exception" if issubclass(thing, BaseException) else "class"
        options = [f"   :members: {members}"] if members else ["   :no-members:"] if kind == "class" else []
        options += ["   :no-value:"] if kind == "data" else []
        return [f".. auto{kind}:: {full}", *options, ""]


def setup(app):
    """Register the directive."""
    app.add_directive("reference", Reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
