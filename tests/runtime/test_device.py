from __future__ import annotations

import pytest
import torch

from mdtree.exceptions import MdtreeError
from mdtree.runtime.device import held_share, pick_device, visible_gpus


def test_auto_is_a_device_that_works():
    torch.zeros(1, device=pick_device("auto"))
    assert pick_device("cpu") == "cpu"


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "", "cpu:x"])
def test_a_device_that_does_not_work_is_told(name):
    with pytest.raises(MdtreeError, match=r"cannot be used: .*\(known: auto, cpu, cuda, cuda:1"):
        pick_device(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:99"])
def test_a_device_of_other_machines_is_not_tried_here(name):
    assert pick_device(name, elsewhere=True) == name


def test_a_device_without_a_name_is_refused_wherever_it_is():
    with pytest.raises(MdtreeError, match="cannot be used"):
        pick_device("gpu", elsewhere=True)


@pytest.mark.parametrize(
    ("device", "chosen", "seen"),
    [
        ("cuda", "2, 5", ("2", "5")),
        ("cuda", "GPU-8932f937", ("GPU-8932f937",)),
        ("cuda", "", ()),
        ("cuda:1", "2,5", ()),
        ("cpu", "2,5", ()),
    ],
)
def test_work_is_spread_over_the_gpus_that_the_user_lets_us_see(monkeypatch, device, chosen, seen):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert visible_gpus(device) == seen


def test_without_a_choice_all_gpus_are_seen(monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert len(visible_gpus("cuda")) == torch.cuda.device_count()


def test_on_a_cpu_nothing_of_a_gpu_is_held():
    assert held_share("cpu", lambda: "done") == ("done", None)
