"""Training that diverged: NaN in the weights is a verdict, with its evidence, and no failure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

import mdtree as package
from mdtree.diagnosis import diagnoser_for, headline_of_all, to_plain_data
from mdtree.render.markdown import verdicts_markdown
from mdtree.render.page import report_page
from mdtree.rows import Diverged, GroupFailure
from tests.support.reports import parsed
from tests.support.rows import row
from tests.support.valleys import copy_of
from tests.support.zoos import rows_of, write_zoo

ONE = "1 of 2 networks diverged: seed-1.safetensors"


@pytest.fixture
def diverged(tmp_path):
    """A group that is whole, and one whose second seed holds a NaN."""
    root = write_zoo(tmp_path / "zoo", {"hot": [0, 1], "cold": [2, 3]})
    path = root / "hot" / "seed-1.safetensors"
    weights = copy_of(load_file(path))
    weights["0.weight"].view(-1)[0] = torch.nan
    save_file(weights, path)
    return root


def test_a_group_that_diverged_was_too_hot(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--group", "hot", "--fact", "learning_rate=3")
    assert ran.code == 0
    assert "verdict: temperature_high" in ran.out
    assert "seed-1.safetensors contains NaN or infinite weights" in ran.out
    assert "learning rate 3 -> 0.3" in ran.out
    assert "failed" not in ran.err


def put_nan(path):
    weights = copy_of(load_file(path))
    weights["0.weight"].view(-1)[0] = torch.nan
    save_file(weights, path)


def record_of(folder, seed):
    """What `mdtree zoo train` writes of a network that diverged, instead of its weights."""
    (folder / f"seed-{seed}.safetensors").unlink()
    (folder / f"seed-{seed}.json").write_text('{"format": 1, "diverged": true, "epochs": 2}')


def test_which_of_the_networks_diverged_is_said_wherever_a_verdict_is(mdtree, diverged, tmp_path):
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", diverged, "--group", "hot", "--html", page)
    assert f"in short: Training broke down ({ONE}), because" in ran.out
    assert f"warning: {ONE}; to measure the others, move it out of the directory" in ran.out
    found = json.loads(mdtree("diagnose", diverged, "--group", "hot", "--json").out)["verdicts"][0]
    (check,) = (each for each in found["checks"] if each["code"] == "MD112")
    assert (check["status"], check["message"]) == ("found", ONE)
    assert ONE in found["headline"]
    markdown = mdtree("diagnose", diverged, "--group", "hot", "--markdown").out
    for text in (parsed(page.read_text()).one("body").text, markdown):
        assert f"Training broke down ({ONE})" in text
        assert f"{ONE}; to measure the others" in text


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        ((0, 1, 2), "all 3 networks diverged: seed-0.safetensors, seed-1.safetensors, seed-2"),
        ((0,), "the only network diverged: seed-0"),
    ],
)
def test_where_all_networks_diverged_they_are_counted(mdtree, tmp_path, seeds, said):
    root = write_zoo(tmp_path / "zoo", {"hot": list(seeds)})
    for seed in seeds:
        put_nan(root / "hot" / f"seed-{seed}.safetensors")
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", root, "--html", page)
    assert ran.code == 0
    assert f"why:\n  1. {said}" in ran.out
    assert "warning:" not in ran.out
    (verdict,) = json.loads(mdtree("diagnose", root, "--json").out)["verdicts"]
    (check,) = (each for each in verdict["checks"] if each["code"] == "MD111")
    assert check["message"].startswith(said)
    assert said[1:] in parsed(page.read_text()).one("body").text  # it begins a sentence
    assert f"diverged hot: {said}" in mdtree("rows", "show", root).out


def test_networks_that_are_nan_throughout_are_all_named(mdtree, tmp_path):
    """Their files are equal, which does not make them one network."""
    root = write_zoo(tmp_path / "zoo", {"hot": [0, 1, 2]})
    for seed in (1, 2):
        path = root / "hot" / f"seed-{seed}.safetensors"
        weights = copy_of(load_file(path))
        for each in filter(torch.is_floating_point, weights.values()):
            each.fill_(torch.nan)
        save_file(weights, path)
    ran = mdtree("diagnose", root)
    said = "2 of 3 networks diverged: seed-1.safetensors, seed-2.safetensors"
    assert f"warning: {said}; to measure the others, move them out of the directory" in ran.out


def test_nothing_of_a_tree_is_shown_where_none_was_asked(mdtree, diverged, tmp_path):
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", diverged, "--group", "hot", "--html", page)
    markdown = mdtree("diagnose", diverged, "--group", "hot", "--markdown").out
    whole = parsed(page.read_text()).one("article")
    for text in (ran.out, markdown, whole.text):
        assert "general-standard-1" not in text
        assert "accuracy: " not in text.lower()
        assert "through the tree" not in text
    assert "no tree was asked" in whole.text
    assert whole.find("figure") == []


def test_what_diverged_is_looked_at_once_and_a_new_file_again(mdtree, diverged):
    hot = diverged / "hot" / "seed-1.safetensors"
    first = mdtree("diagnose", diverged, "--group", "hot")
    assert "measuring error_rate of 1 group" in first.err
    again = mdtree("diagnose", diverged, "--group", "hot")
    assert (again.code, again.err, again.out) == (0, "", first.out)
    hot.write_bytes((diverged / "cold" / "seed-2.safetensors").read_bytes())
    whole = mdtree("measure", diverged, "--group", "hot", "--metrics", "error_rate")
    assert "1 measured, 0 already there, 0 failed" in whole.out
    assert rows_of(diverged / "rows.jsonl")["hot"].diverged is None


def test_measuring_a_group_that_diverged_is_no_failure(mdtree, diverged):
    ran = mdtree("measure", diverged, "--metrics", "error_rate")
    assert (ran.code, "failed hot" in ran.err) == (0, False)
    assert f"diverged hot: {ONE}\n" in ran.out
    assert "1 measured, 0 already there, 1 diverged, 0 failed; rows are in" in ran.out
    assert not (diverged / "rows.jsonl.failures").exists()
    again = json.loads(mdtree("measure", diverged, "--metrics", "error_rate", "--json").out)
    assert (again["measured"], again["already"], again["failed"]) == (0, 2, [])
    assert again["diverged"] == []  # this time, there was nothing to do
    plan = mdtree("measure", diverged, "--metrics", "error_rate", "--dry-run")
    assert plan.code == 0
    assert "to measure: 0 groups" in plan.out
    shown = mdtree("rows", "show", diverged).out
    assert f"diverged hot: {ONE}\n" in shown
    assert "failed" not in shown


def test_one_that_diverged_is_no_reason_to_stop_and_one_that_fails_still_is(mdtree, diverged):
    (diverged / "cold" / "seed-2.safetensors").write_bytes(b"broken")
    ran = mdtree("measure", diverged, "--metrics", "error_rate")
    assert ran.code == 1
    assert "0 measured, 0 already there, 1 diverged, 1 failed" in ran.out


def test_networks_that_diverged_in_training_are_named_beside_those_that_did_not(mdtree, zoo):
    record_of(zoo / "hot", 1)
    ran = mdtree("diagnose", zoo, "--group", "hot", "--stage", "needed")
    said = "1 of 2 networks diverged: seed-1.json"
    assert ran.code == 0
    assert f"warning: {said}; what was measured is about the others alone" in ran.out
    assert "Take this as a hint only, because other networks of the group diverged" in ran.out
    known = rows_of(zoo / "rows.jsonl")["hot"]
    assert (known.diverged.networks, known.diverged.of) == (("seed-1.json",), 2)
    assert f"diverged hot: {said}\n" in mdtree("rows", "show", zoo).out


def test_a_part_of_a_group_says_nothing_of_the_others(mdtree, zoo):
    """One file is asked about; beside it lie others, and the record of one that diverged."""
    record_of(zoo / "hot", 1)
    save_file(load_file(zoo / "cold" / "seed-2.safetensors"), zoo / "hot" / "seed-2.safetensors")
    recipe = ("--recipe", zoo / "mdtree.yaml", "--out", zoo / "one.jsonl")
    ran = mdtree("measure", zoo / "hot" / "seed-0.safetensors", *recipe, "--metrics", "error_rate")
    assert ran.code == 0
    (known,) = rows_of(zoo / "one.jsonl").values()
    assert known.diverged is None


def test_a_group_without_any_weights_is_not_announced(mdtree, zoo):
    for seed in (0, 1):
        record_of(zoo / "hot", seed)
    for _ in range(2):
        ran = mdtree("diagnose", zoo, "--group", "hot")
        assert (ran.code, ran.err) == (0, "")
        assert "in short: Training broke down, because its steps were too large" in ran.out
    plan = mdtree("measure", zoo, "--group", "hot", "--dry-run")
    assert (plan.code, plan.err) == (0, "")
    assert "diverged" in plan.out


def test_weights_without_a_recipe_name_what_diverged_too(mdtree, diverged):
    (diverged / "mdtree.yaml").unlink()
    ran = mdtree("diagnose", diverged, "--group", "hot")
    assert f"in short: Training broke down ({ONE}), because" in ran.out


def test_networks_in_memory_that_diverged_are_counted():
    nets = [nn.Linear(3, 2) for _ in range(3)]
    with torch.no_grad():
        nets[1].weight[0, 0] = torch.inf
    data = {"x": torch.randn(8, 3), "y": torch.arange(8) % 2}
    (verdict,) = package.diagnose(models=nets, train=data, test=data)
    assert "1 of 3 networks diverged: model-1" in verdict.headline


def test_groups_that_all_diverged_have_a_next_step(mdtree, zoo):
    for path in zoo.glob("*/*.safetensors"):
        put_nan(path)
    ran = mdtree("diagnose", zoo)
    assert ran.code == 0
    said = " ".join(ran.out.split("\n\n")[0].split())
    assert said == (
        "in short: Of 2 diagnosed groups of networks: 2 whose training broke down (each 100 % "
        "sure); for each of them: train again with smaller steps, or with more examples in each of "
        "them."
    )


def lost(group="g", networks=("seed-1.pt",), of=2):
    failure = GroupFailure(kind="DivergedError", reason="seed-1.pt holds NaN")
    return replace(row(group, failure=failure), diverged=Diverged(networks=networks, of=of))


@pytest.mark.parametrize(("networks", "of"), [(("a", "b"), 2), ((), 0)])
def test_where_all_networks_diverged_none_is_singled_out(networks, of):
    verdict = diagnoser_for([lost()])(lost(networks=networks, of=of))
    assert "broke down, because" in verdict.headline
    assert verdict.basis.warnings == ()


def test_names_of_networks_from_elsewhere_are_shown_as_they_are():
    hostile = lost(networks=("<script>alert(1)</script>\x1b[2J\n# [x](http://y)",))
    diagnoser = diagnoser_for([hostile])
    verdict = diagnoser(hostile)
    assert "\n" not in verdict.headline
    page = report_page([verdict], [hostile], {diagnoser.name: diagnoser.saved})
    assert "<script>alert" not in page
    assert "[x](http://y)" not in verdicts_markdown([verdict], most=1)
    assert json.dumps(to_plain_data(verdict))


def test_unlike_verdicts_without_gains_have_one_to_begin_with():
    diagnoser = diagnoser_for([lost()])
    broken = diagnoser(lost("broken"))
    small = replace(broken, group="small", mode="model_small", likely="model_small", clues=())
    text = headline_of_all([broken, small])
    assert text.endswith(
        "begin with broken: train again with smaller steps, or with more examples in each of them."
    )
    unsure = replace(broken, mode="unsure", probability=0.3, clues=())
    assert headline_of_all([unsure, unsure]).endswith("2 still unclear.")


def test_its_verdict_is_json_and_a_page_too(mdtree, diverged, tmp_path):
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", diverged, "--group", "hot", "--json", "--html", page)
    (verdict,) = json.loads(ran.out)["verdicts"]
    assert (verdict["mode"], verdict["likely"]) == ("temperature_high", "temperature_high")
    assert "training diverged" in verdict["clues"][0]["says"]
    assert "training diverged" in page.read_text()


def test_what_fails_on_a_verdict_fails_on_this_one(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--group", "hot", "--fail-on", "temperature_high")
    assert ran.code == 6


def test_the_other_groups_are_judged_as_ever(mdtree, diverged):
    ran = mdtree("diagnose", diverged, "--json")
    assert {verdict["group"] for verdict in json.loads(ran.out)["verdicts"]} == {"hot", "cold"}
    again = mdtree("diagnose", diverged / "rows.jsonl", "--group", "hot", "--json")
    assert json.loads(again.out)["verdicts"][0]["mode"] == "temperature_high"


def test_weights_of_another_network_are_no_verdict(mdtree, diverged):
    for seed in (0, 1):
        save_file({"other": torch.ones(3)}, diverged / "hot" / f"seed-{seed}.safetensors")
    ran = mdtree("diagnose", diverged, "--group", "hot")
    assert ran.code == 2
    assert "nothing to diagnose" in ran.err


def test_networks_without_any_finite_weight_are_no_copies_of_each_other(mdtree, zoo):
    """All of their weights are NaN, so that their files are equal."""
    for seed in (0, 1):
        path = zoo / "hot" / f"seed-{seed}.safetensors"
        weights = copy_of(load_file(path))
        for tensor in weights.values():
            if tensor.is_floating_point():
                tensor.fill_(torch.nan)
        save_file(weights, path)
    save_file(load_file(zoo / "cold" / "seed-2.safetensors"), zoo / "hot" / "seed-2.safetensors")
    ran = mdtree("diagnose", zoo, "--group", "hot")
    assert "warning: 2 of 3 networks diverged: seed-0.safetensors, seed-1.safetensors" in ran.out
    assert "; to measure the others, move them out of the directory" in ran.out


def test_files_that_hold_one_diverged_network_twice_are_counted_once(mdtree, diverged):
    hot = diverged / "hot"
    save_file(load_file(hot / "seed-1.safetensors"), hot / "seed-2.safetensors")
    assert f"warning: {ONE};" in mdtree("diagnose", diverged, "--group", "hot").out
