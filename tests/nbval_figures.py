"""A pytest plugin beside nbval: cells are slow tests, and the figures of compared cells must look as committed."""

from types import SimpleNamespace

import notebook_checks as checks
import pytest
from nbformat import NotebookNode


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "cell"):
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    outputs = getattr(item, "test_outputs", None)
    if outputs is not None:
        committed = SimpleNamespace(cells=[item.cell])
        fresh = SimpleNamespace(cells=[NotebookNode({**item.cell, "outputs": outputs})])
        faults = checks.figures_differ(committed, fresh, checks.LEAST_SSIM)
        assert not faults, faults
    return result
