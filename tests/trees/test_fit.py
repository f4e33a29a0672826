"""Fitting: labelled rows become a tree, or a refusal that says what is wrong with them."""

from __future__ import annotations

import dataclasses

import pytest

import mdtree
from mdtree.exceptions import MdtreeError, ProtocolError, TreeError
from mdtree.failure_modes import TASKS
from mdtree.fit_methods import FIT_METHODS
from mdtree.labelling import label_rows
from mdtree.rows import Measured, Missing, Row, one_protocol
from mdtree.trees import FACT_FEATURES, LANDSCAPE, leaves, template_features
from mdtree.trees.examples import labelled
from mdtree.trees.fit import fit_tree
from mdtree.trees.node import weight_of

QUANTITIES = {
    "train_loss": 0.01,
    "hessian_top": 20.0,
    "hessian_trace": 500.0,
    "connectivity_peak": -3.0,
    "cka": 0.4,
}
BATCHES = (16, 32, 64, 128, 256, 512)

TREES = [name for name in FIT_METHODS if name != "gains"]  # which needs more groups: test_gains


def row(batch, accuracy, *, width=8, protocol="paper-1", without=(), **facts):
    """The larger the batch, the lower the temperature: the network interpolates."""
    values = {
        **QUANTITIES,
        "train_error": 0.001 if batch > 64 else 5.0 + 640 / batch,
        "connectivity": -2.0 if batch > 64 else 6.0,
    }
    quantities = {
        name: Missing(missing="not today") if name in without else Measured(value=value)
        for name, value in values.items()
    }
    return Row(
        format=1,
        group=f"batch {batch}, width {width}",
        protocol=protocol,
        facts={
            "batch_size": batch,
            "width": width,
            "parameters": 100 * width**2,
            "data_amount": 1000,
            "test_accuracy": accuracy,
            **facts,
        },
        quantities=quantities,
    )


def grid(**given):
    """Two widths by six batch sizes; the best batch size is 64."""
    best = dict(zip(BATCHES, (70, 75, 80, 78, 74, 69), strict=True))
    return [
        row(batch, accuracy + 3 * (width == 16), width=width, **given)
        for width in (8, 16)
        for batch, accuracy in best.items()
    ]


@pytest.mark.parametrize("method", TREES)
def test_a_tree_tells_the_groups_that_it_was_fitted_on_apart(method):
    saved = fit_tree(grid(), method=method)
    assert saved.groups == 10  # the best batch size of each width has no answer
    assert weight_of(saved.tree) == 10
    for leaf in leaves(saved.tree):
        others = sum(n for name, n in leaf.counts.items() if name != leaf.answer)
        assert others == 0


@pytest.mark.parametrize("method", TREES)
def test_a_tree_remembers_what_it_rests_on(method):
    saved = fit_tree(grid(), method=method, provenance={"rows": "grid.csv"})
    assert (saved.task, saved.method, saved.protocol) == ("temperature", method, "paper-1")
    assert saved.classes == ("temperature_high", "temperature_low")
    assert saved.provenance == {"mdtree": mdtree.__version__, "rows": "grid.csv"}
    assert saved.ranges["train_error"] == (0.001, 45.0)
    assert set(saved.ranges) == set(saved.features)
    assert bool(saved.components) == (method in ("posterior", "grown"))


def test_leaves_tell_the_mean_gain_of_each_remedy():
    saved = fit_tree(grid(), method="cart")
    low = next(leaf for leaf in leaves(saved.tree) if leaf.answer == "temperature_low")
    # batches of 128, 256 and 512, which lose 2, 6 and 11 points against 64, at both widths
    assert low.gains["raise_temperature"] == pytest.approx(19 / 3, abs=1e-4)
    assert low.gains["enlarge_model"] == pytest.approx(3 / 2, abs=1e-4)
    assert low.gains["lower_temperature"] == 0


def test_the_joint_task_names_what_the_labels_name():
    rows = grid()
    _, answers, _ = labelled(rows, "failure")
    assert answers == [label.mode for label in label_rows(rows)]
    assert set(fit_tree(rows, task="failure").classes) == set(TASKS["failure"].classes)


@pytest.mark.parametrize(
    ("facts", "features"), [(False, LANDSCAPE), (True, (*LANDSCAPE, *FACT_FEATURES))]
)
@pytest.mark.parametrize("method", ["cart", "posterior"])
def test_only_with_facts_may_a_tree_ask_for_facts(method, facts, features):
    assert fit_tree(grid(), method=method, facts=facts).features == features


def test_with_facts_the_posterior_of_width_asks_for_the_size():
    plain, facts = (fit_tree(grid(), task="width", facts=given) for given in (False, True))
    asked = [
        {name for _, binned in saved.components for name in template_features(binned.shape)}
        for saved in (plain, facts)
    ]
    assert "log_parameters" not in asked[0]
    assert "log_parameters" in asked[1]


def test_the_published_method_takes_only_the_columns_of_its_shape():
    saved = fit_tree(grid(), method="mdtree")
    assert saved.features == ("train_error", "connectivity_peak", "log_hessian_trace")


def test_a_prior_keeps_its_columns_and_gives_its_groups_and_ranges():
    first = fit_tree(grid(), provenance={"rows": "first"})
    other = row(1024, 60)
    wider = {**other.quantities, "train_error": Measured(value=77.0)}
    later = [*grid(), dataclasses.replace(other, quantities=wider)]
    second = fit_tree(later, prior=first, provenance={"rows": "second"})
    assert second.features == first.features
    assert second.groups == 10 + 11
    assert second.ranges["train_error"] == (0.001, 77.0)
    narrow = fit_tree([group for group in grid() if group.facts["batch_size"] > 64], prior=second)
    assert narrow.ranges["train_error"] == (0.001, 77.0)
    assert [binned.counts.sum() for _, binned in second.components] == [21] * len(first.components)


def test_continuing_twice_is_continuing_once_with_all():
    first = fit_tree(grid())
    continued = fit_tree(grid(), prior=fit_tree(grid(), prior=first))
    (_, twice), *_ = continued.components
    (_, once), *_ = fit_tree(grid(), prior=first).components
    assert twice.merged().counts.sum() == once.merged().counts.sum() + 10
    assert [cut.tolist() for cut in twice.cuts] == [cut.tolist() for cut in once.cuts]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"task": "temprature"}, r"task 'temprature' is unknown, did you mean 'temperature'\?"),
        ({"method": "postrior"}, r"method 'postrior' is unknown, did you mean 'posterior'\?"),
        ({"task": "failure", "method": "mdtree"}, "has no tree for task 'failure': use posterior"),
        ({"method": "mdtree", "facts": True}, "use no facts: leave out --facts"),
        ({"method": "cart", "prior": "temperature"}, "only a posterior can start from a prior"),
        ({"prior": "cart"}, "and the prior must be a posterior too"),
        ({"task": "width", "prior": "temperature"}, "the prior answers task 'temperature', not"),
        ({"prior": "temperature", "facts": True}, "the prior was fitted without facts"),
    ],
)
def test_what_does_not_go_together_is_refused(given, message):
    priors = {"temperature": {}, "cart": {"method": "cart"}}
    if "prior" in given:
        given = {**given, "prior": fit_tree(grid(), **priors[given["prior"]])}
    with pytest.raises(TreeError, match=message):
        fit_tree(grid(), **given)


def test_rows_of_two_protocols_are_refused_with_both_names():
    rows = [*grid(), *grid(protocol="standard-1")]
    with pytest.raises(ProtocolError, match=r"the rows have 2 protocols \(paper-1, standard-1\)"):
        fit_tree(rows)
    assert one_protocol(rows[:1]) == "paper-1"


def test_a_prior_of_another_protocol_is_refused_with_both_names():
    with pytest.raises(ProtocolError, match=r"prior tree has protocol 'paper-1' .* 'standard-1'"):
        fit_tree(grid(protocol="standard-1"), prior=fit_tree(grid()))


def test_no_rows_are_refused():
    with pytest.raises(TreeError, match="there are no rows to learn from"):
        fit_tree([])


def test_rows_without_an_answer_are_refused():
    rows = [row(16, 70), row(32, 70), row(64, 70)]
    with pytest.raises(TreeError, match="no row has an answer to the task 'temperature'"):
        fit_tree(rows)


@pytest.mark.parametrize("method", ["posterior", "mdtree"])
def test_rows_that_all_lack_a_needed_quantity_are_refused_by_name(method):
    rows = grid(without=("train_error",))
    with pytest.raises(
        TreeError, match=r"no tree can be fitted for task 'temperature': .*train_err"
    ):
        fit_tree(rows, method=method)


def test_a_missing_quantity_leaves_the_shapes_that_need_it_out():
    saved = fit_tree(grid(without=("connectivity",)))
    asked = {name for _, binned in saved.components for name in template_features(binned.shape)}
    assert asked == {"train_error", "connectivity_peak", "log_hessian_trace"}
    assert "connectivity" not in saved.ranges


@pytest.mark.parametrize("method", TREES)
def test_some_rows_may_lack_a_quantity(method):
    rows = [*grid()[:8], *grid(without=("connectivity_peak", "cka"))[8:]]
    assert fit_tree(rows, method=method).groups == 10


@pytest.mark.parametrize("method", TREES)
@pytest.mark.parametrize("accuracies", [(70, 80), (80, 70)])
def test_two_rows_are_enough_and_one_class_too(method, accuracies):
    rows = [row(batch, accuracy) for batch, accuracy in zip((32, 512), accuracies, strict=True)]
    saved = fit_tree(rows, method=method)
    assert saved.groups == 1
    assert weight_of(saved.tree) == 1
    assert saved.provenance["WARNING"].startswith("the 1 group that it was fitted to")


@pytest.mark.parametrize(
    ("method", "count", "warned"),
    [("posterior", 13, True), ("grown", 13, True), ("posterior", 100, False), ("cart", 13, False)],
)
def test_a_tree_that_contradicts_the_groups_it_was_fitted_to_says_so(method, count, warned):
    """All interpolate, and all but one are hot; beforehand, that is believed to be cold."""
    labels = ["temperature_low", *["temperature_high"] * (count - 1)]
    rows = [
        dataclasses.replace(row(512, 70), group=f"{n}", facts={"label": name, "test_accuracy": 70})
        for n, name in enumerate(labels)
    ]
    warning = fit_tree(rows, task="temperature", method=method).provenance.get("WARNING", "")
    says = f"it answers {count} of the {count} groups that it was fitted to otherwise than most"
    assert warning.startswith(says) == warned
    assert bool(warning) == warned


@pytest.mark.parametrize("method", TREES)
def test_equal_measurements_with_different_labels_are_a_tree_all_the_same(method):
    same = {
        name: Measured(value=value) for name, value in {**QUANTITIES, "connectivity": 1}.items()
    }
    rows = [
        dataclasses.replace(group, quantities={**same, "train_error": Measured(value=1.0)})
        for group in grid()
    ]
    assert weight_of(fit_tree(rows, method=method).tree) == 10


@pytest.mark.parametrize("method", TREES)
@pytest.mark.parametrize("value", [1e300, -1e300])
def test_huge_measurements_are_values(method, value):
    rows = grid()
    names = ("train_error", "connectivity", "connectivity_peak", "hessian_trace", "cka")
    huge = {name: Measured(value=value) for name in names}
    rows[0] = dataclasses.replace(rows[0], quantities={**rows[0].quantities, **huge})
    assert fit_tree(rows, method=method).groups == 10


def test_every_refusal_has_the_exit_code_of_bad_input():
    assert (
        {error.exit_code for error in (TreeError, ProtocolError)} == {MdtreeError.exit_code} == {2}
    )
