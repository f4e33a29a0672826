"""The scheduler with a simulated team: thousands of items, and all the bad luck there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig, Scheduler, TaskResult
from tests.support.simulated import Luck, SimulatedTeam

chances = st.floats(0, 0.4)
lucks = st.builds(
    Luck,
    death=chances,
    stillbirth=st.floats(0, 0.3),
    straggler=chances,
    talk=chances,
    change=chances,
)


class Watched:
    """Items, and the claims that must hold whenever the scheduler waits."""

    def __init__(self, pool, count):
        self.pool, self.count = pool, count
        self.drawn, self.done = 0, []
        pool.before_waiting = self.check

    def __iter__(self):
        for number in range(1, self.count + 1):
            self.drawn += 1
            assert self.drawn - len(self.done) <= 2 * self.pool.most  # half of them are finished
            yield number

    def check(self):
        waiting = self.drawn - len(self.done) - len(self.pool.held)
        assert waiting >= 0
        assert len(self.pool.held) + waiting <= self.pool.most
        if self.pool.idle:
            assert waiting == 0, "an item waits while a worker is idle"


def work(pool, items, **executor):
    scheduler = Scheduler(pool, items, ExecutorConfig(workers=2, **executor))
    for done in scheduler.work():
        items.done.append(done)
    return items.done


@settings(max_examples=150, deadline=None)
@given(
    workers=st.integers(1, 9),
    count=st.integers(0, 60),
    luck=lucks,
    retries=st.integers(0, 3),
    seed=st.integers(0, 2**32),
)
def test_every_item_comes_back_exactly_once_whatever_happens(workers, count, luck, retries, seed):
    pool = SimulatedTeam(workers=workers, luck=luck, seed=seed)
    try:
        done = work(pool, Watched(pool, count), retries=retries, timeout=4.0)
    except MdtreeError:  # too many workers in a row were lost before they were ready
        assert luck.stillbirth > 0
        return
    finally:
        assert pool.closed

    assert sorted(each.item for each in done) == list(range(1, count + 1))
    for each in done:
        assert 1 <= pool.tries[each.item] <= 1 + retries
        if each.error is None:
            assert each.result == -each.item
        else:
            assert each.result is None
            assert pool.tries[each.item] == 1 + retries
            assert each.error.startswith(("died", "took longer than 4 seconds"))
            assert each.error.endswith(f", {1 + retries} times") == (retries > 0)


def test_with_good_luck_every_item_is_tried_once_by_as_many_workers_as_there_are():
    pool = SimulatedTeam(workers=5)
    done = work(pool, Watched(pool, 500))

    assert [TaskResult(item=n, result=-n, error=None) for n in range(1, 501)] == sorted(
        done, key=lambda each: each.item
    )
    assert set(pool.tries.values()) == {1}
    assert pool.calls["hire"] == 5


def test_no_more_workers_are_started_than_there_are_items():
    pool = SimulatedTeam(workers=9)
    work(pool, Watched(pool, 3))
    assert pool.calls["hire"] == 3


def test_what_an_item_costs_does_not_grow_with_their_number():
    def calls(count):
        pool = SimulatedTeam(workers=4, luck=Luck(death=0.01))
        work(pool, Watched(pool, count), retries=9, timeout=100.0)
        return pool.calls.total() / count

    assert calls(20_000) < 1.2 * calls(500)


def test_time_that_the_caller_takes_is_not_that_of_the_items():
    pool = SimulatedTeam(workers=7)
    for done in Scheduler(pool, range(1, 200), ExecutorConfig(workers=7, timeout=6.0)).work():
        pool.pass_time(100)
        assert done.error is None
    assert set(pool.tries.values()) == {1}


def test_what_never_ends_is_parted_with_even_while_others_always_have_news():
    pool = SimulatedTeam(workers=3, luck=Luck(straggler=0.02), seed=1)
    done = work(pool, Watched(pool, 300), retries=0, timeout=50.0)

    late = [each.item for each in done if each.error]
    assert len(late) == 300 - len(pool.finished)
    assert 0 < len(late) < 30


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_done_is_lost_when_a_task_raises(seed):
    pool = SimulatedTeam(workers=6, seed=seed, raises={20})
    items = Watched(pool, 50)
    with pytest.raises(ValueError, match="item 20"):
        work(pool, items)
    assert pool.finished == [each.item for each in items.done]
    assert pool.closed


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_done_is_lost_when_items_cannot_be_made(seed):
    def items():
        yield from range(1, 20)
        raise OSError("no such folder")

    pool, done = SimulatedTeam(workers=6, seed=seed), []
    with pytest.raises(OSError, match="no such folder"):
        done.extend(
            each.item for each in Scheduler(pool, items(), ExecutorConfig(workers=6)).work()
        )
    assert len(pool.finished) == len(done)
    assert pool.closed


@pytest.mark.parametrize("taken", [1, 5])
def test_whoever_wants_no_more_results_closes_the_team(taken):
    pool = SimulatedTeam(workers=3)
    results = Scheduler(pool, range(1, 100), ExecutorConfig(workers=3)).work()
    for _ in range(taken):
        next(results)
    results.close()
    assert pool.closed


def test_a_scheduler_gives_up_when_no_worker_ever_begins():
    pool = SimulatedTeam(workers=2, luck=Luck(stillbirth=1.0))
    with pytest.raises(MdtreeError, match="workers fail to start: stillborn"):
        work(pool, Watched(pool, 10))
    assert pool.calls["hire"] <= 6
    assert pool.closed


def test_what_is_told_from_inside_an_item_is_passed_on_and_changes_nothing():
    heard = []
    pool = SimulatedTeam(workers=3, luck=Luck(talk=1.0))
    scheduler = Scheduler(
        pool,
        range(1, 20),
        ExecutorConfig(workers=3),
        inside=lambda item, share, stage: heard.append((item, share, stage)),
    )
    assert sorted(done.result for done in scheduler.work()) == sorted(-n for n in range(1, 20))
    assert sorted(heard) == [(n, 0.5, str(n)) for n in range(1, 20)]


def test_who_talks_is_stopped_in_time_all_the_same():
    pool = SimulatedTeam(workers=1, luck=Luck(talk=1.0, straggler=1.0))
    (done,) = Scheduler(pool, [1], ExecutorConfig(workers=2, timeout=1.0, retries=0)).work()
    assert done.error == "took longer than 1 seconds"
