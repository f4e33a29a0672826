"""Shares of a GPU: as many workers on one as fit; Ray gives out GPUs that are only numbers too."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdtree.executors import ExecutorConfig, TaskResult, run
from mdtree.executors.dispatch import gpu_share, sized
from tests.support.worker_tasks import cluster, eventually, wait_for_file

__all__ = ["cluster"]


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


def meets(item):
    """Be there until the other is there too: done only by workers at once."""
    folder, name, other = item
    (folder / name).touch()
    return wait_for_file(folder / other)


def alone(item):
    """Say whether nobody else was there meanwhile: whoever would be allowed to has time to come."""
    folder, name = item
    (folder / name).touch()
    time.sleep(0.3)
    others = len(list(folder.iterdir())) - 1
    (folder / name).unlink()
    return others


def test_workers_with_fractions_of_a_gpu_work_on_it_at_once(cluster, tmp_path):
    items = [(tmp_path, "a", "b"), (tmp_path, "b", "a")]
    executor = ExecutorConfig(ray="local", gpus=0.5, retries=0)
    assert sorted(done.result for done in run(meets, items, executor)) == ["a", "b"]


@pytest.mark.parametrize("workers", [None, 2])
def test_workers_with_a_whole_gpu_take_turns_where_there_is_but_one(cluster, tmp_path, workers):
    items = [(tmp_path, name) for name in "abcd"]
    done = list(run(alone, items, ExecutorConfig(ray="local", gpus=1.0, workers=workers)))
    assert [each.result for each in done] == [0] * 4


def test_the_share_that_is_found_lets_workers_meet(cluster, tmp_path):
    (tmp_path / "b").touch()  # the first item finds its partner there
    items = [(tmp_path, "a", "b"), (tmp_path, "c", "d"), (tmp_path, "d", "c")]
    executor = ExecutorConfig(ray="local", gpus=None, retries=0)
    done = list(run(meets, items, executor, gpu_memory_share=lambda _: 0.3))
    assert sorted(each.result for each in done) == ["b", "c", "d"]


@pytest.mark.parametrize("fit", [6, 7, 15])  # whose parts, rounded up, would be too large
def test_ray_has_room_for_all_that_fit(cluster, fit):
    class Nobody:
        pass

    def left():
        return cluster.available_resources().get("GPU", 0.0)

    assert eventually(lambda: left() == 1)  # workers of other tests are on their way out
    worker = cluster.remote(num_cpus=0, num_gpus=gpu_share(1 / fit / 1.5))(Nobody).remote()
    assert eventually(lambda: left() < 1)
    rest = left()
    cluster.kill(worker)
    assert rest >= (fit - 1) * (1 - rest)
