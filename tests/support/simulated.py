"""A team without processes: virtual time, and misfortunes drawn from a seed."""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from dataclasses import dataclass
from random import Random

from mdtree.executors import WorkerEvent


@dataclass(frozen=True, kw_only=True)
class Luck:
    """How often something goes wrong, as probabilities."""

    death: float = 0.0  # of a worker, while it has an item
    stillbirth: float = 0.0  # of a worker, before it was ready
    straggler: float = 0.0  # of an item that never ends
    talk: float = 0.0  # of an item that tells how far it is, half way
    change: float = 0.0  # of the number of workers, at each look


class SimulatedTeam:
    """A team that keeps the protocol, and holds the scheduler to it."""

    def __init__(self, *, workers, luck=None, seed=0, raises=()):
        self.most, self._workers = workers, workers
        self._luck, self._random, self._raises = luck or Luck(), Random(seed), raises
        self._clock = 0.0
        self._numbers = itertools.count()
        self._events = []  # (time, order, news), the next one first
        self._idle, self._starting = set(), set()
        self.held = {}  # worker -> item
        self.finished = []  # items, in the order in which the scheduler heard of them
        self.tries = Counter()  # item -> how often it was given
        self.calls = Counter()  # method -> how often the scheduler called it
        self.before_waiting = lambda: None
        self.closed = False

    @property
    def idle(self):
        return len(self._idle)

    def size(self):
        self._called("size")
        if self._happens(self._luck.change):
            self._workers = self._random.randint(1, self.most)
        return self._workers

    def now(self):
        return self._clock

    def start(self):
        self._called("hire")
        number = next(self._numbers)
        self._starting.add(number)
        kind = "lost" if self._happens(self._luck.stillbirth) else "ready"
        self._tell(
            self._random.choice([1, 2]),
            WorkerEvent(worker_id=number, kind=kind, reason="stillborn"),
        )
        return number

    def submit(self, worker_id, item):
        self._called("give")
        self._idle.remove(worker_id)  # fails where a worker has something else to do
        self.held[worker_id] = item
        self.tries[item] += 1
        if self._luck.talk and self._happens(self._luck.talk):
            half = WorkerEvent(worker_id=worker_id, kind="inside", share=0.5, stage=str(item))
            self._tell(1, half)
        if self._happens(self._luck.straggler):
            return
        news = WorkerEvent(worker_id=worker_id, kind="finished", result=-item)
        if self._happens(self._luck.death):
            news = WorkerEvent(worker_id=worker_id, kind="lost", reason="died")
        if item in self._raises:
            news = WorkerEvent(worker_id=worker_id, kind="raised", error=ValueError(f"item {item}"))
        self._tell(self._random.choice([1, 1, 2, 5]), news)  # often at the same moment

    def kill(self, worker_id):
        self._called("dismiss")
        self._forget(worker_id)
        self._events = [event for event in self._events if event[2].worker_id != worker_id]
        heapq.heapify(self._events)

    def wait(self, seconds):
        self._called("wait")
        self.before_waiting()
        until = float("inf") if seconds is None else self._clock + seconds
        if not self._events or self._events[0][0] > until:
            assert seconds is not None, "the scheduler waits for ever"
            self._clock = until
            return []
        self._clock = max(self._clock, self._events[0][0])
        news = []
        while self._events and self._events[0][0] <= self._clock:
            news.append(heapq.heappop(self._events)[2])
            self._heard(news[-1])
        return news

    def close(self):
        self._called("close")
        self.closed = True

    def pass_time(self, seconds):
        """Let time pass while the scheduler does not look."""
        self._clock += seconds

    def _called(self, method):
        assert not self.closed
        self.calls[method] += 1

    def _happens(self, probability):
        return self._random.random() < probability

    def _tell(self, later, news):
        heapq.heappush(self._events, (self._clock + later, next(self._numbers), news))

    def _heard(self, news):
        if news.kind == "inside":
            return
        if news.kind == "finished":
            self.finished.append(self.held[news.worker_id])
        self._forget(news.worker_id)
        if news.kind != "lost":
            self._idle.add(news.worker_id)

    def _forget(self, worker_id):
        self._starting.discard(worker_id)
        self._idle.discard(worker_id)
        self.held.pop(worker_id, None)
