"""`mdtree.weights` does what the command does, on files and in memory."""

from __future__ import annotations

import csv
import json

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree import weights
from mdtree.exceptions import MdtreeError
from tests.support.adapters import halves, write_adapter


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 32))


@pytest.fixture
def base(tmp_path):
    path = tmp_path / "base.safetensors"
    save_file(network().state_dict(), path)
    return path


@pytest.fixture
def adapter(tmp_path):
    return write_adapter(tmp_path / "lora", halves("2", 32, 2, 64)).parent


def test_python_returns_what_the_command_prints(mdtree, base):
    (layers,) = json.loads(mdtree("weights", base, "--json").out)["checkpoints"]
    report = weights(base)
    assert list(report.checkpoints) == [base.name]
    assert [layer.figures.alpha for layer in report.analysis.layers] == [
        layer["alpha"] for layer in layers["layers"]
    ]


@pytest.mark.parametrize("form", [lambda net: net, lambda net: net.state_dict()])
def test_networks_in_memory_are_read_like_files(base, form):
    report = weights(form(network()))
    assert report.analysis == weights(base).analysis
    after = network()
    with torch.no_grad():
        after[0].weight.mul_(2)
    compared = weights(base, against=form(after))
    assert [update.changed for update in compared.updates] == [True, False]
    assert compared.updates[0].relative_norm == pytest.approx(1)


def test_what_a_module_stores_beside_tensors_is_left_out():
    class Strange(nn.Linear):
        def get_extra_state(self):
            return {"anything": 1}

    assert len(weights(Strange(32, 16)).analysis.layers) == 1


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "give either a checkpoint or directory, or a table with series"),
        ({"source": "x", "series": "y"}, "give either"),
        ({"series": "x", "against": "y"}, "against compares two checkpoints"),
        ({"source": "no-such"}, "no-such does not exist"),
        ({"source": {}}, "what is in memory contains nothing"),
        ({"source": {"a": 1}}, "no weights under"),
        ({"source": nn.ReLU()}, "what is in memory contains nothing"),
        ({"source": nn.Linear(2, 2), "convention": "none"}, "convention must be pooled, slices"),
    ],
)
def test_wrong_use_is_the_error_of_the_command(given, says):
    with pytest.raises(MdtreeError, match=says):
        weights(**given)


def test_an_adapter_is_recognised_on_either_side(base, adapter):
    report = weights(adapter, against=base)
    assert weights(base, against=adapter).updates == report.updates
    first, second = report.updates
    assert (first.changed, second.changed, second.rank) == (False, True, 2)
    assert second.share == pytest.approx(1)
    assert report.notes == (f"the adapter is merged into {base}",)


def test_two_adapters_are_compared_on_the_bases_that_they_name(base, tmp_path, adapter):
    config = {"base_model_name_or_path": str(base.parent / "home")}
    (tmp_path / "home").mkdir()
    base.rename(tmp_path / "home" / "model.safetensors")
    first = write_adapter(tmp_path / "one", halves("2", 32, 2, 64), **config)
    second = write_adapter(tmp_path / "two", halves("2", 32, 2, 64, seed=1), **config)
    report = weights(first, against=second)
    assert [update.rank for update in report.updates] == [0, 4]
    with pytest.raises(MdtreeError, match="does not say which model it changes"):
        weights(first, against=adapter)


def write_both(tmp_path, stated):
    """Two adapters in one folder, which state that their base is there."""
    return [
        write_adapter(
            tmp_path / "runs" / name,
            halves("2", 32, 2, 64, seed=seed),
            base_model_name_or_path=str(stated),
        )
        for seed, name in enumerate(("one", "two"))
    ]


def move(base, folder):
    folder.mkdir(parents=True)
    return base.rename(folder / "model.safetensors")


@pytest.mark.parametrize("place", ["elsewhere", "runs/deeper/base", "link of a folder", "link"])
def test_a_base_that_does_not_lie_beside_the_adapters_is_named_by_the_user(
    mdtree, base, tmp_path, place
):
    there = move(base, tmp_path / ("elsewhere" if "link" in place else place))
    stated = tmp_path / "runs" / "base" if "link" in place else there.parent
    if place == "link of a folder":
        stated.parent.mkdir()
        stated.symlink_to(there.parent)
    elif place == "link":
        stated.mkdir(parents=True)
        (stated / "model.safetensors").symlink_to(there)
    first, second = write_both(tmp_path, stated)
    ran = mdtree("weights", first.parent, "--against", second)
    assert ran.code == 2
    assert f"neither in {first.parent} nor beside it" in ran.err
    assert f"mdtree weights {first.parent} --against BASE" in ran.err
    assert mdtree("weights", first.parent, "--against", there).code == 0


@pytest.mark.parametrize("place", ["runs", "runs/one/inner"])
def test_a_base_may_lie_around_an_adapter_or_in_its_folder(base, tmp_path, place):
    (tmp_path / "runs" / "one").mkdir(parents=True)
    there = base.rename(tmp_path / "runs" / "model.safetensors")
    if place != "runs":
        (tmp_path / place).mkdir()
        there = there.rename(tmp_path / place / "model.safetensors")
    first, _ = write_both(tmp_path, there.parent)
    assert weights(first, against=first).notes == (f"the adapter is merged into {there}",)


def test_two_adapters_with_one_base_have_one_note(base, tmp_path):
    there = move(base, tmp_path / "runs" / "base")
    first, second = write_both(tmp_path, "../base")
    (note,) = weights(first, against=second).notes
    assert note == f"the adapter is merged into {first.parent / '..' / 'base' / there.name}"


def test_checkpoints_of_a_directory_come_in_the_order_of_their_numbers(mdtree, base, tmp_path):
    for step in (114, 38, 304, 76):
        save_file(network(step).state_dict(), tmp_path / f"checkpoint-{step}.safetensors")
    base.unlink()
    names = [f"checkpoint-{step}.safetensors" for step in (38, 76, 114, 304)]
    table = tmp_path / "layers.csv"
    ran = mdtree("weights", tmp_path, "--csv", table)
    assert [line.split()[0] for line in ran.out.splitlines()[2:6]] == names
    lines = list(csv.DictReader(table.open()))
    assert list(dict.fromkeys(line["checkpoint"] for line in lines)) == names
    ran = mdtree("weights", tmp_path, "--against", tmp_path / names[0])
    assert f"holds 4 checkpoints: name one of them, such as {tmp_path / names[-1]}" in ran.err


def test_an_adapter_with_a_base_in_memory_is_refused(adapter):
    with pytest.raises(MdtreeError, match="the base of an adapter must be a file or a folder"):
        weights(adapter, against=network())


def test_an_adapter_alone_gets_a_sentence(mdtree, adapter, tmp_path):
    ran = mdtree("weights", adapter)
    assert ran.code == 2
    assert "is an adapter: it changes another model" in ran.err
    assert f"mdtree weights {adapter} --against BASE" in ran.err
    save_file(network().state_dict(), tmp_path / "lora" / "whole.safetensors")
    mixed = mdtree("weights", tmp_path)  # the adapter's folder counts as one checkpoint
    assert "is an adapter" in mixed.out + mixed.err


def test_the_command_prints_where_an_update_is(mdtree, base, adapter):
    ran = mdtree("weights", adapter, "--against", base)
    assert ran.code == 0
    (line,) = [x for x in ran.out.splitlines() if x.startswith("2.weight") and "of 10" in x]
    assert "100 %" in line
    assert "1 layer changed, 1 did not" in ran.out
    assert f"note: the adapter is merged into {base}" in ran.out
    content = json.loads(mdtree("weights", adapter, "--against", base, "--json").out)
    assert [update["rank"] for update in content["updates"]] == [0, 2]


def test_a_table_has_a_line_for_each_layer_of_each_checkpoint(mdtree, base, tmp_path):
    tensors = {"=cmd|' /C calc'!A0.weight": torch.randn(32, 32), "b.weight": torch.randn(9, 9)}
    save_file(tensors, tmp_path / "other.safetensors")
    table = tmp_path / "layers.csv"
    assert mdtree("weights", tmp_path, "--csv", table).code == 0
    lines = list(csv.DictReader(table.open()))
    assert [(line["checkpoint"], line["layer"]) for line in lines] == [
        ("base.safetensors", "0.weight"),
        ("base.safetensors", "2.weight"),
        ("other.safetensors", "'=cmd|' /C calc'!A0.weight"),
        ("other.safetensors", "b.weight"),
    ]
    assert float(lines[0]["log_norm"]) == weights(base).analysis.layers[0].figures.log_norm
    assert (lines[0]["rows"], lines[0]["columns"], lines[0]["trap"]) == ("64", "32", "False")


def test_a_table_of_a_comparison_has_a_line_for_each_layer(mdtree, base, adapter, tmp_path):
    table = tmp_path / "update.csv"
    assert mdtree("weights", adapter, "--against", base, "--csv", table, "--json").code == 0
    lines = list(csv.DictReader(table.open()))
    assert [line["layer"] for line in lines] == ["0.weight", "2.weight"]
    assert [line["rank"] for line in lines] == ["0", "2"]
    assert lines[1]["collapsed"] in ("True", "False")


def test_a_table_never_takes_the_place_of_weights(mdtree, base):
    ran = mdtree("weights", base, "--csv", base)
    assert ran.code == 5
    assert "contains weights and was not replaced: name another file with --csv" in ran.err


def test_a_series_has_rankings_in_python_too(tmp_path):
    table = tmp_path / "series.csv"
    table.write_text("model,error,alpha\na,1,1\nb,2,2\nc,3,3\n")
    (ranking,) = weights(series=table).rankings
    assert ranking.tau == pytest.approx(1)
    assert weights(series=table).table[0]["number"] == "alpha"


def test_names_of_a_stranger_are_escaped(mdtree, base, tmp_path):
    save_file(
        {**network(1).state_dict(), "\x1b[2Jnew.weight": torch.ones(3, 3)},
        tmp_path / "odd.safetensors",
    )
    ran = mdtree("weights", base, "--against", tmp_path / "odd.safetensors")
    assert "not in both, or of other sizes" in ran.out
    assert "\x1b" not in ran.out
