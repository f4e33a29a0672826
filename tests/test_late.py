"""Packages import their names when they are asked for, and each is where its table says."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import mdtree
from mdtree.late import late

LATE = ("diagnosis", "executors", "labelling", "recipes", "rows", "trees", "zoo")
SOURCE = Path(mdtree.__file__).parent


def source_of(package):
    return (SOURCE / package / "__init__.py").read_text()


def imported_for_types(package):
    """Return what type checkers read: the imports of the package's own names."""
    own = f"mdtree.{package}."
    return {
        node.module.removeprefix(own): " ".join(alias.name for alias in node.names)
        for node in ast.walk(ast.parse(source_of(package)))
        if isinstance(node, ast.ImportFrom) and node.module.startswith(own)
    }


def table_of(package):
    """Return what Python reads: the second argument of `late`."""
    (call,) = (
        node
        for node in ast.walk(ast.parse(source_of(package)))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "late"
    )
    return ast.literal_eval(call.args[1])


def test_every_package_that_is_late_is_listed_here():
    found = [
        path.parent.relative_to(SOURCE).as_posix()
        for path in SOURCE.rglob("__init__.py")
        if "__getattr__, __dir__ = late(" in path.read_text()
    ]
    assert sorted(found) == sorted(LATE)


@pytest.mark.parametrize("package", LATE)
def test_type_checkers_and_python_read_the_same_table(package):
    assert table_of(package) == imported_for_types(package)


@pytest.mark.parametrize("package", LATE)
def test_all_names_are_found(package):
    module = importlib.import_module(f"mdtree.{package}")
    assert {name for name in module.__all__ if not hasattr(module, name)} == set()


@pytest.mark.parametrize("package", LATE)
def test_no_name_is_that_of_a_module(package):
    # importing a module sets its name in the package, which would hide the other
    modules = {each.name for each in pkgutil.iter_modules([str(SOURCE / package)])}
    assert not modules & {name for names in table_of(package).values() for name in names.split()}


@pytest.mark.parametrize("package", LATE)
def test_names_are_listed_before_they_are_loaded(package):
    assert set(importlib.import_module(f"mdtree.{package}").__all__) <= set(
        dir(importlib.import_module(f"mdtree.{package}"))
    )


def test_nothing_is_loaded_before_it_is_asked_for():
    code = (
        "import sys, mdtree.rows; assert 'mdtree.rows.writing' not in sys.modules; "
        "from mdtree.rows import Store; assert 'mdtree.rows.writing' in sys.modules; "
        "assert vars(mdtree.rows)['Store'] is Store"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_error_of_the_package():
    import mdtree.rows

    with pytest.raises(AttributeError, match=r"module 'mdtree\.rows' has no attribute 'nothing'"):
        _ = mdtree.rows.nothing


def test_a_name_that_is_not_in_its_module_is_an_error():
    with pytest.raises(AttributeError, match="JSONDecodr"):
        late("json", {"decoder": "JSONDecodr"})[0]("JSONDecodr")
