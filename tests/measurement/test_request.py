"""The request is made in one place: Python and the command line agree, on mistakes too."""

from __future__ import annotations

import json

import pytest

from mdtree import api
from mdtree.api.arguments import is_on_a_cluster
from mdtree.exceptions import MdtreeError, RecipeError, UnreadableError
from mdtree.executors import ExecutorConfig
from mdtree.measurement import make_request
from mdtree.rows import Measured, Row, write_rows
from tests.support.zoos import rows_of, write_zoo

CALLS = pytest.mark.parametrize("name", ["measure", "diagnose"])


def bare(tmp_path):
    """Write checkpoints without a recipe."""
    zoo = write_zoo(tmp_path / "bare", {"a": [0]})
    (zoo / "mdtree.yaml").unlink()
    return zoo


def empty(tmp_path):
    (tmp_path / "empty").mkdir()
    return tmp_path / "empty"


def whole(tmp_path):
    return write_zoo(tmp_path / "whole", {"a": [0]})


# what is measured; the arguments, in Python and as options; the class and the words of the error
MISTAKES = {
    "no place": (lambda _: "nowhere", {}, [], MdtreeError, "nowhere does not exist"),
    "no such recipe": (
        bare,
        {"recipe": "none.yaml"},
        ["--recipe", "none.yaml"],
        RecipeError,
        "none.yaml cannot be read",
    ),
    "device": (
        whole,
        {"device": "warp"},
        ["--device", "warp"],
        MdtreeError,
        "device 'warp' cannot be used",
    ),
    "protocol": (
        whole,
        {"protocol": "paper1"},
        ["--protocol", "paper1"],
        MdtreeError,
        "protocol 'paper1' is unknown, did you mean 'paper-1'? (known: standard-1, paper-1)",
    ),
    "facts": (
        whole,
        {"facts": {"width": [1]}},
        ["--fact", "width=[1]"],
        RecipeError,
        "facts.width: must be a finite number, text, true or false, got [1]",
    ),
    "kind of fact": (
        whole,
        {"facts": {"width": "wide"}},
        ["--fact", "width=wide"],
        RecipeError,
        "width",
    ),
    "no such address": (
        lambda _: "memory://bucket",
        {},
        [],
        UnreadableError,
        "memory://bucket cannot be listed",
    ),
    "address without a recipe": (
        lambda _: "memory:///",
        {},
        [],
        RecipeError,
        "is an object storage: pass a recipe with --recipe",
    ),
}


@CALLS
@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_is_the_same_error_in_both(mdtree, tmp_path, monkeypatch, name, case):
    monkeypatch.chdir(tmp_path)
    make, arguments, options, kind, words = MISTAKES[case]
    place = make(tmp_path)
    with pytest.raises(MdtreeError) as raised:
        getattr(api, name)(place, **arguments)
    ran = mdtree(name, place, *options)
    assert raised.type is kind
    assert words in str(raised.value)
    assert ran.code == raised.value.exit_code
    assert ran.err == f"error: {raised.value}\n"


@pytest.mark.parametrize("make", [bare, empty])
def test_measuring_needs_a_recipe(mdtree, tmp_path, make):
    place = make(tmp_path)
    with pytest.raises(
        RecipeError, match=r"has no mdtree\.yaml, and weights alone do not"
    ) as raised:
        api.measure(place)
    ran = mdtree("measure", place)
    assert (ran.code, ran.err) == (RecipeError.exit_code, f"error: {raised.value}\n")


def test_a_diagnosis_without_a_recipe_needs_weights_alone(mdtree, tmp_path):
    (verdict,) = api.diagnose(bare(tmp_path))
    assert verdict.group == "a"
    place = empty(tmp_path)
    with pytest.raises(MdtreeError, match="empty holds no weights files") as raised:
        api.diagnose(place)
    ran = mdtree("diagnose", place)
    assert (ran.code, ran.err) == (MdtreeError.exit_code, f"error: {raised.value}\n")


@pytest.mark.parametrize("name", ["measure", "diagnose"])
def test_a_seed_is_a_whole_number(mdtree, zoo, name):
    with pytest.raises(MdtreeError, match=r"the seed is a whole number from 0 to .*, got 'x'"):
        getattr(api, name)(zoo, seed="x")
    ran = mdtree(name, zoo, "--seed", "x")
    assert ran.code == MdtreeError.exit_code
    assert "'x' is not a valid integer" in ran.err


@pytest.mark.parametrize("name", ["measure", "diagnose"])
def test_one_argument_of_python_is_two_options_of_which_one_is_given(mdtree, zoo, name):
    ran = mdtree(name, zoo, "--recipe", zoo / "mdtree.yaml", "--model", "cnn")
    assert (ran.code, ran.err) == (
        RecipeError.exit_code,
        "error: --recipe and --model both describe the network: use only one\n",
    )


def test_the_same_words_give_the_same_rows(mdtree, zoo, tmp_path):
    rows = api.measure(
        zoo,
        metrics=["error_rate"],
        device="cpu",
        seed=3,
        facts={"width": 7},
        out=tmp_path / "python.jsonl",
    )
    words = ("--metrics", "error_rate", "--device", "cpu", "--seed", -3, "--fact", "width=7")
    assert mdtree("measure", zoo, *words, "--out", tmp_path / "words.jsonl").code == 0
    written = rows_of(tmp_path / "words.jsonl")
    for row in rows:
        assert row.facts == written[row.group].facts
        assert row.facts["width"] == 7
        assert row.quantities == written[row.group].quantities
        assert row.provenance.recipe == written[row.group].provenance.recipe
        assert row.provenance.seed == written[row.group].provenance.seed == -3


def test_rows_of_several_protocols_are_judged_as_the_command_judges_them(mdtree, tmp_path):
    path = tmp_path / "rows.jsonl"
    known = {"train_error": Measured(value=20.0), "connectivity_peak": Measured(value=-40)}
    write_rows(
        path,
        [
            Row(format=1, group="g", protocol=protocol, facts={}, quantities=known)
            for protocol in ("standard-1", "paper-1")
        ],
    )
    (verdict,) = api.diagnose(path, protocol="paper-1")
    printed = json.loads(mdtree("diagnose", path, "--protocol", "paper-1", "--json").out)
    assert [each["mode"] for each in printed["verdicts"]] == [verdict.mode]


def test_a_cluster_may_have_devices_that_this_machine_lacks(zoo):
    with pytest.raises(MdtreeError, match="device 'xla' cannot be used"):
        make_request(zoo, device="xla")
    assert make_request(zoo, device="xla", elsewhere=True).device == "xla"
    assert is_on_a_cluster(ExecutorConfig(workers=2, ray="local"))
    assert not is_on_a_cluster(2)
