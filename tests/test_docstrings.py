"""What is exported is documented, and the examples of the whole package are true."""

from __future__ import annotations

import ast
import doctest
import functools
import importlib
import inspect
import re

import pytest

import mdtree
from mdtree import exceptions
from tests.support.paths import ROOT

PACKAGE = ROOT / "mdtree"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in sorted(PACKAGE.rglob("*.py"))
    if PACKAGE / "data" not in path.parents
}
PACKAGES = [name for name, path in MODULES.items() if path.name == "__init__.py"]
WITH_EXAMPLES = [name for name, path in MODULES.items() if ">>> " in path.read_text()]
FUNCTIONS = [name for name in mdtree.__all__ if inspect.isfunction(getattr(mdtree, name))]


def exported(name):
    """Read `__all__` without importing: some packages need what is optional."""
    for node in ast.parse(MODULES[name].read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


@functools.cache
def sections(name):
    """Split a docstring in Google's form: section -> {name: text}."""
    parts = re.split(r"^(\w+):\n", inspect.getdoc(getattr(mdtree, name)), flags=re.MULTILINE)
    return {
        title: dict(re.findall(r"^    (\w+): (.+)", text, re.MULTILINE)) or text.strip()
        for title, text in zip(parts[1::2], parts[2::2], strict=True)
    }


@pytest.mark.parametrize("name", PACKAGES)
def test_everything_that_a_package_exports_has_a_docstring(name):
    module = importlib.import_module(name)
    assert module.__doc__
    for word in exported(name):
        value = getattr(module, word)
        if inspect.isfunction(value) or inspect.isclass(value):
            written = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__
            assert written, word
            assert not written.startswith(f"{word}("), f"{word}: what dataclass writes by itself"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_python_interface_documents_every_argument_in_their_order(name):
    parameters = list(inspect.signature(getattr(mdtree, name)).parameters)
    assert list(sections(name)["Args"]) == parameters


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_python_interface_says_what_it_returns_and_raises(name):
    assert sections(name)["Returns"]
    raised = sections(name)["Raises"]
    assert set(raised) <= set(exceptions.__all__)
    assert raised


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_are_true(name):
    outcome = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert outcome.attempted > 0
    assert outcome.failed == 0
