"""The foreman with a simulated team: thousands of items, and all the bad luck there is."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig, Scheduler, TaskResult
from tests.support.simulated import Luck, Simulated

chances = st.floats(0, 0.4)
lucks = st.builds(
    Luck, death=chances, stillbirth=st.floats(0, 0.3), straggler=chances, change=chances
)


class Watched:
    """Items, and the claims that must hold whenever the foreman waits."""

    def __init__(self, team, count):
        self.team, self.count = team, count
        self.drawn, self.done = 0, []
        team.before_waiting = self.check

    def __iter__(self):
        for number in range(1, self.count + 1):
            self.drawn += 1
            assert self.drawn - len(self.done) <= 2 * self.team.most  # half of them are finished
            yield number

    def check(self):
        waiting = self.drawn - len(self.done) - len(self.team.held)
        assert waiting >= 0
        assert len(self.team.held) + waiting <= self.team.most
        if self.team.idle:
            assert waiting == 0, "an item waits while a worker is idle"


def work(team, items, **crew):
    foreman = Scheduler(team, items, ExecutorConfig(workers=2, **crew))
    for done in foreman.work():
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
    team = Simulated(workers=workers, luck=luck, seed=seed)
    try:
        done = work(team, Watched(team, count), retries=retries, timeout=4.0)
    except MdtreeError:  # too many workers in a row were lost before they were ready
        assert luck.stillbirth > 0
        return
    finally:
        assert team.closed

    assert sorted(each.item for each in done) == list(range(1, count + 1))
    for each in done:
        assert 1 <= team.tries[each.item] <= 1 + retries
        if each.error is None:
            assert each.result == -each.item
        else:
            assert each.result is None
            assert team.tries[each.item] == 1 + retries
            assert each.error.startswith(("died", "took longer than 4 seconds"))
            assert each.error.endswith(f", {1 + retries} times") == (retries > 0)


def test_with_good_luck_every_item_is_tried_once_by_as_many_workers_as_there_are():
    team = Simulated(workers=5)
    done = work(team, Watched(team, 500))

    assert [TaskResult(item=n, result=-n, error=None) for n in range(1, 501)] == sorted(
        done, key=lambda each: each.item
    )
    assert set(team.tries.values()) == {1}
    assert team.calls["hire"] == 5


def test_no_more_workers_are_started_than_there_are_items():
    team = Simulated(workers=9)
    work(team, Watched(team, 3))
    assert team.calls["hire"] == 3


def test_what_an_item_costs_does_not_grow_with_their_number():
    def calls(count):
        team = Simulated(workers=4, luck=Luck(death=0.01))
        work(team, Watched(team, count), retries=9, timeout=100.0)
        return team.calls.total() / count

    assert calls(20_000) < 1.2 * calls(500)


def test_time_that_the_caller_takes_is_not_that_of_the_items():
    team = Simulated(workers=7)
    for done in Scheduler(team, range(1, 200), ExecutorConfig(workers=7, timeout=6.0)).work():
        team.pass_time(100)
        assert done.error is None
    assert set(team.tries.values()) == {1}


def test_what_never_ends_is_parted_with_even_while_others_always_have_news():
    team = Simulated(workers=3, luck=Luck(straggler=0.02), seed=1)
    done = work(team, Watched(team, 300), retries=0, timeout=50.0)

    late = [each.item for each in done if each.error]
    assert len(late) == 300 - len(team.finished)
    assert 0 < len(late) < 30


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_done_is_lost_when_a_task_raises(seed):
    team = Simulated(workers=6, seed=seed, raises={20})
    items = Watched(team, 50)
    with pytest.raises(ValueError, match="item 20"):
        work(team, items)
    assert team.finished == [each.item for each in items.done]
    assert team.closed


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_is_done_is_lost_when_items_cannot_be_made(seed):
    def items():
        yield from range(1, 20)
        raise OSError("no such folder")

    team, done = Simulated(workers=6, seed=seed), []
    with pytest.raises(OSError, match="no such folder"):
        done.extend(
            each.item for each in Scheduler(team, items(), ExecutorConfig(workers=6)).work()
        )
    assert len(team.finished) == len(done)
    assert team.closed


@pytest.mark.parametrize("taken", [1, 5])
def test_whoever_wants_no_more_results_closes_the_team(taken):
    team = Simulated(workers=3)
    results = Scheduler(team, range(1, 100), ExecutorConfig(workers=3)).work()
    for _ in range(taken):
        next(results)
    results.close()
    assert team.closed


def test_a_foreman_gives_up_when_no_worker_ever_begins():
    team = Simulated(workers=2, luck=Luck(stillbirth=1.0))
    with pytest.raises(MdtreeError, match="end before they have begun: stillborn"):
        work(team, Watched(team, 10))
    assert team.calls["hire"] <= 6
    assert team.closed
