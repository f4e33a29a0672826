"""Ray clusters that are started, joined and refused; their machines come and go."""

from __future__ import annotations

import contextlib
import itertools
import logging
import sys
import types

import pytest

from mdtree.exceptions import MdtreeError
from mdtree.executors import ExecutorConfig, run
from tests.support.worker_tasks import eventually, square
from tests.support.workers import cluster

ray = pytest.importorskip("ray")
from ray.cluster_utils import Cluster  # noqa: E402 - where there is Ray

from mdtree.executors import ray_backend as ours  # noqa: E402

__all__ = ["cluster"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def head():
    """A cluster of one machine with one core, on this one; nobody has joined it yet."""
    machines = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    yield machines
    machines.shutdown()


@pytest.fixture
def two_machines(head):
    """The cluster, and a second machine in it."""
    other = head.add_node(num_cpus=1)
    head.wait_for_nodes()
    yield head, other
    assert not ray.is_initialized()
    for machine in list(head.worker_nodes):
        head.remove_node(machine)


def where(item):
    """Square a number, and tell on which machine; but wait until so many have left their mark."""
    folder, marks, number = item
    here = ray.get_runtime_context().get_node_id()
    (folder / here).touch()
    if not eventually(lambda: len(list(folder.iterdir())) >= marks):
        raise TimeoutError(f"there are no {marks} marks")
    return number * number, here


@pytest.mark.parametrize(("retries", "gently"), [(1, True), (1, False), (0, True)])
def test_every_item_has_one_result_when_a_machine_goes(two_machines, retries, gently, tmp_path):
    machines, other = two_machines
    done, used = [], set()
    # the first two are done by both machines, the next two are under way when one of them goes
    items = [(tmp_path, 2 if number < 2 else 3, number) for number in range(12)]
    for each in run(where, items, ExecutorConfig(ray=machines.address, retries=retries)):
        done.append(each)
        used.add(each.result and each.result[1])
        if len(used) == 2 and other is not None:
            machines.remove_node(other, allow_graceful=gently)
            (tmp_path / "it is gone").touch()
            other = None

    assert other is None
    assert sorted(each.item for each in done) == items
    assert all(each.result[0] == each.item[-1] ** 2 for each in done if each.result)
    lost = [each.error for each in done if not each.result]
    assert lost == [] if retries else lost == ["the worker's machine left the cluster"]


def test_a_machine_that_comes_is_used(two_machines, monkeypatch, tmp_path):
    machines, other = two_machines
    monkeypatch.setattr(ours, "_LOOK", 0.2)
    machines.remove_node(other)
    used, done = set(), []
    # the third item waits for the other machine, wherever it is done itself
    items = ((tmp_path, 1 if number < 2 else 2, number) for number in itertools.count())
    with contextlib.closing(run(where, items, ExecutorConfig(ray=machines.address))) as results:
        for each in results:
            done.append(each.item)
            used.add(each.result[1])
            if len(done) == 2:
                machines.add_node(num_cpus=1)
            if len(used) == 2:
                break

    assert len(done) == len(set(done))


def test_what_is_started_is_ended_and_other_clusters_are_not_taken_for_it(head, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")  # somebody's, out of order
    assert [done.result for done in run(square, [3], ExecutorConfig(workers=1, ray="local"))] == [9]
    assert not ray.is_initialized()


def test_a_cluster_that_was_there_before_stays():
    ray.init("local", num_cpus=1, include_dashboard=False, logging_level=logging.ERROR)
    try:
        assert [done.result for done in run(square, [3], ExecutorConfig(ray="local"))] == [9]
        assert ray.is_initialized()
        with pytest.raises(MdtreeError, match="finds no GPU"):
            list(run(square, [3], ExecutorConfig(ray="local", gpus=0.5)))
        assert ray.is_initialized()
    finally:
        ray.shutdown()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "nonsense", "host:port", ""])
def test_a_cluster_that_cannot_be_reached_is_refused(address):
    # by us, and soon: Ray itself tries for many minutes
    with pytest.raises(MdtreeError, match=f"cannot reach the '{address}' Ray cluster"):
        list(run(square, [3], ExecutorConfig(ray=address)))
    assert not ray.is_initialized()


@pytest.mark.parametrize(
    ("has", "gpus", "room"),
    [
        ({"CPU": 8.0}, 0.0, 8),
        ({"CPU": 8.0, "GPU": 2.0}, 0.0, 8),
        ({"CPU": 8.0, "GPU": 2.0}, 1.0, 2),
        ({"CPU": 8.0, "GPU": 2.0}, 2.0, 1),
        ({"CPU": 64.0, "GPU": 2.0}, 1 / 6, 12),
        ({"CPU": 64.0, "GPU": 5.0}, 0.6, 5),  # 0.4 of each are left, and no worker has two halves
        ({"CPU": 3.0, "GPU": 2.0}, 0.25, 3),
        ({"CPU": 3.0}, 1.0, 0),
        ({}, 0.0, 0),
    ],
)
def test_a_cluster_has_room_for_as_many_workers_as_it_has_cores_and_shares_of_gpus(has, gpus, room):
    assert room == ours._capacity(has, gpus)


def test_a_machine_without_our_modules_is_named_as_the_cause(cluster, monkeypatch):
    nowhere = types.ModuleType("nowhere")
    exec(
        "class Actor:\n    def __init__(self, *_): pass\n    def ready(self): pass",
        nowhere.__dict__,
    )
    monkeypatch.setitem(sys.modules, "nowhere", nowhere)
    monkeypatch.setattr(ours, "_Actor", nowhere.Actor)
    with pytest.raises(MdtreeError, match="No module named 'nowhere'"):
        list(run(square, [3], ExecutorConfig(workers=1, ray="local")))
