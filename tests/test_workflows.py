"""What runs on GitHub and before commits names what exists, in the versions that are locked."""

from __future__ import annotations

import re

import pytest
import yaml
from packaging.requirements import Requirement

from tests.support.paths import ROOT

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
HOOKS = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())


def locked(name):
    lines = (ROOT / "constraints" / name).read_text().splitlines()
    pins = [Requirement(line) for line in lines if not line.startswith("#")]
    return {pin.name: str(pin.specifier) for pin in pins}


def jobs(path):
    return yaml.safe_load(path.read_text())["jobs"].values()


def steps(path):
    return [step for job in jobs(path) for step in job["steps"]]


def test_there_are_workflows():
    names = {path.stem for path in WORKFLOWS}
    assert {"tests", "wheel", "docs", "audit", "release"} <= names


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_target_of_make_exists(path):
    runs = [step["run"] for step in steps(path) if "run" in step]
    named = [word for run in runs for word in re.findall(r"\bmake (\S+)", run)]
    assert set(named) <= TARGETS
    assert named


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_file_that_is_run_or_read_exists(path):
    runs = " ".join(step.get("run", "") for step in steps(path))
    for file in re.findall(r"\b(?:scripts|mdtree|docs)/[\w./-]+\w", runs):
        assert (ROOT / file).exists(), file


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_workflow_may_do_little_and_ends(path):
    content = yaml.safe_load(path.read_text())
    assert content["permissions"] == {"contents": "read"}
    assert "concurrency" in content
    assert all(job["timeout-minutes"] <= 90 for job in jobs(path))
    more = [job["permissions"] for job in jobs(path) if "permissions" in job]
    assert more == ([{"id-token": "write"}] if path.stem == "release" else [])


def test_every_action_is_named_by_its_commit_and_the_same_one_everywhere():
    pinned = {}
    for path in WORKFLOWS:
        lines = re.findall(r"uses: (\S+)(.*)", path.read_text())
        assert len(lines) == sum("uses" in step for step in steps(path))
        for action, comment in lines:
            name, _, commit = action.partition("@")
            assert re.fullmatch(r"[0-9a-f]{40}", commit), action
            assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), action
            assert pinned.setdefault(name, (commit, comment)) == (commit, comment)


def test_the_package_index_trusts_the_job_without_a_password():
    (path,) = [path for path in WORKFLOWS if path.stem == "release"]
    assert "secrets" not in path.read_text()
    publish = yaml.safe_load(path.read_text())["jobs"]["publish"]
    assert publish["environment"]["name"] == "pypi"
    assert publish["needs"] == "build"


def test_hooks_are_in_the_versions_that_are_locked():
    pins = {**locked("tools.txt"), **locked("cpu.txt")}
    (repository,) = HOOKS["repos"]
    assert repository["repo"] == "local"
    for hook in repository["hooks"]:
        (line,) = hook["additional_dependencies"]
        assert pins[Requirement(line).name] == str(Requirement(line).specifier)
