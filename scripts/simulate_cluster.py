"""Simulate a cluster that measures a huge zoo, to see that nothing is lost and little is wasted.

    python scripts/simulate_cluster.py [--groups 100000 --workers 256 --timeout 900] [--json]
    python scripts/simulate_cluster.py --overhead

Discrete events on a virtual clock; the scheduler that hands out the work is the real one of
mdtree.executors, with the limits that `mdtree measure` has.  Simulated are the workers: they start
slowly and die, machines of eight go away and come back, one try in a hundred takes 20 times as
long.  How long a group takes is drawn from the rows of the reference zoos.  What failed is measured
again by another run, as a user would.  Exit code 1: a group was lost, or came back twice.

--overhead times the real scheduler itself, on groups that take no time.
"""

from __future__ import annotations

import argparse
import heapq
import itertools
import json
import random
import statistics
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import mdtree
from mdtree.executors import ExecutorConfig, Scheduler, WorkerEvent
from mdtree.rows import read_rows

ZOOS = Path(mdtree.__file__).parent / "data" / "zoos"
PLACES = 8  # workers on one machine
HOUR = 3600.0

# What goes wrong, worse than on most clusters. Seconds; lives and absences are exponential.
LIFE = 6 * HOUR  # of a worker
STAYS = 12 * HOUR  # a machine
IS_AWAY = 0.25 * HOUR
STARTS = (5.0, 30.0)  # a worker: torch, the data
SLOW_SHARE, SLOW = 0.01, 20.0
LOOKS = 5.0  # between two looks at what the cluster has, as on Ray

# What the user asks for.
TIMEOUT, RETRIES = 900.0, 1

# Of the overhead.
SIZES = (100, 1_000, 10_000, 100_000)
TEAMS = (16, 64, 256)
REPEATS = 30  # at the smallest size


@dataclass
class Account:
    """What became of the time of workers, in seconds, and of their tries."""

    useful: float = 0.0  # of tries that ended with a result, at the usual pace
    slow: float = 0.0  # what slow tries took on top
    repeated: float = 0.0  # tries that were cut short
    here: float = 0.0  # that machines were there
    tries: int = 0
    again: int = 0  # tries that were cut short


@dataclass(kw_only=True)
class Worker:
    """A simulated worker, and what it has in its hands."""

    machine: int
    group: int | None = None
    began: float = 0.0
    usual: float = 0.0


class SimulatedTeam:
    """Workers on machines that come and go: a `WorkerPool` whose clock is virtual."""

    def __init__(self, workers: int, durations: Sequence[float], random_: random.Random) -> None:
        full, rest = divmod(workers, PLACES)
        self._free = dict(enumerate([PLACES] * full + [rest] * (rest > 0)))  # machine -> places
        self._all = dict(self._free)
        self._durations, self._random = durations, random_
        self._numbers, self._order = itertools.count(), itertools.count()
        self._events: list[tuple[float, int, str, int]] = []  # time, order, kind, who
        self._workers: dict[int, Worker] = {}
        self._unplaced: deque[int] = deque()
        self._now = 0.0
        self.account = Account()
        for machine in self._all:
            self._after(self._lasting(STAYS), "goes", machine)

    def size(self) -> int:
        """Say how many workers the machines that are there have room for."""
        return max(1, self._places())

    def now(self) -> float:
        """Tell the virtual time."""
        return self._now

    def start(self) -> int:
        """Ask for a worker; it starts once there is a place."""
        number = next(self._numbers)
        self._unplaced.append(number)
        self._place()
        return number

    def submit(self, worker_id: int, item: int) -> None:
        """Begin a group: at its usual pace, or now and then far slower."""
        worker = self._workers[worker_id]
        worker.group, worker.began = item, self._now
        worker.usual = self._durations[item % len(self._durations)]
        is_slow = self._random.random() < SLOW_SHARE
        self._after(worker.usual * (SLOW if is_slow else 1), "finishes", worker_id)
        self.account.tries += 1

    def kill(self, worker_id: int) -> None:
        """End a worker; what it had in its hands was in vain."""
        worker = self._workers.pop(worker_id)
        if worker.machine in self._free:
            self._free[worker.machine] += 1
        if worker.group is not None:
            self.account.repeated += self._now - worker.began
            self.account.again += 1
        self._place()

    def wait(self, seconds: float | None) -> list[WorkerEvent[int]]:
        """Go on to the next event that is news, but no further than a real team would wait."""
        until = self._now + (LOOKS if seconds is None else min(seconds, LOOKS))
        while self._events and self._events[0][0] <= until:
            moment, _, kind, who = heapq.heappop(self._events)
            self._pass_to(moment)
            if news := list(self._happens(kind, who)):
                return news
        self._pass_to(until)
        return []

    def close(self) -> None:
        """End; there is nothing to close."""

    def _happens(self, kind: str, who: int) -> Iterator[WorkerEvent[int]]:
        if kind == "goes":
            del self._free[who]
            for worker_id in [h for h, worker in self._workers.items() if worker.machine == who]:
                self.kill(worker_id)
                yield WorkerEvent(worker_id=worker_id, kind="lost", reason="the machine went away")
            self._after(self._lasting(IS_AWAY), "comes", who)
        elif kind == "comes":
            self._free[who] = self._all[who]
            self._after(self._lasting(STAYS), "goes", who)
            self._place()
        elif who not in self._workers:  # which has ended before
            return
        elif kind == "dies":
            self.kill(who)
            yield WorkerEvent(worker_id=who, kind="lost", reason="the worker died")
        elif kind == "starts":
            yield WorkerEvent(worker_id=who, kind="ready")
        elif kind == "finishes":
            worker = self._workers[who]
            group, worker.group = worker.group, None
            self.account.useful += worker.usual
            self.account.slow += self._now - worker.began - worker.usual
            yield WorkerEvent(worker_id=who, kind="finished", result=group)

    def _place(self) -> None:
        """Let workers that wait for a place start where there is one."""
        for machine in self._free:
            while self._free[machine] and self._unplaced:
                worker_id = self._unplaced.popleft()
                self._free[machine] -= 1
                self._workers[worker_id] = Worker(machine=machine)
                self._after(self._random.uniform(*STARTS), "starts", worker_id)
                self._after(self._lasting(LIFE), "dies", worker_id)

    def _places(self) -> int:
        return sum(self._all[machine] for machine in self._free)

    def _pass_to(self, moment: float) -> None:
        self.account.here += (moment - self._now) * self._places()
        self._now = moment

    def _after(self, seconds: float, kind: str, who: int) -> None:
        heapq.heappush(self._events, (self._now + seconds, next(self._order), kind, who))

    def _lasting(self, mean: float) -> float:
        return self._random.expovariate(1 / mean)


class InstantTeam:
    """Workers that take no time and have one news at a time: what is left is the scheduler."""

    def __init__(self, workers: int) -> None:
        self._workers, self._numbers = workers, itertools.count()
        self._event: deque[WorkerEvent[int]] = deque()

    def size(self) -> int:
        """Say how many workers there are."""
        return self._workers

    def now(self) -> float:
        """Tell the time, which stands still."""
        return 0.0

    def start(self) -> int:
        """Start a worker, at once."""
        number = next(self._numbers)
        self._event.append(WorkerEvent(worker_id=number, kind="ready"))
        return number

    def submit(self, worker_id: int, item: int) -> None:
        """Finish a group, at once."""
        self._event.append(WorkerEvent(worker_id=worker_id, kind="finished", result=item))

    def kill(self, worker_id: int) -> None:
        """Let a worker go, as there are no more groups for it."""
        self._event = deque(news for news in self._event if news.worker_id != worker_id)

    def wait(self, _: float | None) -> list[WorkerEvent[int]]:
        """Give one news."""
        return [self._event.popleft()]

    def close(self) -> None:
        """End; there is nothing to close."""


class Drawn:
    """Items, counted as they are drawn; how many of them are out is what the scheduler holds."""

    def __init__(self, items: Iterable[int]) -> None:
        self._items = items
        self.held = self.most = 0

    def __iter__(self) -> Iterator[int]:
        for item in self._items:
            self.held += 1
            self.most = max(self.most, self.held)
            yield item


@dataclass(kw_only=True)
class Outcome:
    """What the simulation found."""

    groups: int
    workers: int
    seed: int
    hours: float  # until the first run ended
    utilisation: float  # useful time / (workers x hours)
    slow_share: float  # of the time of workers, as the following
    repeated_share: float
    away_share: float
    idle_share: float  # starts, and the end of the run, when there is nothing more to do
    tries: int
    tries_again: int  # that were cut short
    held_most: int  # items drawn and not yet told
    failed: int  # groups that the first run gave up, with a reason
    runs: int  # until all groups were measured
    lost: int
    doubled: int
    seconds: float = field(compare=False)  # that the simulation took


def main() -> None:
    """Simulate, or time the scheduler."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--groups", type=int, default=100_000)
    parser.add_argument("--workers", type=int, default=256)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="for one group")
    parser.add_argument("--overhead", action="store_true", help="time the scheduler itself")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if options.overhead:
        times = {n: {pool: overhead(n, pool) for pool in TEAMS} for n in SIZES}
        print(json.dumps({"seconds_per_group": times}) if options.json else _overhead_table(times))
        return
    outcome = simulate(options.groups, options.workers, options.seed, options.timeout)
    print(json.dumps(asdict(outcome)) if options.json else _outcome_table(outcome))
    sys.exit(1 if outcome.lost or outcome.doubled else 0)


def simulate(groups: int, workers: int, seed: int, timeout: float = TIMEOUT) -> Outcome:
    """Measure until no group is left; the figures are those of the first run."""
    started, random_ = time.perf_counter(), random.Random(seed)
    durations = _durations(random_)
    measured, first, failed = Counter[int](), Counter[int](), 0
    todo: Sequence[int] = range(groups)
    runs = 0
    while todo:
        pool, drawn, left = SimulatedTeam(workers, durations, random_), Drawn(todo), list[int]()
        executor = ExecutorConfig(ray="auto", timeout=timeout, retries=RETRIES)
        for done in Scheduler(pool, drawn, executor).work():
            drawn.held -= 1
            first[done.item] += runs == 0
            if done.error is None:
                measured[done.item] += 1
            else:
                left.append(done.item)
        runs += 1
        if runs == 1:
            account, total, most, failed = pool.account, workers * pool.now(), drawn.most, len(left)
        todo = left
    useful, slow, repeated = (
        share / total for share in (account.useful, account.slow, account.repeated)
    )
    here = account.here / total
    return Outcome(
        groups=groups,
        workers=workers,
        seed=seed,
        hours=total / workers / HOUR,
        utilisation=useful,
        slow_share=slow,
        repeated_share=repeated,
        away_share=1 - here,
        idle_share=here - useful - slow - repeated,
        tries=account.tries,
        tries_again=account.again,
        held_most=most,
        failed=failed,
        runs=runs,
        lost=sum(not (first[group] and measured[group]) for group in range(groups)),
        doubled=sum(first[group] > 1 or measured[group] > 1 for group in range(groups)),
        seconds=time.perf_counter() - started,
    )


def overhead(groups: int, workers: int) -> float:
    """Give the seconds of the processor for one instant group; time limits are watched."""
    executor = ExecutorConfig(workers=workers, timeout=TIMEOUT)
    times = []
    for _ in range(max(1, REPEATS * SIZES[0] // groups)):
        started = time.process_time()
        count = sum(1 for _ in Scheduler(InstantTeam(workers), range(groups), executor).work())
        times.append((time.process_time() - started) / count)
    return statistics.median(times)


def _durations(random_: random.Random) -> list[float]:
    """Take the seconds of all groups of the reference zoos, in an order of chance."""
    rows = [row for path in sorted(ZOOS.glob("*-standard-1.jsonl")) for row in read_rows(path)]
    seconds = [row.provenance.seconds for row in rows if row.provenance is not None]
    random_.shuffle(seconds)
    return seconds


def _outcome_table(outcome: Outcome) -> str:
    figures = {
        "groups, workers, seed": f"{outcome.groups:,}, {outcome.workers}, {outcome.seed}",
        "time until the run ends": f"{outcome.hours:.2f} hours",
        "utilisation: useful time / (workers x time)": f"{outcome.utilisation:.1%}",
        "what slow tries took on top": f"{outcome.slow_share:.1%}",
        "tries that were cut short, and repeated": f"{outcome.repeated_share:.1%}",
        "machines that were away": f"{outcome.away_share:.1%}",
        "starts, and waiting for the last group": f"{outcome.idle_share:.1%}",
        "tries; of them cut short": f"{outcome.tries:,}; {outcome.tries_again:,}",
        "most groups under way, or not yet told": f"{outcome.held_most}",
        "groups given up with a reason": f"{outcome.failed}",
        "runs until all groups are measured": f"{outcome.runs}",
        "groups lost": f"{outcome.lost}",
        "groups that came back twice": f"{outcome.doubled}",
        "the simulation took": f"{outcome.seconds:.0f} s",
    }
    lines = [f"| {name} | {value} |" for name, value in figures.items()]
    return "\n".join(["| figure | value |", "| --- | --- |", *lines])


def _overhead_table(times: dict[int, dict[int, float]]) -> str:
    head = "".join(f" {pool} workers |" for pool in TEAMS)
    lines = [
        f"| {groups:,} |" + "".join(f" {1e6 * seconds:.0f} us |" for seconds in row.values())
        for groups, row in times.items()
    ]
    return "\n".join([f"| groups |{head}", "| --- |" + " --- |" * len(TEAMS), *lines])


if __name__ == "__main__":
    main()
