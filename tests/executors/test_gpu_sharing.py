"""Shares of a GPU: as many workers on one as fit.  What Ray makes of them: test_dispatch.py."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.executors import ExecutorConfig, TaskResult
from mdtree.executors.dispatch import gpu_share, sized


@pytest.mark.parametrize(
    ("share", "fit"),
    [
        (None, 1),
        (1.0, 1),
        (3.0, 1),
        (0.5, 1),
        (1 / 3, 2),
        (0.2, 3),
        (0.1, 6),
        (0.01, 16),
        (0.0, 16),
    ],
)
def test_so_many_workers_fit_on_a_gpu_of_which_one_held_a_part(share, fit):
    assert gpu_share(share) == 1 / fit


@given(st.floats(0, 4))
def test_workers_on_one_gpu_have_room_for_half_as_much_again(share):
    fit = round(1 / gpu_share(share))
    assert 1 <= fit <= 16
    assert fit == 1 or fit * share * 1.5 <= 1 + 1e-9


class Recorded:
    """What does the work, and with what crews it was asked to."""

    def __init__(self, result=0.1):
        self.result, self.executors_used = result, []

    def __call__(self, task, items, executor):
        self.executors_used.append(executor)
        for item in items:
            yield TaskResult(item=item, result=self.result and task(item), error=None)


def test_the_first_item_has_a_gpu_alone_and_the_others_as_much_as_it_held():
    pool, executor = Recorded(), ExecutorConfig(ray="local", workers=9, gpus=None)
    done = list(
        sized(pool, lambda item: item, iter([0.1, 0.2, 0.9]), executor, lambda share: share)
    )

    assert [each.item for each in done] == [0.1, 0.2, 0.9]
    assert [(each.workers, each.gpus) for each in pool.executors_used] == [(1, 1.0), (9, 1 / 6)]


def test_the_others_have_a_gpu_each_where_the_first_item_told_nothing():
    pool, executor = Recorded(result=None), ExecutorConfig(ray="local", gpus=None)
    done = list(sized(pool, lambda item: item, range(3), executor, lambda share: share))

    assert [each.item for each in done] == [0, 1, 2]
    assert [each.gpus for each in pool.executors_used] == [1.0, 1.0]


@pytest.mark.parametrize(
    "executor", [ExecutorConfig(workers=2, gpus=None), ExecutorConfig(ray="local", gpus=0.5)]
)
def test_nobody_works_alone_where_there_is_nothing_to_find_out(executor):
    pool = Recorded()
    assert len(list(sized(pool, lambda item: item, range(3), executor, lambda _: 0.1))) == 3
    assert [executor] == pool.executors_used


@pytest.mark.parametrize("items", [[], [1]])
def test_few_items_are_done_once(items):
    pool = Recorded()
    done = list(
        sized(pool, lambda item: item, items, ExecutorConfig(ray="x", gpus=None), lambda _: 0.1)
    )
    assert items == [each.item for each in done]
