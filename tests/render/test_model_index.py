"""The model-index of the Hub: YAML that its own library reads, with the measured accuracy."""

from __future__ import annotations

import pytest
import yaml

from mdtree.exceptions import MdtreeError
from mdtree.render.model_index import model_index
from mdtree.rows import Measured, Missing, Row
from tests.support.reports import HOSTILE, group

ERROR = {"test_error": (8.51, 0.2)}


def content(text):
    assert text.startswith("---\n")
    assert text.endswith("\n---")
    (index,) = yaml.safe_load_all(text.removesuffix("\n---"))
    return index["model-index"]


def test_the_accuracy_is_the_share_that_the_test_error_leaves():
    (model,) = content(model_index([group("wide", ERROR)], "mnist"))
    assert model["name"] == "wide"
    (result,) = model["results"]
    assert result["dataset"] == {"type": "mnist", "name": "mnist"}
    assert result["metrics"] == [{"type": "accuracy", "name": "Test accuracy", "value": 0.9149}]


def test_the_library_of_the_hub_reads_it():
    hub = pytest.importorskip("huggingface_hub.repocard_data")
    index = content(model_index([group("wide", ERROR)], "mnist"))
    name, results = hub.model_index_to_eval_results(index)
    assert name == "wide"
    assert [(each.metric_type, each.metric_value) for each in results] == [("accuracy", 0.9149)]
    assert [(each.dataset_type, each.task_type) for each in results] == [("mnist", "other")]


def test_the_fact_stands_in_for_what_was_not_measured():
    missing = {"test_error": Missing(missing="no test data")}
    row = Row(
        format=1,
        group="g",
        protocol="paper-1",
        facts={"test_accuracy": 75},
        quantities=missing,
    )
    (model,) = content(model_index([row], "mnist"))
    assert model["results"][0]["metrics"][0]["value"] == 0.75


def test_rows_without_an_accuracy_are_left_out_and_none_at_all_is_an_error():
    rows = [group("a", {}), group("b", ERROR)]
    assert [model["name"] for model in content(model_index(rows, "mnist"))] == ["b"]
    with pytest.raises(MdtreeError, match="measure error_rate on test data"):
        model_index(rows[:1], "mnist")


@pytest.mark.parametrize("name", [*HOSTILE, "a: b", "--- ", "&a *a !!python/name:os.system"])
def test_names_are_text(name):
    row = Row(
        format=1,
        group=name,
        protocol="paper-1",
        facts={},
        quantities={"test_error": Measured(value=1.0)},
    )
    text = model_index([row], name)
    assert all(c.isprintable() or c == "\n" for c in text)
    (model,) = content(text)
    (result,) = model["results"]
    assert model["name"] == result["dataset"]["name"]
