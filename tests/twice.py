"""Under nbval each cell of a notebook is run once more right after it ran, as readers do who change a number in it."""

import pytest
from nbval.plugin import IPyNbCell


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    yield
    if isinstance(item, IPyNbCell):
        item.add_report_section("call", "nbval", "The cell ran once; this is about running it a second time.")
        item.runtest()
