"""Reference pages: a table of public names with a sentence each, and below it what their docstrings say.

`.. reference:: Experiment(replace, draw) simulate metrics` names things in `gatedlib`: classes with members to show,
and modules, which stand for all their public names. `:within: reduction` looks for them in that module of `gatedlib`,
`:within: gatedlib_book.claims` in one of the book's package.
"""

import inspect
import pkgutil
import re
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst.directives import unchanged
from docutils.statemachine import StringList
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective

NAME = re.compile(r"(\w+)(?:\(([^)]*)\))?")


def public(module):
    """The public names of a module, in their order there: functions and classes of its own, unless it lists others."""
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == module.__name__]
    return getattr(module, "__all__", [name for name in own if not name.startswith("_")])


def kind(thing):
    """What autodoc calls it; a recorded quantity is data whose docstring says what it is."""
    if inspect.isclass(thing):
        return "exception" if issubclass(thing, BaseException) else "class"
    return "function" if inspect.isroutine(thing) else "data"


def below(module, name):
    """What stands below plain data in the module, line by line."""
    return ModuleAnalyzer.for_module(module.__name__).find_attr_docs().get(("", name), [])


def described(module, name):
    """What is written of it: below it, or in its own docstring, which is not that of its type."""
    thing, lines = getattr(module, name), below(module, name)
    own = kind(thing) != "data" or thing.__doc__ != type(thing).__doc__
    return "\n".join(lines) or (inspect.getdoc(thing) if own else "") or ""


class Reference(SphinxDirective):
    """The directive."""

    required_arguments = 1
    final_argument_whitespace = True
    option_spec: ClassVar = {"within": unchanged}

    def run(self):
        within = self.options.get("within", "")
        path = within if within.startswith("gatedlib_book") else f"gatedlib.{within}".rstrip(".")
        home = pkgutil.resolve_name(path)
        intro, things = [], []
        for name, members in NAME.findall(self.arguments[0]):
            thing = getattr(home, name)
            if inspect.ismodule(thing):
                intro += [*(inspect.getdoc(thing) or "").splitlines(), ""]
                things += [(thing, f"{path}.{name}", each, "") for each in public(thing)]
            else:
                things.append((home, path, name, members))
        rows, entries = [], []
        for module, where, name, members in things:
            text = described(module, name)
            if text:  # colours and the like have no words of their own
                first = " ".join(text.split("\n\n")[0].split())
                rows += [f"   * - :py:obj:`~{where}.{name}`", f"     - {first}"]
                if lines := below(module, name):
                    entries += [f".. py:data:: {where}.{name}", "", *(f"   {line}" for line in lines), ""]
                    continue
                sort = kind(getattr(module, name))
                options = {"class": ["   :no-members:"], "data": ["   :no-value:"]}.get(sort, [])
                options = [f"   :members: {members}"] if members else options
                entries += [f".. auto{sort}:: {where}.{name}", *options, ""]
        table = [".. list-table::", "   :widths: 30 70", "   :class: names", "", *rows, ""]
        node = nodes.Element()
        lines = StringList([*intro, *table, *entries], source=self.get_source_info()[0])
        self.state.nested_parse(lines, self.content_offset, node)
        return node.children


def setup(app):
    """Register the directive."""
    app.add_directive("reference", Reference)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
