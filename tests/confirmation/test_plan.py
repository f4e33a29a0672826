"""The plan of changes, from rows and a config alone: nothing is trained for it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from mdtree.confirmation import ConfirmationSettings, plan_changes
from mdtree.exceptions import MdtreeError, OutputError
from mdtree.recipes import Zoo
from mdtree.rows import write_rows
from tests.support.confirming import COLD, CONFIG, WARM, advising
from tests.support.rows import row


@pytest.fixture
def planned(tmp_path):
    def call(*rows, settings=None, **parts):
        folder = tmp_path / "zoo"
        folder.mkdir(exist_ok=True)
        zoo = Zoo.model_validate({**CONFIG, **parts})
        content = json.loads(zoo.model_dump_json(exclude_none=True))
        (folder / "zoo.yaml").write_text(yaml.safe_dump(content))
        write_rows(folder / "rows.jsonl", rows)
        more = {"tree": advising(factor=80.0), "device": "cpu", **(settings or {})}
        return plan_changes(ConfirmationSettings(directory=folder, **more))

    return call


def group(name=COLD, **facts):
    known = {"learning_rate": 0.001, "width": 8, "data_amount": 200, **facts}
    known = {name: value for name, value in known.items() if value is not None}
    return row(name, known, train_error=80.0, test_error=82.0)


def test_each_group_has_a_change_a_folder_and_networks(planned, tmp_path):
    plan = planned(group(), group(WARM, learning_rate=0.01), settings={"seeds": 3})
    assert [each.group for each in plan.changes] == ["w8-r0.08", "w8-r0.8"]
    first = plan.changes[0]
    assert first.root == tmp_path / "zoo-confirm/w8-r0.08"
    assert [member.seed for member in first.todo] == [0, 1, 2]
    assert first.promised.mean == 20.0


def test_what_only_the_config_knows_is_known_before_and_after(planned):
    training = {**CONFIG["training"], "learning_rate": 0.001, "optimizer": "adamw"}
    (each,) = planned(
        group("w8", learning_rate=None),
        training=training,
        grid={"width": [8]},
        name="w{width}",
    ).changes
    assert (each.change.fact, each.change.new) == ("batch_size", 5)  # the first knob, by 4
    assert each.before.facts["batch_size"] == 20
    assert each.members[0].facts == {"width": 8, "batch_size": 5}


def test_where_the_first_knob_cannot_be_turned_the_next_one_is(planned):
    tree = advising("temperature_high", "lower_temperature", "batch_size", 8.0)
    (each,) = planned(
        group(batch_size=200),
        settings={"tree": tree},
        training={**CONFIG["training"], "batch_size": 200},
    ).changes
    assert (each.change.fact, each.change.new) == ("learning_rate", 0.00025)
    assert "not changed as advised first, batch_size: batch_size 200 cannot" in each.notes[0]


def test_folders_that_would_join_the_zoo_are_refused(planned, tmp_path):
    with pytest.raises(OutputError, match="is inside"):
        planned(group(), settings={"out": tmp_path / "zoo/.hidden"})


def test_a_link_that_the_user_did_not_name_is_not_followed(planned, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "zoo-confirm").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError, match="is a link to"):
        planned(group())
    named = {"out": tmp_path / "zoo-confirm"}
    assert planned(group(), settings=named).changes[0].root.parent == tmp_path / "zoo-confirm"


def test_the_folder_of_the_current_directory_lies_beside_it(tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    monkeypatch.chdir(tmp_path / "runs")
    assert ConfirmationSettings(directory=Path()).place == tmp_path / "runs-confirm"
    monkeypatch.chdir(tmp_path)
    assert ConfirmationSettings(directory=Path("runs")).place == Path("runs-confirm")


@pytest.mark.parametrize("wrong", [{"seeds": 0}, {"minutes": float("nan")}, {"protocol": "x"}])
def test_wrong_settings_are_refused(tmp_path, wrong):
    with pytest.raises(MdtreeError):
        ConfirmationSettings(directory=tmp_path, **wrong)
