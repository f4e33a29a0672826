"""`mdtree diagnose`: one story for each kind of user."""

from __future__ import annotations

import json
import signal
import subprocess
from dataclasses import replace

import jsonschema
import pytest

from mdtree import diagnose
from mdtree.diagnosis import schema
from mdtree.failure_modes import FAILURE_MODES
from mdtree.rows import (
    GroupFailure,
    Measured,
    Missing,
    Provenance,
    Row,
    read_rows,
    write_rows,
)
from mdtree.rows.row import row_to_json
from mdtree.trees import write_tree
from tests.support.disks import mounted
from tests.support.loaded import loaded_by
from tests.support.paths import ROOT
from tests.support.small_gain_models import constant, gain_tree, question
from tests.support.stopping import WAITING_NETWORK
from tests.support.zoos import change_recipe, rows_of, write_zoo

PUBLISHED = "published-cifar10-resnet18"


def row(group="mine", *, protocol="paper-1", facts=None, **values):
    """A network that interpolates, in a connected valley, unless told otherwise."""
    known = {
        "train_error": 0.0, "train_loss": 0.001, "hessian_top": 40.0, "hessian_trace": 400.0,
        "connectivity": -0.1, "connectivity_peak": -0.1, "cka": 0.6,
    }  # fmt: skip
    return Row(
        format=1,
        group=group,
        protocol=protocol,
        facts=facts or {},
        quantities={
            name: value if isinstance(value, Missing) else Measured(value=value)
            for name, value in {**known, **values}.items()
        },
    )


@pytest.fixture
def file_of(tmp_path):
    """Write rows into a file."""

    def write(*rows):
        write_rows(tmp_path / "rows.jsonl", rows)
        return tmp_path / "rows.jsonl"

    return write


def verdicts(ran):
    content = json.loads(ran.out)
    jsonschema.validate(content, schema())
    return {verdict["group"]: verdict for verdict in content["verdicts"]}


@pytest.mark.usefixtures("short_curves")
def test_a_directory_with_two_seeds_is_measured_and_judged(mdtree, tmp_path):
    zoo = write_zoo(tmp_path, {"mine": [0, 1]})
    ran = mdtree("diagnose", zoo)
    assert ran.code == 0, ran.err
    assert "verdict: " in ran.out
    assert "why:\n  1. " in ran.out
    assert "measuring error_rate of 1 group: " in ran.err
    measured = rows_of(zoo / "rows.jsonl")["mine"]
    assert "error_rate" in measured.provenance.metrics

    again = mdtree("diagnose", zoo)
    assert (again.code, again.out, again.err) == (0, ran.out, "")  # nothing is measured twice


@pytest.mark.usefixtures("short_curves")
def test_the_full_stage_measures_all_that_the_tree_asks_for(mdtree, tmp_path):
    zoo = write_zoo(tmp_path, {"mine": [0, 1]})
    ran = mdtree("diagnose", zoo, "--stage", "full", "--json")
    missed = {missed["metric"]: missed for missed in verdicts(ran)["mine"]["missed"]}
    assert missed.keys() == {"facts"}  # of training: no measurement tells them
    run = rows_of(zoo / "rows.jsonl")["mine"].provenance.metrics
    assert set(run) == {
        "error_rate", "similarity", "hessian", "connectivity", "predictions", "spectrum", "baseline"
    }  # fmt: skip


def test_one_checkpoint_gets_an_honest_answer(mdtree, tmp_path):
    zoo = write_zoo(tmp_path, {"mine": [0]})
    verdict = verdicts(mdtree("diagnose", zoo, "--json"))["mine"]
    missed = {missed["metric"]: missed for missed in verdict["missed"]}
    assert "needs 2 checkpoints, found 1" in missed["connectivity"]["reason"]
    assert 0 <= missed["connectivity"]["flips"] <= 1
    text = mdtree("diagnose", zoo).out
    assert "not known:\n" in text


def test_rows_alone_need_no_checkpoints(mdtree, file_of):
    path = file_of(
        row("wide"), row("narrow", train_error=30.0, connectivity_peak=-45.0, hessian_top=120.0)
    )
    ran = mdtree("diagnose", path)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("in short: Of 2 diagnosed groups of networks: ")
    assert "\n\ngroup " in ran.out
    for group in ("wide", "narrow"):
        assert f"group: {group}\n" in ran.out
    alone = mdtree("diagnose", path, "--group", "narrow")
    assert alone.out.startswith("group: narrow\n")
    assert "\nverdict: model_small (probability " in alone.out


@pytest.fixture
def two_zoos(tmp_path):
    """Two groups that are called alike, of two zoos, and one that names none."""
    rows = [
        row("wide", facts={"zoo": "a"}),
        row("wide", facts={"zoo": "b"}, train_error=30.0, connectivity_peak=-45.0),
        row("narrow"),
    ]
    lines = b"".join(row_to_json(each) + b"\n" for each in rows)
    (tmp_path / "two.jsonl").write_bytes(lines)
    return tmp_path / "two.jsonl"


def test_groups_of_two_zoos_are_told_apart(mdtree, two_zoos, tmp_path):
    ran = mdtree("diagnose", two_zoos, "--json", "--sarif", tmp_path / "o.sarif")
    assert (ran.code, ran.err) == (0, "")
    assert list(verdicts(ran)) == ["a/wide", "b/wide", "narrow"]
    results = json.loads((tmp_path / "o.sarif").read_text())["runs"][0]["results"]
    places = {
        result["locations"][0]["logicalLocations"][0]["name"]: result["locations"][0][
            "physicalLocation"
        ]["region"]["startLine"]
        for result in results
    }
    assert places == {"a/wide": 1, "b/wide": 2, "narrow": 3}
    assert [verdict.group for verdict in diagnose(two_zoos)] == ["a/wide", "b/wide", "narrow"]


@pytest.mark.parametrize(
    ("name", "found"),
    [("a/wide", ["a/wide"]), ("wide", ["a/wide", "b/wide"]), ("narrow", ["narrow"])],
)
def test_a_group_is_named_with_its_zoo_or_without(mdtree, two_zoos, name, found):
    ran = mdtree("diagnose", two_zoos, "--group", name, "--json")
    assert (ran.code, list(verdicts(ran))) == (0, found)
    wrong = mdtree("diagnose", two_zoos, "--group", "c/wide")
    assert wrong.code == 2
    assert "there is no group 'c/wide'" in wrong.err


def test_rows_that_others_replaced_are_told(mdtree, tmp_path):
    lines = (row_to_json(row("wide", train_error=value)) + b"\n" for value in (1.0, 2.0))
    (tmp_path / "twice.jsonl").write_bytes(b"".join(lines))
    ran = mdtree("diagnose", tmp_path / "twice.jsonl", "--json")
    assert list(verdicts(ran)) == ["wide"]
    assert ran.err.startswith("note: ")
    assert "1 row left out, each replaced by a later row" in ran.err
    with pytest.warns(UserWarning, match="1 row left out") as told:
        diagnose(tmp_path / "twice.jsonl")
    assert told[0].filename == __file__


def test_a_published_row_gets_the_answer_of_its_table(mdtree, published_table):
    """Width 4 with all data: the published table says that a larger network gains 15 points."""
    group = "width=4,data_amount=50000,batch_size=64"
    ran = mdtree("diagnose", published_table, "--group", group, "--json")
    verdict = verdicts(ran)[group]
    assert (verdict["mode"], verdict["basis"]["tree"]) == ("model_small", PUBLISHED)
    assert verdict["outlier"]["distance"] < verdict["outlier"]["limit"]
    best = verdict["gains"][0]
    assert (best["remedy"], best["fact"], best["old"]) == ("enlarge_model", "width", 4)
    assert best["low"] <= best["mean"] <= best["high"]


def test_a_network_unlike_all_others_says_so_before_its_verdict(mdtree, file_of):
    path = file_of(row(train_error=97.0, train_loss=60.0, hessian_top=1e9, hessian_trace=1e9))
    lines = mdtree("diagnose", path).out.splitlines()
    assert lines[0] == "group: mine"
    assert lines[1].startswith("in short: Take this as a hint only, because the network is unlike ")
    assert lines[2].startswith("caution: this group is unlike those that the tree was fitted to")
    assert "outside their range: train error, train loss, Hessian top" in lines[2]


def test_a_tree_of_another_protocol_is_refused_unless_it_is_allowed(mdtree, file_of):
    path = file_of(row(protocol="standard-1"))
    refused = mdtree("diagnose", path, "--tree", PUBLISHED)
    assert (refused.code, refused.out) == (2, "")
    assert "'paper-1'" in refused.err
    assert "--allow-protocol-mismatch" in refused.err
    allowed = mdtree("diagnose", path, "--tree", PUBLISHED, "--allow-protocol-mismatch")
    assert allowed.code == 0
    assert (
        "warning: the tree was fitted to protocol paper-1, but the row has protocol standard-1"
        in allowed.out
    )


def test_a_failed_metric_is_named_and_the_rest_is_judged(mdtree, file_of):
    broken = row(cka=Missing(missing="the outputs of one network are all alike"))
    text = mdtree("diagnose", file_of(broken)).out
    assert "similarity: the outputs of one network are all alike" in text


def test_a_group_that_failed_is_an_error_and_others_are_judged(mdtree, file_of):
    failure = GroupFailure(kind="MismatchError", reason="weights of another model")
    broken = replace(
        row("broken"), quantities={"cka": Missing(missing="it failed")}, failure=failure
    )
    ran = mdtree("diagnose", file_of(row("fine"), broken))
    assert ran.code == 1
    assert "group: fine" in ran.out
    assert ran.err == "failed broken: weights of another model\n"
    alone = mdtree("diagnose", file_of(broken))
    assert alone.code == 2
    assert "no group could be measured" in alone.err


def test_ctrl_c_keeps_what_was_measured(tmp_path, stop_ready_command):
    zoo = write_zoo(tmp_path, {f"group-{n}": [2 * n, 2 * n + 1] for n in range(3)})
    (zoo / "waiting_network.py").write_text(WAITING_NETWORK)
    change_recipe(zoo, model={"factory": "waiting_network:net", "kwargs": {"width": 2}})
    rows = zoo / "rows.jsonl"
    args = ["diagnose", zoo, "--recipe", zoo / "mdtree.yaml", "--device", "cpu"]
    # in the second stage, when one of the groups has its row of that too
    code, out, err = stop_ready_command(args, signal.SIGINT, until=rows, count=4)
    assert code == 130, err
    assert out == ""
    assert "Run the same command again to resume." in err
    kept = read_rows(rows)
    assert len(kept) == 3
    assert all(row.failure is None for row in kept)


def test_facts_of_the_user_reach_the_recommendation(mdtree, file_of):
    path = file_of(row(train_error=30.0, connectivity_peak=-45.0, hessian_top=120.0))
    without = mdtree("diagnose", path).out
    with_fact = mdtree("diagnose", path, "--fact", "width=4").out
    assert "width 4 -> " not in without
    assert "width 4 -> " in with_fact
    assert rows_of(path)["mine"].facts == {}  # the file stays as it was measured


def test_the_page_holds_the_verdict_and_nothing_is_printed_otherwise(mdtree, file_of, tmp_path):
    path = file_of(row("<mine>"))
    plain = mdtree("diagnose", path)
    ran = mdtree("diagnose", path, "--html", tmp_path / "page.html")
    assert (ran.code, ran.out, ran.err) == (0, plain.out, "")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "&lt;mine&gt;" in page
    assert "<mine>" not in page
    refused = mdtree("diagnose", path, "--html", tmp_path / "no" / "page.html")
    assert refused.code == 5
    assert "cannot be written" in refused.err


def test_a_full_disk_leaves_the_earlier_page_whole(mdtree, file_of, tmp_path):
    path = file_of(row("mine"))
    with mounted(tmp_path / "small", "size=1m") as small:
        page = small / "page.html"
        assert mdtree("diagnose", path, "--html", page).code == 0
        before = page.read_bytes()
        room = len(before) // 4096 + 3  # pages, which another whole page does not have
        subprocess.run(["mount", "-o", f"remount,size={4 * room}k", small], check=True)
        ran = mdtree("diagnose", path, "--html", page)
        assert ran.code == 5
        assert (
            "cannot be written: No space left on device; name another file with --html" in ran.err
        )
        assert page.read_bytes() == before
        assert [file.name for file in small.iterdir()] == ["page.html"]


def test_rows_behind_which_an_attempt_failed_are_judged_and_the_failure_is_told(mdtree, file_of):
    metrics = ("error_rate", "hessian", "connectivity", "similarity")
    known = Provenance(
        weights={}, recipe="", metrics=metrics, seed=0, device="cpu", seconds=1.0, versions={}
    )
    measured = replace(row("mine"), provenance=known)
    plain = json.loads(mdtree("diagnose", file_of(measured), "--json").out)["verdicts"][0]
    other = GroupFailure(kind="MismatchError", reason="of another model")
    path = file_of(measured, replace(row("mine"), quantities={}, failure=other))
    ran = mdtree("diagnose", path, "--json")
    (verdict,) = json.loads(ran.out)["verdicts"]
    assert ran.code == 1
    assert "failed mine: of another model" in ran.err
    assert verdict["basis"].pop("warnings")[-1] == (
        "the numbers come from an earlier measurement; a later attempt failed: of another model"
    )
    plain["basis"].pop("warnings")
    checks = {each["code"]: each for each in verdict.pop("checks")}
    before = {each["code"]: each for each in plain.pop("checks")}
    assert {code for code in checks if checks[code] != before[code]} == {"MD304"}
    assert verdict == plain
    assert "a later attempt failed" in mdtree("diagnose", path).out


def test_why_a_group_failed_is_told_once(mdtree, file_of):
    failure = GroupFailure(kind="OutOfMemoryError", reason="the memory is full")
    known = Provenance(
        weights={}, recipe="", metrics=("error_rate",), seed=0, device="cpu", seconds=1.0,
        versions={},
    )  # fmt: skip
    missing = Missing(missing="the group failed: the memory is full")
    halfway = row("half", connectivity=missing, connectivity_peak=missing, cka=missing)
    early = replace(row("early"), quantities={"train_error": Measured(value=0.0)})
    broken = [replace(each, provenance=known, failure=failure) for each in (halfway, early)]
    for group in broken:
        ran = mdtree("diagnose", file_of(group, row("fine")))
        assert ran.code == 1
        assert ran.err == f"failed {group.group}: the memory is full\n"
        assert "the memory is full" not in ran.out
    ran = mdtree("diagnose", file_of(*broken))
    assert "warning: the group was only partly measured\n" in ran.out
    assert (
        "warning: the numbers come from an earlier measurement; a later attempt failed\n" in ran.out
    )
    assert "  similarity: the group failed (" in ran.out
    told = mdtree("diagnose", file_of(broken[0]), "--json").out  # for programs, it stands with all
    assert told.count("the memory is full") > 1


@pytest.mark.parametrize(
    ("modes", "code"),
    [(["model_small"], 6), (["none,data_small"], 0), (["model_small", "none,data_small"], 6)],
)
def test_verdicts_can_fail_a_pipeline(mdtree, file_of, modes, code):
    path = file_of(row(train_error=30.0, connectivity_peak=-45.0, hessian_top=120.0))
    asked = (word for each in modes for word in ("--fail-on", each))
    assert mdtree("diagnose", path, *asked).code == code


def test_an_unknown_verdict_to_fail_on_is_told_at_once(mdtree, tmp_path):
    ran = mdtree("diagnose", tmp_path / "nothing", "--fail-on", "temperature_lo")
    assert ran.code == 2
    assert "did you mean 'temperature_low'?" in ran.err


def test_a_verdict_below_the_confidence_is_unsure_and_says_what_would_help(mdtree, file_of):
    path = file_of(row(cka=Missing(missing="cka was not measured")))
    verdict = verdicts(mdtree("diagnose", path, "--confidence", "1", "--json"))["mine"]
    assert verdict["mode"] == "unsure"
    assert verdict["likely"] in FAILURE_MODES
    assert "a verdict needs 100 %" in verdict["why_unsure"][0]
    assert "measure similarity" in verdict["advice"]


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["nowhere"], "does not exist"),
        (["rows.jsonl", "--group", "mini"], "there is no group 'mini', did you mean 'mine'?"),
        (["rows.jsonl", "--tree", "nosuch"], "neither a file nor a tree that comes with mdtree"),
        (["rows.jsonl", "--confidence", "2"], "2.0 is not in the range"),
    ],
)
def test_mistakes_are_explained(mdtree, file_of, monkeypatch, args, words):
    monkeypatch.chdir(file_of(row()).parent)
    ran = mdtree("diagnose", *args)
    assert (ran.code, ran.out) == (2, "")
    assert words in ran.err


@pytest.fixture
def gains_file(tmp_path):
    """A tree of gains that expects 0.4 of the error of more data above a similarity of 0.5."""
    gains = {"add_data": question(0, 0.5, 0.1, 0.4), "enlarge_model": constant(0.2)}
    path = tmp_path / "gains.json"
    write_tree(path, gain_tree(gains, levels={"0.8": 0.3, "0.9": 0.15}, protocol="paper-1"))
    return path


def test_a_tree_of_gains_answers_with_sets_and_tells_data_from_width(mdtree, file_of, gains_file):
    path = file_of(row(cka=0.9, test_error=20.0), row("other", cka=0.1, test_error=20.0))
    ran = mdtree("diagnose", path, "--tree", gains_file, "--group", "mine")
    assert (ran.code, ran.err) == (0, "")
    assert "\nverdict: data_small (probability 63 %)\n" in ran.out
    assert "\n  90 % prediction set: data_small or model_small\n" in ran.out
    assert (
        "\nmore data or a larger network? more data: +8.0 points; a larger network: +4.0\n"
        in ran.out
    )
    other = mdtree("diagnose", path, "--tree", gains_file, "--group", "other")
    assert (
        "\nmore data or a larger network? a larger network: +4.0 points; more data: " in other.out
    )


def test_the_json_of_a_tree_of_gains_holds_its_sets_and_gains(mdtree, file_of, gains_file):
    path = file_of(row(cka=0.9, test_error=20.0), row("bare", cka=0.9))
    told = verdicts(mdtree("diagnose", path, "--tree", gains_file, "--json"))
    assert told["mine"]["answers"] == {"0.8": ["data_small"], "0.9": ["data_small", "model_small"]}
    means = {gain["remedy"]: gain["mean"] for gain in told["mine"]["gains"]}
    assert means == pytest.approx({"add_data": 8.0, "enlarge_model": 4.0})
    assert told["mine"]["basis"]["method"] == "gains"
    assert told["bare"]["gains"] == []
    assert told["bare"]["likely"] == "data_small"


def test_the_page_of_a_tree_of_gains_shows_its_gains(mdtree, file_of, gains_file, tmp_path):
    path = file_of(row(cka=0.9, test_error=20.0))
    page = tmp_path / "page.html"
    ran = mdtree("diagnose", path, "--tree", gains_file, "--html", page)
    assert ran.code == 0, ran.err
    assert "+8.0" in page.read_text()


def test_a_broken_tree_of_gains_is_one_line(mdtree, file_of, gains_file):
    gains_file.write_text(gains_file.read_text().replace('"0.9"', '"often"'))
    ran = mdtree("diagnose", file_of(row()), "--tree", gains_file)
    assert (ran.code, ran.out) == (2, "")
    assert "its coverage 'often' is not a number between 0 and 1" in ran.err
    assert "Traceback" not in ran.err


def test_markdown_is_for_pull_requests_and_model_cards(mdtree, file_of):
    path = file_of(row(test_error=20.0))
    ran = mdtree("diagnose", path, "--markdown", "--model-index", "mnist")
    assert ran.code == 0, ran.err
    front, _, card = ran.out.removeprefix("---\n").partition("---\n")
    assert "value: 0.8\n" in front
    assert card.startswith("\n## Diagnosis by mdtree\n\n### <code>mine</code>: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--markdown", "--json"], "--markdown and --json both print the verdicts"),
        (["--model-index", "mnist"], "add --markdown"),
        (["--markdown", "--model-index", " "], "needs the name of a data set"),
        (["--target", "0.95"], "write 95 for 95 %; got 0.95"),
        (["--target", "nan"], "must be a percentage, 0 to 100, got nan"),
        (["--fact", "target_accuracy=0.95"], "write 95 for 95 %; got 0.95"),
        (["--fact", "test_accuracy=500"], "must be a percentage, 0 to 100, got 500"),
        (["--markdown", "--model-index", "mnist"], "a model-index needs a test accuracy"),
    ],
)
def test_options_that_cannot_be_meant_are_refused_in_one_line(mdtree, file_of, options, message):
    ran = mdtree("diagnose", file_of(row()), *options)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_judging_rows_imports_neither_torch_nor_scikit_learn(file_of, gains_file):
    args = ["diagnose", str(file_of(row()))]
    by_posterior, by_gains = (
        f"import mdtree.cli; mdtree.cli.main({[*args, *tree]!r})"
        for tree in ((), ("--tree", str(gains_file)))
    )
    loaded = loaded_by([by_posterior, by_gains])
    assert "mdtree.diagnosis" in loaded[by_posterior]
    assert not {"torch", "sklearn", "jinja2"} & loaded[by_gains]


def test_a_limit_of_the_hessian_is_refused_where_nothing_is_measured(mdtree):
    rows = "mdtree/data/zoos/digits-standard-1.jsonl"
    ran = mdtree("diagnose", ROOT / rows, "--hessian-limit", 4)
    assert ran.code == 2
    assert f"{rows} holds measurements, and no recipe says how to measure again" in ran.err
    assert mdtree("diagnose", ROOT / rows, "--hessian-limit", 0).code == 2
