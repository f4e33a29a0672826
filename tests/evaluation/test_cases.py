"""The cases: drawn as published, restated with NumPy's legacy global generator."""

from __future__ import annotations

import numpy as np
import pytest

from mdtree.evaluation import CASES, SEEDS
from mdtree.evaluation.cases import Case, allowed, chosen
from mdtree.exceptions import TreeError
from mdtree.rows import Row, rows_from_csv
from mdtree.trees.examples import labelled

ROWS = {"1": 96, "2": 156, "3": 120, "few": 12}  # where every seed draws as many


def row(data, width, batch=16):
    facts = {"data_amount": data, "width": width, "batch_size": batch}
    group = f"{data},{width},{batch}"
    return Row(format=1, group=group, protocol="p", facts=facts, quantities={})


GRID = [row(data, width) for data in (9, 100, 20) for width in (2, 10, 4, 64)]


@pytest.fixture(scope="module")
def table(published_table):
    return rows_from_csv(published_table, protocol="paper-1").rows


def restated(case, data, width, seed):
    """The published sampling, word for word."""
    np.random.seed(seed)  # noqa: NPY002 - the published generator
    choice = np.random.choice
    if case == "2" or case == "5":  # noqa: PLR1714 - one line for each published case
        return data <= 5000
    if case == "3":
        return width <= 2
    if case == "4":
        known = np.unique(data)
        return np.isin(data, known[choice(len(known), 1, replace=False)])
    if case == "data":
        known = np.unique(width[width >= 32])
        return np.isin(width, known[choice(len(known), 1, replace=False)])
    cells = np.unique(np.column_stack([data, width]), axis=0)
    picked = cells[choice(len(cells), {"1": 8, "few": 1}[case], replace=False)]
    return np.array(
        [any((cell == pick).all() for pick in picked) for cell in zip(data, width, strict=True)]
    )


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", CASES)
def test_training_rows_are_those_of_the_published_sampling(table, name, seed):
    rows, _, _ = labelled(table, CASES[name].task)
    data, width = (np.array([row.facts[f] for row in rows]) for f in ("data_amount", "width"))
    mask = chosen(CASES[name], rows, seed)
    np.testing.assert_array_equal(mask, restated(name, data, width, seed))
    assert mask.sum() == ROWS.get(name, mask.sum())


def test_the_seeds_and_the_names_are_the_published_ones():
    assert SEEDS == (42, 90, 38, 18, 72)
    assert list(CASES) == ["1", "2", "3", "4", "5", "few", "data"]
    assert all(name == case.name for name, case in CASES.items())


def test_drawing_leaves_the_global_generator_alone():
    np.random.seed(5)  # noqa: NPY002 - this one must not be touched
    expected = np.random.random(3)  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    chosen(CASES["few"], GRID, 42)
    np.testing.assert_array_equal(np.random.random(3), expected)  # noqa: NPY002


def test_a_draw_is_the_same_again_and_another_for_another_seed():
    masks = {seed: chosen(CASES["few"], GRID, seed) for seed in range(20)}
    assert all((chosen(CASES["few"], GRID, seed) == mask).all() for seed, mask in masks.items())
    assert len({mask.tobytes() for mask in masks.values()}) > 1


def test_the_order_of_rows_does_not_change_the_draw():
    for name in CASES:
        mask = chosen(CASES[name], GRID, 42)
        back = chosen(CASES[name], GRID[::-1], 42)
        np.testing.assert_array_equal(mask, back[::-1])


def test_the_least_data_and_the_least_width_are_those_of_the_table():
    data, width = chosen(CASES["2"], GRID, 0), chosen(CASES["3"], GRID, 0)
    assert {group.facts["data_amount"] for group, take in zip(GRID, data, strict=True) if take} == {
        9
    }
    assert {group.facts["width"] for group, take in zip(GRID, width, strict=True) if take} == {2}
    assert (data.sum(), width.sum()) == (4, 3)


def test_narrow_networks_take_no_part_in_the_question_for_data():
    part = allowed(CASES["data"], GRID)
    assert part.sum() == 3
    assert chosen(CASES["data"], GRID, 0).tolist() == part.tolist()  # one width is left
    with pytest.raises(TreeError, match="case 'data' needs networks of width 32 or more"):
        chosen(CASES["data"], GRID[:3], 0)


def test_all_cells_are_taken_where_fewer_are_there_than_wanted():
    assert chosen(CASES["1"], GRID[:3], 42).all()


@pytest.mark.parametrize("value", ["wide", True, None])
def test_a_row_without_a_width_is_named(value):
    facts = {"data_amount": 5} if value is None else {"data_amount": 5, "width": value}
    bad = Row(format=1, group="odd one", protocol="p", facts=facts, quantities={})
    with pytest.raises(TreeError, match="group 'odd one' has no fact 'width'"):
        chosen(Case(name="1", task="temperature", draw="cells", cells=1), [*GRID, bad], 42)
