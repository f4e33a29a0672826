"""`mdtree confirm`: the advised change is trained, and its gain held to the promise."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import replace

import jsonschema
import pytest
import yaml
from filelock import FileLock

from mdtree.confirmation import confirmation_schema
from mdtree.diagnosis import NothingAdvisedError, comparison_schema
from mdtree.rows import Measured, read_rows, write_rows
from mdtree.zoo import member
from tests.support.confirming import (
    COLD,
    WARM,
    advising,
    advising_the_cold_alone,
    trained_and_measured,
    tree_file,
)
from tests.support.zoos import rows_of


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return trained_and_measured(tmp_path_factory.mktemp("whole"))


@pytest.fixture
def folder(whole, tmp_path, monkeypatch):
    """Work beside a copy of the zoo."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(whole, tmp_path / "zoo")
    return tmp_path


@pytest.fixture
def confirm(mdtree, folder):
    def call(*args, tree=None, group=COLD):
        file = tree_file(folder, tree or advising(factor=80.0))
        only = () if group is None else ("--group", group)
        return mdtree("confirm", "zoo", "--tree", file, *only, *args)

    return call


def test_the_change_is_trained_measured_and_held_to_the_promise(mdtree, confirm, folder):
    ran = confirm()
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    assert lines[0].startswith("in short: It ")
    assert lines[1:5] == [
        f"before: {COLD}",
        "after:  w8-r0.08",
        "changed:",
        "  learning_rate 0.001 -> 0.08",
    ]
    promised = next(line for line in lines if line.startswith("promised:"))
    assert "raise_temperature +20.0 (5.0 to 40.0), by learning rate 0.001 -> 0.08" in promised
    place = folder / "zoo-confirm"
    trained = sorted(path.name for path in place.glob("w8-r0.08/w8-r0.08/*.safetensors"))
    assert trained == ["seed-0.safetensors", "seed-1.safetensors"]
    rows = rows_of(place / "rows.jsonl")
    assert rows.keys() == {COLD, "w8-r0.08"}
    before, after = (rows[name].quantities["test_error"].value for name in rows_order(rows))
    gained = next(line for line in lines if line.startswith("gained:"))
    assert f"+{before - after:.0f}" in gained
    assert before - after > 5.0
    assert rows[COLD] == rows_of(folder / "zoo/rows.jsonl")[COLD]
    assert f"{COLD}: 2 networks trained, 0 already there, in zoo-confirm/w8-r0.08" in ran.out

    same = mdtree("measure", "zoo-confirm/w8-r0.08", "--metrics", "error_rate", "--json")
    (row,) = json.loads(same.out)["rows"]
    assert row["quantities"]["test_error"]["value"] == pytest.approx(after)


def rows_order(rows):
    return COLD, next(name for name in rows if name != COLD)


def test_json_and_the_terminal_have_the_same_numbers_and_compare_repeats_them(mdtree, confirm):
    printed = confirm().out
    content = json.loads(confirm("--json").out)
    jsonschema.validate(content, confirmation_schema())
    assert content["format"] == 1
    (found,) = content["comparisons"]
    gain, real = found["promise"]["gain"], found["real"]
    assert f"{gain['mean']:+.1f} ({gain['low']:.1f} to {gain['high']:.1f})" in printed
    rows = content["rows"]
    sides = ("--group-before", COLD, "--group-after", "w8-r0.08", "--tree", "tree.json")
    again = mdtree("compare", rows, rows, *sides)
    assert again.out == printed[: len(again.out)]
    compared = json.loads(mdtree("compare", rows, rows, *sides, "--json").out)
    jsonschema.validate(compared, comparison_schema())
    assert compared["comparisons"][0]["real"] == real
    (change,) = content["changes"]
    assert (change["fact"], change["old"], change["new"]) == ("learning_rate", 0.001, 0.08)
    assert (change["trained"], change["already"], change["diverged"]) == (0, 2, [])


def measure_more(folder):
    """Let the rows hold what trees with a posterior ask for."""
    more = {"connectivity": 5.0, "connectivity_peak": -2.0, "cka": 0.5}
    more |= {"hessian_top": 20.0, "hessian_trace": 300.0}
    known = {name: Measured(value=value) for name, value in more.items()}
    rows = [*read_rows(folder / "zoo/rows.jsonl")]
    write_rows(
        folder / "zoo/rows.jsonl",
        [replace(row, quantities={**row.quantities, **known}) for row in rows],
    )


@pytest.fixture
def confirm_clearly(confirm):
    """Make a change whose gain stands clear of the noise between seeds."""
    return lambda *args: confirm("--seeds", "3", *args, tree=advising(factor=20.0))


def test_a_gain_that_the_text_calls_noise_is_no_label(confirm):
    small = advising(factor=5.0)
    content = json.loads(confirm("--json", "--seeds", "3", tree=small).out)
    (found,), (change,) = content["comparisons"], content["changes"]
    assert found["real"]["points"] > 0
    assert found["real"]["p"] > 0.05
    assert change["label"] is None
    assert "does not stand clear of the noise between seeds (p = 0." in change["why_no_label"]
    assert content["labels"] == 0
    again = confirm("--seeds", "3", tree=small).out
    assert "not labelled: the gain does not stand clear" in again
    assert "To tell, measure a third seed before the change." in again


def test_a_label_without_what_trees_ask_for_teaches_nothing_yet(confirm_clearly):
    content = json.loads(confirm_clearly("--json").out)
    assert (content["labels"], content["learn"]) == (1, None)
    assert (
        "digits-standard-1 learns only from groups of which all was measured"
        in (content["why_not"])
    )


def test_the_offered_command_works_on_what_was_written(mdtree, confirm_clearly, folder):
    measure_more(folder)
    content = json.loads(confirm_clearly("--json").out)
    assert content["labels"] == 1
    (row,) = read_rows(folder / content["labelled"])
    assert row.facts["label"] == "temperature_low"
    assert row.facts["confirmed_gain"] == pytest.approx(content["comparisons"][0]["real"]["points"])
    name, *args = shlex.split(content["learn"])
    assert (name, args[0]) == ("mdtree", "fit")
    assert "takes at least 4 labelled groups, and there is 1" in content["why_not"]
    ran = mdtree(*args)
    assert ran.code == 0
    assert (folder / "zoo-confirm/adapted.json").exists()


def test_with_four_labels_it_is_adapt(mdtree, confirm_clearly, folder):
    measure_more(folder)
    confirm_clearly()
    labelled = folder / "zoo-confirm/labelled.jsonl"
    (row,) = read_rows(labelled)
    others = [
        replace(row, group=f"g{n}", facts={**row.facts, "zoo": f"confirm g{n}"}) for n in range(3)
    ]
    write_rows(labelled, [row, *others])
    content = json.loads(confirm_clearly("--json").out)
    assert (content["labels"], content["why_not"]) == (4, None)
    args = shlex.split(content["learn"])[1:]
    assert args[0] == "adapt"
    ran = mdtree(*args)
    assert (ran.code, ran.err) == (0, "")
    assert "your runs: 4 groups (4 temperature_low)" in ran.out


def test_a_dry_run_tells_what_would_be_trained_and_writes_nothing(confirm, folder):
    before = sorted(folder.rglob("*"))
    ran = confirm("--dry-run", "--seeds", "3")
    assert (ran.code, ran.err) == (0, "")
    line = next(line for line in ran.out.splitlines() if line.startswith(COLD))
    cells = line.split()
    assert cells[1:5] == ["temperature_low", "learning_rate", "0.001", "->"]
    assert cells[5:9] == ["0.08", "+20.0", "(5.0", "to"]
    assert cells[10:15] == ["3", "of", "3", "120", "2,400"]  # 3 x 4 epochs x 10 steps x 20
    assert "to train: 3 networks" in ran.out
    assert "nothing was written" in ran.out
    left = sorted(path for path in folder.rglob("*") if path.name != "tree.json")
    assert left == before

    content = json.loads(confirm("--dry-run", "--json").out)
    jsonschema.validate(content, confirmation_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**content, "groups": [{"before": COLD}]}, confirmation_schema())
    (each,) = content["groups"]
    assert each["promised"] == {"mean": 20.0, "low": 5.0, "high": 40.0}
    assert (each["to_train"], each["steps"], each["items"]) == (2, 80, 1600)
    assert content["total"]["seconds"] == pytest.approx(each["seconds"])


def test_a_budget_stops_cleanly_and_the_same_command_resumes(confirm, folder):
    ran = confirm("--minutes", "1e-9")
    assert (ran.code, ran.out) == (1, "")
    assert f"not finished {COLD}: the budget of 1e-09 minutes is used up" in ran.err
    assert "0 of 2 networks trained. Run the same command again" in ran.err
    assert not [*folder.rglob("zoo-confirm/**/*.safetensors")]
    content = json.loads(confirm("--minutes", "1e-9", "--json").out)
    assert content["comparisons"] == []
    assert [*content["left"]] == [COLD]

    assert confirm().code == 0
    lost = folder / "zoo-confirm/w8-r0.08/w8-r0.08/seed-1.json"
    kept = lost.with_name("seed-0.safetensors").stat().st_mtime_ns
    lost.unlink()  # as if it was stopped here
    again = confirm()
    assert again.code == 0
    assert f"{COLD}: 1 network trained, 1 already there" in again.out
    assert lost.with_name("seed-0.safetensors").stat().st_mtime_ns == kept


def test_more_seeds_join_those_that_are_there(confirm, folder):
    confirm()
    more = confirm("--seeds", "3")
    assert f"{COLD}: 1 network trained, 2 already there" in more.out
    assert len(rows_of(folder / "zoo-confirm/rows.jsonl")["w8-r0.08"].provenance.weights) == 3
    fewer = confirm("--seeds", "2")
    assert f"{COLD}: 0 networks trained, 3 already there" in fewer.out


def test_a_change_that_is_in_the_zoo_is_not_trained_again(confirm, folder):
    ran = confirm(tree=advising(factor=8.0))
    assert ran.code == 0
    assert f"\nbefore: {COLD}\nafter:  {WARM}\n" in ran.out
    assert f"not trained anew: {WARM} is in the zoo already (advised: 0.008)" in ran.out
    assert f"{COLD}: 0 networks trained, 2 already there, in zoo" in ran.out
    assert not [*folder.rglob("zoo-confirm/**/*.safetensors")]
    rows = rows_of(folder / "zoo-confirm/rows.jsonl")
    assert rows == rows_of(folder / "zoo/rows.jsonl")
    assert "to train: 0 networks, no time" in confirm("--dry-run", tree=advising(factor=8.0)).out


def test_what_the_zoo_has_but_nobody_measured_is_measured(confirm, folder):
    kept = [row for row in read_rows(folder / "zoo/rows.jsonl") if row.group == COLD]
    write_rows(folder / "zoo/rows.jsonl", kept)
    ran = confirm(tree=advising(factor=10.0))
    assert ran.code == 0
    rows = rows_of(folder / "zoo/rows.jsonl")
    assert rows.keys() == {COLD, WARM}
    assert isinstance(rows[WARM].quantities["test_error"], Measured)


def test_training_that_diverges_is_a_result(confirm, folder):
    ran = confirm(tree=advising(factor=1e12))
    assert (ran.code, ran.err) == (0, "")
    assert "training after diverged, so nothing was measured of it" in ran.out
    assert "gained:   not known: test_error was not measured after" in ran.out
    assert "2 networks trained, 0 already there, 2 diverged" in ran.out
    assert "nothing to teach a tree yet" in ran.out
    assert (
        "0 networks trained, 2 already there, 2 diverged" in confirm(tree=advising(factor=1e12)).out
    )
    (change,) = json.loads(confirm("--json", tree=advising(factor=1e12)).out)["changes"]
    assert change["diverged"] == [f"{change['after']}/seed-{seed}" for seed in (0, 1)]
    assert rows_of(folder / "zoo-confirm/rows.jsonl")[change["after"]].failure is not None


def test_all_groups_are_confirmed_and_those_that_are_fine_are_skipped(confirm):
    tree = advising_the_cold_alone(threshold=80.0)  # 83.5 % and 75 % of errors, see above
    ran = confirm(tree=tree, group=None)
    assert ran.code == 0
    assert f"\nbefore: {COLD}\n" in ran.out
    assert ran.err.startswith(f"skipped {WARM}: the verdict is none, which advises no single")
    content = json.loads(confirm("--json", tree=tree, group=None).out)
    assert [*content["skipped"]] == [WARM]
    assert content["failures"] == {}


def test_several_groups_are_a_table_and_each_in_full(confirm):
    ran = confirm(group=None, tree=advising(factor=20.0))
    assert ran.code == 0
    sentence, header = ran.out.splitlines()[:2]
    assert sentence.startswith("in short: Of 2 changes: ")
    assert header.startswith("groups")
    assert f"{COLD} -> w8-r0.02" in ran.out
    assert f"\nbefore: {WARM}\nafter:  w8-r0.2\n" in ran.out


def test_more_data_are_taken_as_far_as_there_are_any(confirm):
    tree = advising("data_small", "add_data", "data_amount", 8.0)
    ran = confirm("--dry-run", tree=tree)
    assert "data_amount 200 -> 1200" in ran.out  # of the digits
    assert "raised to 1200 and not to 1600: it is all that the source has" in ran.out
    ran = confirm(tree=advising("data_small", "add_data", "data_amount", 2.0))
    assert ran.code == 0
    assert "  data_amount 200 -> 400\n" in ran.out
    assert "after:  w8-r0.001_data_amount-400\n" in ran.out


def test_the_user_chooses_a_change(confirm):
    ran = confirm("--remedy", "enlarge_model")
    assert ran.code == 0
    assert "  width 8 -> 32\n" in ran.out
    assert "enlarge_model is the change that you chose; the verdict is temperature_low" in ran.out
    assert "nothing to hold the real gain to: the diagnosis expects no gain" in ran.out


def test_the_knob_of_the_config_alone_is_turned(confirm):
    ran = confirm("--remedy", "lower_temperature")
    assert ran.code == 0
    assert "  batch_size 20 -> 80\n" in ran.out
    assert "after:  w8-r0.001_batch_size-80\n" in ran.out


@pytest.mark.parametrize(
    ("mode", "extra", "said"),
    [
        ("none", (), "the verdict is none, which advises no single change"),
        ("temperature_low", ("--confidence", "0.95"), "the verdict is unsure (most probable: temp"),
    ],
)
def test_a_verdict_without_a_change_is_an_error_that_names_the_way_out(confirm, mode, extra, said):
    tree = advising(mode, none=1.0)
    ran = confirm(*extra, tree=tree)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(f"error: group '{COLD}': ")
    assert said in ran.err
    assert "--remedy (lower_temperature, raise_temperature, enlarge_model, add_data)" in ran.err
    assert confirm(*extra, "--remedy", "enlarge_model", "--dry-run", tree=tree).code == 0


def test_when_no_group_has_a_change_each_reason_is_listed(confirm):
    ran = confirm(tree=advising("none"), group=None)
    assert ran.code == NothingAdvisedError.exit_code
    assert ran.err.startswith("error: no group has a change that can be confirmed:\n")
    assert f"\n  {COLD}: the verdict is none" in ran.err
    assert f"\n  {WARM}: the verdict is none" in ran.err


def test_data_that_end_are_an_error(mdtree, folder):
    config = yaml.safe_load((folder / "zoo/zoo.yaml").read_text())
    del config["data"]["amount"]
    (folder / "zoo/zoo.yaml").write_text(yaml.safe_dump(config))
    rows = [*read_rows(folder / "zoo/rows.jsonl")]
    write_rows(
        folder / "zoo/rows.jsonl",
        [replace(row, facts={**row.facts, "data_amount": 1200}) for row in rows],
    )
    tree = tree_file(folder, advising("data_small", "add_data", "data_amount", 4.0))
    ran = mdtree("confirm", "zoo", "--group", COLD, "--tree", tree)
    assert ran.code == 2
    assert "data_amount 1200 cannot be raised: it is all that the source has (1200)" in ran.err


def test_a_width_that_the_model_does_not_take_is_an_error(mdtree, folder):
    config = yaml.safe_load((folder / "zoo/zoo.yaml").read_text())
    config["model"]["kwargs"] = {"inputs": 64}
    config["grid"] = {"learning_rate": [0.001, 0.01]}
    config["name"] = "w8-r{learning_rate}"
    (folder / "zoo/zoo.yaml").write_text(yaml.safe_dump(config))
    tree = tree_file(folder, advising("model_small", "enlarge_model", "width", 4.0))
    ran = mdtree("confirm", "zoo", "--group", COLD, "--tree", tree)
    assert ran.code == 2
    assert "the width cannot be changed, as the recipe does not say how" in ran.err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("none",), "none is not a directory of this machine"),
        (("zoo", "--group", "w8-r0.1"), "there is no measured group 'w8-r0.1', did you mean"),
        (("zoo", "--out", "zoo/inside"), "zoo/inside is inside zoo"),
        (("zoo", "--metrics", "error_rat"), "did you mean 'error_rate'?"),
        (("zoo", "--protocol", "paper-1"), "has no measured rows of protocol 'paper-1'"),
    ],
)
def test_wrong_use_is_one_error(mdtree, folder, args, said):
    ran = mdtree("confirm", *args)
    assert ran.code in (2, 5)
    assert ran.out == ""
    assert said in ran.err


def test_a_directory_without_a_zoo_or_a_recipe_or_rows_says_so(mdtree, folder):
    (folder / "zoo/zoo.yaml").unlink()
    recipe = yaml.safe_load((folder / "zoo/mdtree.yaml").read_text())
    del recipe["training"]
    (folder / "zoo/mdtree.yaml").write_text(yaml.safe_dump(recipe))
    without_training = mdtree("confirm", "zoo")
    assert without_training.code == 2
    assert "the recipe has no `training`" in without_training.err
    (folder / "zoo/mdtree.yaml").unlink()
    assert "has neither zoo.yaml (of `mdtree zoo train`) nor" in mdtree("confirm", "zoo").err


def test_a_zoo_that_was_not_measured_says_so(mdtree, folder):
    (folder / "zoo/rows.jsonl").unlink()
    ran = mdtree("confirm", "zoo")
    assert ran.code == 2
    assert "zoo has no rows; looked for zoo/rows.jsonl" in ran.err
    assert "(mdtree measure zoo), or" in ran.err


@pytest.mark.parametrize("of_zoo", [True, False])
def test_how_to_measure_a_zoo_of_own_code_says_what_to_trust(mdtree, folder, of_zoo):
    (folder / "zoo/rows.jsonl").unlink()
    for name in ("zoo.yaml", "mdtree.yaml"):
        content = yaml.safe_load((folder / "zoo" / name).read_text())
        content["model"]["factory"] = "mine:net"
        (folder / "zoo" / name).write_text(yaml.safe_dump(content))
    if not of_zoo:
        (folder / "zoo/zoo.yaml").unlink()
    ran = mdtree("confirm", "zoo")
    assert ran.code == 2
    assert "(mdtree measure zoo --trust mine:net), or" in ran.err
    (folder / "zoo/mdtree.yaml").rename(folder / "own.yaml")
    named = mdtree("confirm", "zoo", "--recipe", "own.yaml")
    assert "(mdtree measure zoo --recipe own.yaml), or" in named.err


def test_a_change_that_fails_is_named_and_the_others_go_on(mdtree, folder):
    """One group has the name of no point of the grid."""
    rows = [*read_rows(folder / "zoo/rows.jsonl")]
    write_rows(folder / "zoo/rows.jsonl", [rows[0], replace(rows[1], group="stranger")])
    ran = mdtree("confirm", "zoo", "--tree", tree_file(folder, advising(factor=20.0)))
    assert ran.code == 1
    assert f"\nbefore: {COLD}\n" in ran.out
    assert ran.err.startswith("failed stranger: group 'stranger' is not of the zoo")


def as_run_directory(folder, **facts):
    """Make the zoo look like networks that another program trained."""
    (folder / "zoo/zoo.yaml").unlink()
    recipe = yaml.safe_load((folder / "zoo/mdtree.yaml").read_text())
    recipe["facts"] = {**recipe["facts"], **facts}
    (folder / "zoo/mdtree.yaml").write_text(yaml.safe_dump(recipe))
    (folder / "zoo/rows.jsonl").unlink()


def test_a_directory_with_a_recipe_is_trained_as_its_facts_say(mdtree, confirm, folder):
    as_run_directory(folder, epochs=4)
    mdtree("measure", "zoo", "--metrics", "error_rate")
    ran = confirm()
    assert (ran.code, ran.err) == (0, "")
    assert (
        f"\nbefore: {COLD}\nafter:  {COLD}_learning_rate-0.08\nchanged:\n  learning_rate"
    ) in ran.out
    assert "note: the networks before were not trained by `mdtree zoo train`" in ran.out
    assert "raise_temperature +20.0" in ran.out
    zoo = yaml.safe_load(
        (folder / "zoo-confirm" / f"{COLD}_learning_rate-0.08/zoo.yaml").read_text()
    )
    assert zoo["training"]["epochs"] == 4
    assert zoo["facts"]["epochs"] == 4


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({}, "has neither the fact epochs nor steps as a whole number"),
        ({"epochs": 4, "optimizer": "lion"}, "has the optimizer 'lion', and mdtree trains with"),
        ({"epochs": 4, "schedule": "StepLR"}, "has the schedule 'StepLR', and mdtree trains with"),
    ],
)
def test_what_is_not_known_of_a_training_is_an_error(mdtree, confirm, folder, facts, said):
    as_run_directory(folder, **facts)
    mdtree("measure", "zoo", "--metrics", "error_rate")
    ran = confirm()
    assert ran.code == 2
    assert said in ran.err


def test_code_in_a_directory_runs_only_if_it_is_trusted(mdtree, confirm, folder):
    config = yaml.safe_load((folder / "zoo/zoo.yaml").read_text())
    config["model"]["factory"] = "tests.support.confirming:trained_and_measured"
    (folder / "zoo/zoo.yaml").write_text(yaml.safe_dump(config))
    ran = confirm()
    assert ran.code == 2
    assert "--trust" in ran.err
    assert not [*folder.rglob("zoo-confirm/**/*.safetensors")]


def test_names_cannot_steer_the_terminal(mdtree, folder):
    rows = [*read_rows(folder / "zoo/rows.jsonl")]
    write_rows(folder / "zoo/rows.jsonl", [rows[0], replace(rows[1], group="\x1b[31mred")])
    ran = mdtree("confirm", "zoo", "--tree", tree_file(folder, advising(factor=20.0)))
    assert "\x1b" not in ran.out + ran.err
    assert "failed \\x1b[31mred" in ran.err


def test_an_interrupt_keeps_what_is_trained_and_says_how_to_resume(confirm, folder, monkeypatch):
    real, calls = member.train, []

    def stopped(*args, **more):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **more)

    monkeypatch.setattr(member, "train", stopped)
    ran = confirm()
    assert ran.code == 130
    assert ran.err.strip() == "Interrupted. Run the same command again to resume."
    assert len([*folder.rglob("zoo-confirm/**/*.safetensors")]) == 1
    assert f"{COLD}: 1 network trained, 1 already there" in confirm().out


def test_a_folder_in_which_another_mdtree_trains_is_an_error_of_its_own(confirm, folder):
    lock = folder / "zoo-confirm/w8-r0.08/.zoo.lock"
    lock.parent.mkdir(parents=True)
    with FileLock(lock):
        ran = confirm()
    assert ran.code == 4
    assert "another mdtree is training in" in ran.err


def test_a_network_of_your_own_is_trained_where_it_is_trusted(mdtree, folder):
    factory = "tests.support.confirming:own_network"
    config = yaml.safe_load((folder / "zoo/zoo.yaml").read_text())
    config["model"]["factory"] = factory
    (folder / "zoo/zoo.yaml").write_text(yaml.safe_dump(config))
    tree = tree_file(folder, advising(factor=80.0))
    ran = mdtree("confirm", "zoo", "--group", COLD, "--tree", tree, "--trust", factory)
    assert (ran.code, ran.err) == (0, "")
    assert "2 networks trained" in ran.out


def test_rows_may_lie_elsewhere(confirm, folder):
    (folder / "zoo/rows.jsonl").rename(folder / "mine.jsonl")
    assert confirm().code == 2
    ran = confirm("--rows", "mine.jsonl", tree=advising(factor=8.0))
    assert ran.code == 0
    assert not (folder / "zoo/rows.jsonl").exists()


def test_one_network_of_two_that_diverges_is_a_note(confirm, folder, monkeypatch):
    real = member.train

    def unlucky(model, items, loss, how, *args, **more):
        if how.seed == 1:
            more["watch"](0, float("nan"))
        return real(model, items, loss, how, *args, **more)

    monkeypatch.setattr(member, "train", unlucky)
    ran = confirm()
    assert ran.code == 0
    assert "note: training after diverged in 1 of 2 networks: the others alone are" in ran.out
    assert "2 networks trained, 0 already there, 1 diverged" in ran.out


def test_a_member_that_cannot_be_trained_fails_its_group(confirm, monkeypatch):
    def broken(*args, **more):
        raise RuntimeError("no\nluck")

    monkeypatch.setattr(member, "train", broken)
    ran = confirm()
    assert (ran.code, ran.out) == (2, "")
    assert "w8-r0.08/seed-0 could not be trained: RuntimeError: no" in ran.err


def test_a_recipe_that_the_user_names_may_name_any_network(mdtree, folder):
    as_run_directory(folder, epochs=4)
    recipe = yaml.safe_load((folder / "zoo/mdtree.yaml").read_text())
    recipe["model"]["factory"] = "tests.support.confirming:own_network"
    (folder / "zoo/mdtree.yaml").write_text(yaml.safe_dump(recipe))
    mine = (folder / "zoo/mdtree.yaml").rename(folder / "mine.yaml")
    mdtree("measure", "zoo", "--recipe", mine, "--metrics", "error_rate")
    tree = tree_file(folder, advising(factor=80.0))
    ran = mdtree("confirm", "zoo", "--recipe", mine, "--group", COLD, "--tree", tree)
    assert (ran.code, ran.err) == (0, "")
    assert "2 networks trained" in ran.out


@pytest.mark.usefixtures("ready_workers")
def test_workers_train_the_same_networks(confirm, folder):
    confirm()
    (folder / "zoo-confirm").rename(folder / "one")
    assert confirm("--workers", "2").code == 0
    for seed in (0, 1):
        name = f"w8-r0.08/w8-r0.08/seed-{seed}.safetensors"
        assert (folder / "one" / name).read_bytes() == (folder / "zoo-confirm" / name).read_bytes()
