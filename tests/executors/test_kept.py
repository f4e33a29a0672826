"""Workers that are kept from one piece of work to the next."""

from __future__ import annotations

import os
import signal

import pytest

from mdtree.executors import ExecutorConfig, kept_workers, run
from tests.support.worker_tasks import child_pids, wait_until_ended

TWO = ExecutorConfig(workers=2)


def pid(_):
    return os.getpid()


def double(number):
    return 2 * number, os.getpid()


def negative(number):
    return -number, os.getpid()


def picky(number):
    if number == 3:
        raise ValueError("not three")
    return number


def mortal(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def results(task, items, executor=TWO):
    return [done.result for done in run(task, items, executor)]


def test_the_same_workers_do_another_task():
    with kept_workers():
        doubled = results(double, range(6))
        negated = results(negative, range(6))
        others = {process for _, process in negated}
        assert sorted(value for value, _ in doubled) == [0, 2, 4, 6, 8, 10]
        assert sorted(value for value, _ in negated) == [-5, -4, -3, -2, -1, 0]
        assert others <= set(child_pids())
    assert others <= {process for _, process in doubled}


def test_all_workers_end_with_the_context():
    with kept_workers():
        known = set(results(pid, range(6)))
        assert known <= set(child_pids())
    assert not known & set(child_pids())


def test_workers_end_at_once_where_nothing_keeps_them():
    known = set(results(pid, range(6)))
    assert not known & set(child_pids())


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_all_workers_end_when_the_context_fails(error):
    before = set(child_pids())

    def failing():
        with kept_workers():
            results(pid, range(4))
            for _ in run(pid, range(4), TWO):
                raise error

    with pytest.raises(error):
        failing()
    assert set(child_pids()) <= before


def test_workers_whose_task_raised_do_other_work_or_are_replaced():
    with kept_workers():
        with pytest.raises(ValueError, match="not three"):
            results(picky, range(6))
        assert sorted(results(picky, [0, 1, 2])) == [0, 1, 2]


def test_a_worker_that_died_is_not_taken_again():
    with kept_workers():
        known = set(results(pid, range(6)))
        for process in known:
            os.kill(process, signal.SIGKILL)
        wait_until_ended(known)
        assert not known & set(results(pid, range(6)))


def test_a_worker_that_dies_of_its_item_is_replaced():
    with kept_workers():
        results(pid, range(4))
        lost = [done for done in run(mortal, range(6), TWO) if done.error]
        assert [done.item for done in lost] == [3]
        assert len(results(pid, range(4))) == 4


def test_other_limits_need_other_workers():
    """A limit of memory is watched from the start of a process."""
    with kept_workers():
        known = set(results(pid, range(4)))
        limited = ExecutorConfig(workers=2, memory=1 << 32)
        assert not known & set(results(pid, range(4), limited))
        assert set(results(pid, range(4))) <= known
