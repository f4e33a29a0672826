"""Fixtures of tests with workers: a Ray cluster, and a time that passes once all are stuck."""

from __future__ import annotations

import logging

import pytest

from mdtree.executors import dispatch


@pytest.fixture(scope="module")
def cluster():
    """Ray on this machine, which says that it has a GPU: teams use what they find."""
    ray = pytest.importorskip("ray")
    quiet = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
    ray.init("local", num_cpus=2, num_gpus=1, **quiet)
    yield ray
    ray.shutdown()


class Patient:
    """A team for which time passes only once all items under way are stuck.

    So a limit of time stops what never ends, and nothing else, however busy the machine is.
    """

    def __init__(self, pool, stuck):
        self._pool, self._stuck = pool, stuck
        self._time = 0.0
        self._held = {}  # worker -> item

    def __getattr__(self, name):
        return getattr(self._pool, name)

    def now(self):
        return self._time

    def submit(self, worker_id, item):
        self._held[worker_id] = item
        self._pool.submit(worker_id, item)

    def kill(self, worker_id):
        self._held.pop(worker_id, None)
        self._pool.kill(worker_id)

    def wait(self, seconds):
        while not (news := self._pool.wait(0.05)):
            if self._held and all(map(self._stuck, self._held.values())):
                self._time += seconds
                break
        for each in news:
            if each.kind != "inside":  # the item goes on
                self._held.pop(each.worker_id, None)
        return news


@pytest.fixture
def patience(monkeypatch):
    """Let real teams have the time of `Patient`: patience(stuck) says which items are stuck."""
    pool = dispatch._pool

    def patience(stuck):
        monkeypatch.setattr(dispatch, "_pool", lambda *executor: Patient(pool(*executor), stuck))

    return patience
