from __future__ import annotations

import hashlib
import json
import platform
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

import mdtree
from mdtree.landscape import ComputeCost
from mdtree.measurement import Request, clear_caches, measure
from mdtree.measurement.builders import group_data
from mdtree.measurement.group import measure_or_fail
from mdtree.measurement.plan import find_groups
from mdtree.measurement.task import row_digest
from mdtree.measurement.told_amount import ToldAmount
from mdtree.metrics import METRICS, Metric, MetricResult
from mdtree.progress import listening
from mdtree.recipes import Trust, recipe_from_words
from mdtree.rows import Measured, Missing, read_rows, row
from mdtree.runtime.torchvision import usable
from tests.support.zoos import write_zoo

READS = []


def measure_group(task):
    """Measure one group, and give its row."""
    return measure_or_fail(task).row


def counted():
    """A data factory that notes that it was called."""
    READS.append(1)
    x = torch.arange(4 * 64.0).reshape(4, 1, 8, 8) / 256
    return (x, torch.arange(4)), (x, torch.arange(4))


def request(root, **recipe):
    content = {
        "model": {"factory": "cnn", "kwargs": {"width": 2}},
        "data": {"source": "digits", "amount": 50},
        **recipe,
    }
    return Request(
        root=root,
        recipe=recipe_from_words(content),
        folder=root,
        trust=Trust(any_factory=True),
        protocol="standard-1",
        metrics=("error_rate",),
        seed=0,
        device="cpu",
        allow_download=False,
    )


def tasks(root, **recipe):
    return {task.group: task for task in find_groups(request(root, **recipe))}


def test_a_row_tells_where_its_numbers_came_from(zoo):
    task = tasks(zoo)["hot"]
    known = measure_group(task).provenance

    assert known.weights == {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted((zoo / "hot").iterdir())
    }
    assert known.recipe == row_digest(task)
    assert (known.metrics, known.seed, known.device) == (("error_rate",), 0, "cpu")
    assert known.versions == {
        "mdtree": mdtree.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    assert known.seconds > 0
    assert known.data is None


def test_facts_are_those_of_the_user_beside_what_model_and_data_show(zoo):
    data = {"source": "digits", "amount": 40, "label_noise": 0.1}
    facts = {"data_amount": 4000, "parameters": 1, "teacher": "me"}

    seen = measure_group(tasks(zoo, data=data, facts=facts)["hot"]).facts

    assert seen == {
        "parameters": 2 * 9 + 2 + 4 + 4 * 2 * 9 + 4 + 8 + 16 * 10 + 10,
        "conv_parameters": 2 * 9 + 4 * 2 * 9,
        "data_amount": 4000,
        "label_noise": 0.1,
        "teacher": "me",
        "width": 2,
    }


def test_choices_made_while_reading_the_weights_are_noted(zoo):
    weights = load_file(zoo / "hot" / "seed-0.safetensors")
    torch.save({"state_dict": weights, "state_dict_ema": weights}, zoo / "hot" / "seed-9.pt")
    (note,) = measure_group(tasks(zoo)["hot"]).provenance.notes
    assert note.startswith("seed-9.pt: ")
    assert "state_dict_ema" in note


def test_what_a_group_gives_does_not_depend_on_what_was_measured_before(zoo):
    """The network is built once for groups of one shape: nothing of a group may stay in it."""
    planned = tasks(zoo)
    clear_caches()
    alone = measure_group(planned["hot"]).quantities
    measure_group(planned["cold"])
    assert (
        measure_group(planned["hot"]).quantities
        == alone
        != measure_group(planned["cold"]).quantities
    )


def test_data_are_read_once_for_all_groups_until_they_are_forgotten(zoo):
    clear_caches()
    READS.clear()
    planned = tasks(zoo, data="tests.measurement.test_group:counted")
    for task in planned.values():
        assert measure_group(task).failure is None
    assert len(READS) == 1

    clear_caches()
    measure_group(planned["hot"])
    assert len(READS) == 2


def test_data_that_have_changed_are_read_again(tmp_path):
    write_zoo(tmp_path, {"a": [0]})
    sizes = []
    for count in (3, 4):
        torch.save((torch.zeros(count, 1, 8, 8), torch.zeros(count).long()), tmp_path / "d.pt")
        planned = tasks(tmp_path, data={"source": "tensors", "train": "d.pt"})
        sizes.append(len(group_data(planned["a"]).train))
    assert sizes == [3, 4]


@pytest.mark.parametrize(
    "recipe",
    [
        {"batch_size": 3},
        {"weights_key": "ema"},
        {"hessian_limit": 4},
        {"facts": {"epochs": 3}},
        {"loss": "mse"},
        {"loss": {"factory": "cross_entropy", "kwargs": {"label_smoothing": 0.1}}},
        {"model": {"factory": "cnn", "kwargs": {"width": 3}}},
        {"data": {"source": "digits", "amount": 51}},
        {"data": {"source": "digits", "amount": 50, "seed": 1}},
    ],
)
def test_the_digest_of_a_row_sees_what_the_recipe_says(zoo, recipe):
    assert row_digest(tasks(zoo)["hot"]) != row_digest(tasks(zoo, **recipe)["hot"])
    assert row_digest(tasks(zoo, **recipe)["hot"]) == row_digest(tasks(zoo, **recipe)["cold"])


def test_a_limit_of_once_the_protocol_s_is_the_protocol(zoo):
    assert row_digest(tasks(zoo)["hot"]) == row_digest(tasks(zoo, hessian_limit=1)["hot"])


def test_work_inside_a_group_is_reported(zoo):
    heard = []
    task = replace(tasks(zoo)["hot"], metrics=("error_rate", "hessian"))
    with listening(lambda share, metric: heard.append((share, metric))):
        row = measure_group(task)
    shares = [share for share, _ in heard]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert 0.9 < shares[-1] <= 1
    assert len(set(shares)) > 20
    assert list(dict.fromkeys(metric for _, metric in heard)) == ["error_rate", "hessian"]
    assert row.provenance.passes == measure_group(task).provenance.passes > 0


def test_a_group_without_usable_facts_is_a_failed_row(zoo):
    task = tasks(zoo, model={"factory": "cnn", "kwargs": {"width": "$width"}})["hot"]
    failed = measure_group(task)

    assert failed.failure.kind == "RecipeError"
    assert failed.provenance is None
    reason = f"the group failed: {failed.failure.reason}"
    assert set(failed.quantities) == set(METRICS["error_rate"].quantities)
    assert set(failed.quantities.values()) == {Missing(missing=reason)}


def breaking(kind):
    def compute(subject):
        raise kind("deep inside")

    return Metric(name="x", quantities=("cka",), compute=compute, cost=lambda work: ComputeCost())


@pytest.mark.parametrize("kind", [ValueError, MemoryError, RecursionError, SystemExit, KeyError])
def test_whatever_is_raised_is_in_the_row(zoo, monkeypatch, kind):
    monkeypatch.setitem(METRICS, "x", breaking(kind))
    task = replace(tasks(zoo)["hot"], metrics=("x",))
    assert kind.__name__ in measure_group(task).failure.reason
    assert "deep inside" in measure_group(task).failure.reason


def test_an_interruption_is_no_failure_of_the_group(zoo, monkeypatch):
    monkeypatch.setitem(METRICS, "x", breaking(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        measure_group(replace(tasks(zoo)["hot"], metrics=("x",)))


def test_quantities_are_added_to_those_of_an_earlier_row(zoo, monkeypatch):
    more = Metric(
        name="x",
        quantities=("cka",),
        compute=lambda subject: MetricResult({"cka": Measured(value=0.5)}),
        cost=lambda work: ComputeCost(),
    )
    monkeypatch.setitem(METRICS, "x", more)
    task = tasks(zoo)["hot"]
    earlier = measure_group(task)

    both = measure_group(replace(task, metrics=("x",), earlier=earlier))

    assert both.quantities == {**earlier.quantities, "cka": Measured(value=0.5)}
    assert both.provenance.metrics == ("error_rate", "x")
    assert both.provenance.seconds >= earlier.provenance.seconds


def test_a_metric_that_fails_leaves_what_was_measured_before(zoo, monkeypatch):
    monkeypatch.setitem(METRICS, "x", breaking(ValueError))
    task = tasks(zoo)["hot"]
    earlier = measure_group(task)

    failed = measure_group(replace(task, metrics=("x",), earlier=earlier))

    assert earlier.quantities.items() <= failed.quantities.items()
    assert "deep inside" in failed.quantities["cka"].missing
    assert failed.failure.kind == "ValueError"
    assert failed.provenance == earlier.provenance


def test_each_hugging_face_folder_is_its_own_network_and_one_bad_one_fails_alone(tmp_path):
    with usable():
        transformers = pytest.importorskip("transformers")
    for name, width in (("a", 8), ("b", 16)):
        config = transformers.ResNetConfig(
            num_channels=1, embedding_size=4, hidden_sizes=[4, width], depths=[1, 1], num_labels=10
        )
        transformers.ResNetForImageClassification(config).save_pretrained(tmp_path / name)
    shutil.copytree(tmp_path / "b", tmp_path / "0-bad")
    (tmp_path / "0-bad" / "config.json").write_text(json.dumps({"architectures": ["Nothing"]}))

    run = measure(request(tmp_path, model="huggingface"), out=tmp_path / "rows.jsonl")

    assert run.failed.keys() == {"0-bad"}
    assert run.measured == 2
    sizes = {r.group: r.facts.get("parameters") for r in read_rows(tmp_path / "rows.jsonl")}
    assert sizes["a"] < sizes["b"]


def test_a_row_survives_its_way_through_text(zoo):
    measured = measure_group(tasks(zoo)["hot"])
    assert row.row_from_json(row.row_to_json(measured)) == measured


def sized(sizes):
    """A data factory whose argument has whole numbers as keys."""
    x = torch.zeros(sizes[1], 1, 8, 8)
    return (x, torch.zeros(len(x)).long()), None


def test_arguments_of_a_factory_arrive_as_the_recipe_wrote_them(zoo):
    data = {"source": f"{__name__}:sized", "kwargs": {"sizes": {1: 5}}}
    assert len(group_data(tasks(zoo, data=data)["hot"]).train) == 5


def test_another_description_in_a_hugging_face_folder_is_another_input(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"")
    digests = []
    for layers in (1, 2):
        (folder / "config.json").write_text(json.dumps({"num_hidden_layers": layers}))
        digests.append(row_digest(tasks(folder, model={"factory": "huggingface"})["bert"]))
    assert digests[0] != digests[1]


def with_settings(zoo, amount):
    """Write what a script tells of the training items, beside the weights of a group."""
    (zoo / "hot" / "args.json").write_text(json.dumps({"num_train_samples": amount}))


def test_settings_that_tell_of_other_training_items_are_told_and_the_data_count(zoo):
    with_settings(zoo, 60_000)
    task = tasks(zoo)["hot"]
    assert "data_amount" not in {**task.facts, **task.origins}
    measured = measure_group(task)
    assert measured.facts["data_amount"] == 50
    (note,) = measured.provenance.notes
    assert note == (
        "hot/args.json tells of 60000 training items, the data hold 50: the number of the data is "
        "used, unless you state another (--fact data_amount=60000)"
    )


def test_settings_that_agree_with_the_data_are_no_note(zoo):
    with_settings(zoo, 50)
    assert measure_group(tasks(zoo)["hot"]).provenance.notes == ()


def test_what_the_user_states_of_training_items_counts_alone(zoo):
    with_settings(zoo, 60_000)
    measured = measure_group(tasks(zoo, facts={"data_amount": 700})["hot"])
    assert (measured.facts["data_amount"], measured.provenance.notes) == (700, ())


@pytest.mark.parametrize(
    ("told", "items", "count"), [(99, 100, 0), (98, 100, 1), (101, 100, 0), (102, 100, 1)]
)
def test_one_percent_of_the_items_may_be_left_out(told, items, count):
    notes = list(ToldAmount(items=told, place="args.json").notes(items))
    assert len(notes) == count
