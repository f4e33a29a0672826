"""The same claims for the three ways to work: here, in processes, on a Ray cluster.

Processes are ready at once here, but for tests of how they start; so they do in test_driver.py.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import subprocess
import sys
import time

import pytest

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig, TaskResult, run
from mdtree.executors.dispatch import gpu_share
from mdtree.progress import report
from tests.support.worker_tasks import (
    LONG,
    PATH,
    alive,
    child_pids,
    eventually,
    folder,
    gpu,
    is_alive,
    mark,
    meets,
    picky,
    pid_after,
    quits,
    square,
    square_of_even,
    telling,
    threads,
    told,
    wait_for_file,
    wait_until_ended,
    works_alone,
)
from tests.support.workers import cluster

__all__ = ["cluster"]

EXECUTORS = {
    "here": ExecutorConfig(),
    "processes": ExecutorConfig(workers=2),
    "ray": ExecutorConfig(workers=2, ray="local"),
}


NEEDS = {"processes": "ready_workers", "ray": "cluster"}


@pytest.fixture(params=EXECUTORS)
def executor(request):
    if request.param in NEEDS:
        request.getfixturevalue(NEEDS[request.param])
    return EXECUTORS[request.param]


@pytest.fixture(params=NEEDS)
def pool(request):
    """Every way that has workers besides this process."""
    request.getfixturevalue(NEEDS[request.param])
    return EXECUTORS[request.param]


@pytest.fixture(params=NEEDS)
def new_pool(request):
    """The same, but every process is started as it is for users."""
    if request.param == "ray":
        request.getfixturevalue("cluster")
    return EXECUTORS[request.param]


class Counted:
    """Items without end, how many were drawn, and how many were not done at each draw."""

    def __init__(self, folder):
        self.folder = folder
        self.drawn, self.under_way = 0, []

    def __iter__(self):
        while True:
            self.drawn += 1
            self.under_way.append(self.drawn - len(list(self.folder.iterdir())))
            yield self.folder / str(self.drawn)


@pytest.mark.parametrize("name", ["here", "processes"])
def test_what_a_task_reports_is_heard_before_its_result(name):
    heard = []
    items = [1, 2, 3]
    done = run(telling, items, EXECUTORS[name], inside=lambda *news: heard.append(news))
    for each in done:
        assert (each.item, each.item / 10, "halfway") in heard
    assert {item for item, _, _ in heard} == {1, 2, 3}
    report(0.5)  # nobody listens any more


def test_what_workers_report_is_heard_while_they_work(pool, tmp_path):
    heard = []

    def hear(path, share, stage):
        heard.append((path.name, share, stage))
        path.touch()

    paths = [tmp_path / name for name in "abc"]
    done = run(told, paths, pool, inside=hear)
    assert sorted(each.result for each in done) == ["a", "b", "c"]
    assert sorted(heard) == [(name, 0.25, "hessian") for name in "abc"]


def test_what_a_task_reports_may_go_unheard(executor):
    assert [each.result for each in run(telling, [1], executor)] == [1]


def test_every_item_has_its_result_and_none_is_no_failure(executor):
    done = sorted(run(square_of_even, iter(range(9)), executor), key=lambda each: each.item)
    expected = [n * n if n % 2 == 0 else None for n in range(9)]
    assert done == [TaskResult(item=n, result=each, error=None) for n, each in enumerate(expected)]


def test_no_items_are_no_results_and_no_processes(executor):
    others = child_pids()
    assert list(run(square, [], executor)) == []
    assert child_pids() <= others


def test_results_come_as_they_finish_and_not_in_the_order_of_the_items(pool, tmp_path):
    (tmp_path / "second").touch()
    results = run(wait_for_file, [tmp_path / "first", tmp_path / "second"], pool)

    assert next(results).result == "second"
    (tmp_path / "first").touch()
    assert next(results).result == "first"
    assert list(results) == []


def test_items_are_drawn_when_a_worker_is_free_for_them(executor, tmp_path):
    """So no more are under way than there are workers, nor do more results wait to be taken.

    All workers may finish at once: then as many items are drawn before the first result is taken.
    """
    items, workers = Counted(tmp_path), executor.workers or 1
    with contextlib.closing(run(mark, items, executor)) as results:
        for taken in range(1, 11):
            next(results)
            assert taken <= items.drawn < taken + 2 * workers
            if executor.workers:  # they go on while the caller looks at a result
                assert items.drawn >= taken + workers
    assert max(items.under_way) == workers


@pytest.mark.parametrize("kind", [MdtreeError, SystemExit, KeyboardInterrupt])
def test_what_a_task_raises_is_raised(executor, kind):
    with pytest.raises(kind, match="enough"):
        list(run(quits, [kind], executor))


def test_an_error_tells_where_in_a_worker_it_arose_and_all_workers_are_gone(pool):
    others = child_pids()
    with pytest.raises(ValueError, match="not three") as raised:
        list(run(picky, range(9), pool))
    assert "in picky" in "".join(raised.value.__notes__)
    worker = raised.value.args[1]
    assert (
        wait_until_ended([worker]) if pool.ray else not alive([worker])
    )  # Ray's go in their own time
    assert child_pids() <= others


def test_items_that_cannot_be_made_end_the_work_after_what_is_done(executor):
    def items():
        yield 2
        raise OSError("no such folder")

    others = child_pids()
    results = run(square, items(), executor)
    if executor.workers is None:
        assert next(results).result == 4
    with pytest.raises(OSError, match="no such folder"):
        list(results)
    assert child_pids() <= others


def test_whoever_wants_no_more_results_leaves_no_process_behind(pool):
    others = child_pids()
    with contextlib.closing(run(pid_after, [0, 0, LONG, LONG, LONG], pool)) as results:
        worker = next(results).result
        started = {worker, *child_pids()} - others

    assert len(started) == (1 if pool.ray else 2)
    assert (
        wait_until_ended(started) if pool.ray else not alive(started)
    )  # Ray's go in their own time
    assert child_pids() <= others


def test_workers_stand_where_the_caller_stands(new_pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert [str(tmp_path)] == [done.result for done in run(folder, [0], new_pool)]


def test_an_actor_has_one_thread(cluster):
    assert [done.result for done in run(threads, [0], EXECUTORS["ray"])] == [1]


@pytest.mark.parametrize("worker", ["pass", "import torch"])
def test_a_process_has_one_thread_whoever_has_loaded_torch(tmp_path, worker):
    """Torch itself, when it needs it, or the user's script, which a worker imports first."""
    (tmp_path / "script.py").write_text(f"""
from tests.support.worker_tasks import threads
from mdtree.executors import ExecutorConfig, run
if __name__ == "__main__":
    print(*(done.result for done in run(threads, [0], ExecutorConfig(workers=2))))
else:
    {worker}
""")
    ran = subprocess.run(
        [sys.executable, tmp_path / "script.py"],
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PATH, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
        text=True,
        check=True,
    )
    assert ran.stdout == "1\n"


def test_processes_are_spread_over_gpus(tmp_path):
    executor = ExecutorConfig(workers=3, devices=("0", "GPU-5e"))
    spread = sorted(
        done.result for done in run(gpu, [(tmp_path, name) for name in "abc"], executor)
    )
    assert spread == ["0", "0", "GPU-5e"]


def test_closing_spares_processes_of_others():
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(LONG,))
    other.start()
    try:
        with contextlib.closing(run(pid_after, [0, LONG], ExecutorConfig(workers=2))) as results:
            next(results)
        assert is_alive(other.pid)
    finally:
        other.kill()
        other.join()


def test_workers_with_fractions_of_a_gpu_work_on_it_at_once(cluster, tmp_path):
    items = [(tmp_path, "a", "b"), (tmp_path, "b", "a")]
    executor = ExecutorConfig(ray="local", gpus=0.5, retries=0)
    assert sorted(done.result for done in run(meets, items, executor)) == ["a", "b"]


@pytest.mark.parametrize("workers", [None, 2])
def test_workers_with_a_whole_gpu_take_turns_where_there_is_but_one(cluster, tmp_path, workers):
    items = [(tmp_path, name) for name in "abcd"]
    done = list(run(works_alone, items, ExecutorConfig(ray="local", gpus=1.0, workers=workers)))
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


@pytest.mark.parametrize(
    "wrong",
    [{"workers": 0}, {"workers": -1}, {"retries": -1}, {"memory": 0}, {"timeout": -1.0}],
)
def test_a_crew_that_could_do_nothing_is_refused(wrong):
    with pytest.raises(MdtreeError, match=next(iter(wrong))):
        ExecutorConfig(**wrong)


@pytest.mark.parametrize("gpus", [1.5, -0.5])
def test_shares_of_gpus_that_nobody_can_give_are_refused(gpus):
    with pytest.raises(MdtreeError, match="GPUs per worker"):
        ExecutorConfig(ray="local", gpus=gpus)
