"""Hostile recipes, trees and rows, through the commands that read them.

What each reader refuses in itself is in recipes/test_yaml.py, test_factory.py,
trees/test_reading.py, rows/test_reading.py and trees/test_fuzz.py.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import pkgutil
from dataclasses import replace
from pathlib import Path

import pytest

from mdtree.exceptions import MdtreeError, RecipeError
from mdtree.factory import call, find
from mdtree.recipes import KNOWN_PACKAGES, Trust, read_recipe
from mdtree.rows import GroupFailure, Measured, Missing, Row, read_rows, write_rows
from mdtree.trees import write_tree
from tests.support.reports import tree
from tests.support.zoos import change_recipe

FOUND = Trust()


def recipe_of(zoo: Path, text: str) -> None:
    (zoo / "mdtree.yaml").write_text(text)


LAUGHS = "".join(f"x{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: !!python/object/apply:os.system ['touch {mark}']\n", "python/object/apply"),
        ("model: !!python/name:os.system\n", "python/name"),
        ("? !!python/object/new:os.system ['touch {mark}']\n: 1\n", "python/object/new"),
        ("model: os:system\n", "names 'os:system'"),
        ("model: {{factory: 'builtins:eval', kwargs: {{x: '1'}}}}\n", "names 'builtins:eval'"),
        ("model: {{factory: cnn}}\nloss: os:system\n", "names 'os:system'"),
        (
            "model: cnn\ndata: {{source: 'os:system', kwargs: {{command: 'touch {mark}'}}}}\n",
            "names",
        ),
        ("model: cnn\ndata: {{source: digits, transform: {{factory: 'os:system'}}}}\n", "names"),
        ("model: mdtree.factory:call\n", "names 'mdtree.factory:call'"),
        ("model: mdtree.models.huggingface:nn\n", "is a module"),
        ("model: mdtree.models.huggingface:vision\n", "is a module"),
        ("x0: &a0 [1, 1]\n" + LAUGHS, "expands to more than"),
        ("model: " + "[" * 40_000 + "\n", "nested more than 50 levels"),
        ("model: {{factory: cnn, kwargs: {{width: " + "9" * 4000 + "}}}}\n", "at most 64 bits"),
        ("model: {{factory: cnn, kwargs: {{width: 1000000000}}}}\n", "cnn with"),
        ("model: {{factory: mlp, kwargs: {{width: .inf}}}}\n", "mlp"),
        ("model: cnn\nbatch_size: .nan\n", "batch_size"),
        ("\x00" * 9, "special characters"),
        ("# " + "x" * (2 << 20), "too large for a recipe"),
    ],
)
def test_a_hostile_recipe_beside_the_weights_runs_nothing(mdtree, zoo, text, words):
    mark = zoo / "mark"
    text = text.replace("{mark}", str(mark)).replace("{{", "{").replace("}}", "}")
    recipe_of(zoo, text)
    ran = mdtree("measure", zoo, "--metrics", "error_rate")
    assert ran.code in (1, 2)
    assert words in ran.err
    assert "Traceback" not in ran.err
    assert len(ran.err) < 20_000
    assert not mark.exists()


def functions():
    """Name all that a recipe which was found may call in this package."""
    rooms = [importlib.import_module(room) for room in KNOWN_PACKAGES["mdtree"]]
    modules = list(rooms)
    for room in rooms:
        inner = pkgutil.iter_modules(getattr(room, "__path__", ()), f"{room.__name__}.")
        modules += [importlib.import_module(entry.name) for entry in inner]
    for module in modules:
        for name, thing in vars(module).items():
            if callable(thing) and not name.startswith("_"):
                yield f"{module.__name__}:{name}"


def test_no_function_of_this_package_can_be_turned_against_the_user(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    secret = tmp_path / "secret.pt"
    secret.write_text("kept")
    called = 0
    for name in sorted(set(functions())):
        try:
            function = find(name, FOUND)
            parameters = inspect.signature(function).parameters
        except (MdtreeError, ValueError):
            continue
        called += 1
        for value in (str(secret), f"touch {tmp_path}/mark", "os:system", {"factory": "os:system"}):
            with pytest.raises(MdtreeError):
                call(function, {**dict.fromkeys(parameters, value), "absent": 1}, name)
            try:
                call(function, dict.fromkeys(parameters, value), name)
            except MdtreeError:
                continue
    assert called > 20
    assert [path.name for path in tmp_path.iterdir()] == ["secret.pt"]
    assert secret.read_text() == "kept"


@pytest.mark.parametrize("kind", ["text", "pipe", "device", "directory"])
@pytest.mark.parametrize("up", [True, False])
def test_data_that_a_found_recipe_names_elsewhere_are_read_as_data_or_not_at_all(
    mdtree, zoo, kind, up
):
    """Data lie elsewhere in many honest zoos; what is no data is not shown, and nothing hangs."""
    path = zoo.parent / "elsewhere"
    if kind == "text":
        path.write_text("the secret of the user")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    named = "../elsewhere" if up else str(path)
    change_recipe(zoo, data={"source": "tensors", "train": named})
    ran = mdtree("measure", zoo, "--metrics", "error_rate")
    assert ran.code in (1, 2)
    assert "data file" in ran.err or "data folder" in ran.err
    assert "secret" not in ran.out + ran.err
    assert not [file for file in zoo.rglob("*.jsonl") if "secret" in file.read_text()]


def test_a_picture_that_never_ends_is_no_picture(mdtree, zoo):
    for half in ("train", "test"):
        (zoo / half / "a").mkdir(parents=True)
        os.mkfifo(zoo / half / "a" / "x.png")
    change_recipe(zoo, data={"source": "images", "root": "."})
    ran = mdtree("measure", zoo, "--metrics", "error_rate")
    assert "no image folder in" in ran.err


def test_huge_words_of_a_recipe_are_not_repeated(tmp_path):
    (tmp_path / "r.yaml").write_text(f"model: {{factory: cnn, {'k' * 900_000}: 1}}\n")
    with pytest.raises(RecipeError) as stop:
        read_recipe(tmp_path / "r.yaml")
    assert len(str(stop.value)) < 5_000


EVIL = "<script>alert(1)</script>\x1b[2J\x9b2J\u202e\r\nerror: x"


@pytest.fixture
def rows(tmp_path):
    """One row whose every word is hostile, and a sound one."""
    numbers = {"train_error": 1.0, "hessian_trace": 9.0, "connectivity": -0.1, "cka": 0.5}
    known = {name: Measured(value=value) for name, value in numbers.items()}
    made = [
        Row(
            format=1,
            group=group,
            protocol="standard-1",
            facts={"width": 2, "batch_size": 8, "data_amount": 100, **facts},
            quantities=known | more,
        )
        for group, facts, more in (
            ("sound", {}, {}),
            (EVIL, {EVIL: EVIL, "zoo": EVIL}, {EVIL: Missing(missing=EVIL)}),
            (EVIL + "2", {}, {"cka": Missing(missing=EVIL)}),
        )
    ]
    lost = Row(
        format=1,
        group=EVIL + "3",
        protocol="standard-1",
        facts={},
        quantities={"cka": Missing(missing=EVIL)},
        failure=GroupFailure(kind=EVIL, reason=EVIL),
    )
    write_rows(tmp_path / "rows.jsonl", [*made, lost])
    return tmp_path / "rows.jsonl"


def harmless(text: str) -> bool:
    return all(letter.isprintable() or letter == "\n" for letter in text)


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_hostile_rows_are_judged_and_shown_as_they_are_not_sent(mdtree, rows, form):
    write_tree(rows.with_name("tree.json"), tree())
    page = rows.with_name("report.html")
    ran = mdtree("diagnose", rows, "--tree", rows.with_name("tree.json"), "--html", page, *form)
    assert ran.code == 1  # one group failed
    assert harmless(ran.out + ran.err)
    said = page.read_text()
    assert "<script" not in said
    assert harmless(said)
    if form:
        groups = [verdict["group"] for verdict in json.loads(ran.out)["verdicts"]]
        assert groups == ["sound", EVIL, EVIL + "2"]  # nothing is lost for a machine


@pytest.mark.parametrize("form", [[], ["--json"], ["--markdown"]])
def test_hostile_rows_are_compared_and_shown_as_they_are_not_sent(mdtree, rows, form):
    changed = [replace(row, facts={**row.facts, "width": 4, "x": EVIL}) for row in read_rows(rows)]
    write_rows(rows.with_name("after.jsonl"), changed)
    ran = mdtree("compare", rows, rows.with_name("after.jsonl"), *form)
    assert ran.code == 1  # one group failed
    assert harmless(ran.out + ran.err)
    assert not [line for line in (ran.out + ran.err).splitlines() if line.startswith("error: x")]
    if form == ["--markdown"]:
        assert "<script" not in ran.out
    html = rows.with_name("page.html")
    mdtree("compare", rows, rows.with_name("after.jsonl"), "--html", html)
    assert harmless(html.read_text())
    assert "<script" not in html.read_text()
    if form == ["--json"]:
        groups = [found["before"] for found in json.loads(ran.out)["comparisons"]]
        assert groups == ["sound", EVIL, EVIL + "2"]


@pytest.mark.parametrize(
    "line",
    [
        b'{"a":' * 90_000,
        b"[" * 90_000,
        b'{"format":1,"group":' + b'"a"' * 9_999,
        b'{"format":1,"group":"a","protocol":"p","facts":{"w":NaN},"quantities":{}}',
        b'{"format":1,"group":"a","protocol":"p","facts":{},"quantities":{"q":{"value":1e999}}}',
        b'{"format":1,"group":"a","protocol":"p","facts":{"w":'
        + b"9" * 5000
        + b'},"quantities":{}}',
        b"x" * (17 << 20),
        b"\x1b[2J\x9b\n" * 9,
    ],
)
@pytest.mark.parametrize("command", ["show", "diagnose", "fit", "export", "compare"])
def test_a_hostile_line_is_refused_by_every_command_in_one_sentence(
    mdtree, tmp_path, line, command
):
    path = tmp_path / "rows.jsonl"
    path.write_bytes(line + b"\n")
    words = {
        "show": ["rows", "show", path],
        "export": ["rows", "export", path],
        "diagnose": ["diagnose", path],
        "fit": ["fit", path, "--out", tmp_path / "t.json"],
        "compare": ["compare", path, path],
    }[command]
    ran = mdtree(*words)
    assert ran.code == 2
    assert f"error: {path}" in ran.err
    assert len(ran.err) < 2_000
    assert harmless(ran.err)
    assert ran.out == ""


def test_words_of_a_tree_stay_words(mdtree, rows):
    path = rows.with_name("tree-<script>\x1b[2J.json")
    write_tree(path, tree())
    content = json.loads(path.read_text())
    content["provenance"] = {EVIL: EVIL, "data": EVIL, "commands": EVIL}
    path.write_text(json.dumps(content))
    page = rows.with_name("report.html")
    for words in (["tree", "show", path], ["diagnose", rows, "--tree", path, "--html", page]):
        ran = mdtree(*words)
        assert harmless(ran.out + ran.err)
        assert "Traceback" not in ran.err
    assert "<script" not in page.read_text()
