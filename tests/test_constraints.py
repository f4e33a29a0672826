"""The locks in constraints/: everything that the two commands install stands in them."""

from __future__ import annotations

import importlib.metadata
import os
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.paths import ROOT

FOLDER = ROOT / "constraints"
LOCK = "constraints/cpu.txt"
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
EXTRAS = PROJECT["project"]["optional-dependencies"]
OURS = "mdtree-diagnosis"
APART = ("docs", "png")  # extras that `make test` does not install


def requirements(path: Path) -> list[Requirement]:
    lines = path.read_text().splitlines()
    return [Requirement(line) for line in lines if line.strip() and not line.startswith("#")]


def pins(path: Path, python: str) -> dict[str, Requirement]:
    there = {"python_version": python, "python_full_version": f"{python}.0", "extra": ""}
    pinned: dict[str, Requirement] = {}
    for pin in requirements(path):
        if pin.marker is None or pin.marker.evaluate(there):
            name = canonicalize_name(pin.name)
            assert name not in pinned, f"{name} is locked twice for Python {python}"
            pinned[name] = pin
    return pinned


def version_of(pin: Requirement) -> str:
    (clause,) = pin.specifier
    assert clause.operator == "=="
    return clause.version


def named(*, extras: tuple[str, ...]) -> list[Requirement]:
    lines = [*PROJECT["project"]["dependencies"], *PROJECT["dependency-groups"]["build"]]
    lines += [line for extra in extras for line in EXTRAS[extra]]
    return [wanted for wanted in map(Requirement, lines) if wanted.name != OURS]


@pytest.mark.parametrize("python", PYTHONS)
def test_every_package_that_the_project_names_is_locked_in_a_version_that_it_admits(python):
    locked = pins(FOLDER / "cpu.txt", python)
    for wanted in named(extras=tuple(extra for extra in EXTRAS if extra not in APART)):
        pin = locked[canonicalize_name(wanted.name)]
        assert wanted.specifier.contains(version_of(pin), prereleases=True), wanted


@pytest.mark.parametrize("python", PYTHONS)
def test_the_documentation_is_built_with_locked_versions_and_those_of_the_tests(python):
    locked, of_tests = pins(FOLDER / "docs.txt", python), pins(FOLDER / "cpu.txt", python)
    for wanted in named(extras=("docs",)):
        assert wanted.specifier.contains(version_of(locked[canonicalize_name(wanted.name)])), wanted
    shared = locked.keys() & of_tests.keys()
    assert {"torch", "click", "pydantic"} <= shared
    assert {name: version_of(locked[name]) for name in shared} == {
        name: version_of(of_tests[name]) for name in shared
    }


def test_the_lock_keeps_the_build_of_torch_that_is_chosen_by_hand():
    locked = pins(FOLDER / "cpu.txt", "3.11")
    for wanted in requirements(FOLDER / "cpu.in"):
        assert version_of(locked[wanted.name]) == version_of(wanted)


def test_the_oldest_versions_are_the_floors_of_the_project():
    locked = pins(FOLDER / "oldest.txt", "3.11")
    for wanted in named(
        extras=("hf", "ray", "parquet", "datasets", "pandas", "lightning", "transformers")
    ):
        pin = version_of(locked[canonicalize_name(wanted.name)])
        assert wanted.specifier.contains(pin), wanted
    floors = {"torch": "2.10.0", "transformers": "5.3.0", "ray": "2.54.0", "pyarrow": "16.1.0"}
    floors |= {"lightning": "2.4.0", "accelerate": "1.1.0"}
    assert {name: version_of(locked[name]) for name in floors} == floors


@pytest.mark.parametrize("python", PYTHONS)
def test_tools_are_locked_beside_what_is_tested_in_the_same_versions(python):
    tools, tested = pins(FOLDER / "tools.txt", python), pins(FOLDER / "cpu.txt", python)
    for wanted in map(Requirement, PROJECT["dependency-groups"]["tools"]):
        assert wanted.specifier.contains(version_of(tools[canonicalize_name(wanted.name)])), wanted
    both = tools.keys() & tested.keys()
    assert "pytest" in both
    assert {name: version_of(tools[name]) for name in both} == {
        name: version_of(tested[name]) for name in both
    }


def installed(name: str, extras: frozenset[str]) -> set[tuple[str, frozenset[str]]]:
    """Give what an installed package needs here; what is not installed is not needed here."""
    needed = set()
    for line in importlib.metadata.requires(name) or []:
        wanted = Requirement(line)
        asked = [
            wanted.marker is None or wanted.marker.evaluate({"extra": extra})
            for extra in (extras or {""})
        ]
        if any(asked):
            needed.add((canonicalize_name(wanted.name), frozenset(wanted.extras)))
    return needed


@pytest.mark.skipif(
    os.environ.get("MDTREE_CONSTRAINTS", LOCK) != LOCK,
    reason="the newest or the oldest releases are installed: run `make test` for this one",
)
def test_everything_that_is_installed_for_the_tests_is_locked_in_that_version():
    here = "{}.{}".format(*sys.version_info)
    locked = pins(FOLDER / "cpu.txt", here)
    waiting, seen = [(OURS, frozenset({"dev"}))], set()
    while waiting:
        part = waiting.pop()
        if part not in seen:
            seen.add(part)
            waiting += installed(*part)
    names = {name for name, _ in seen} - {OURS}
    assert {"torch", "pytest", "numpy", "transformers", "ray", "pip-audit"} <= names
    wrong = {}
    for name in names:
        version = importlib.metadata.version(name).partition("+")[0]  # 2.13.0+cpu
        if name not in locked or version != version_of(locked[name]):
            wrong[name] = version
    assert wrong == {}, "run `make lock`, or install anew from the lock"
