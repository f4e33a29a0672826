"""Seeds and snapshots of one run, told by the distances of their weights; equal files."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import save_file
from torch.nn.functional import cross_entropy

from mdtree.checkpoints import (
    equal_files,
    equal_tensors,
    equal_weights,
    file_digest,
    in_memory_tensors,
    kinship,
)

SHAPES = {"first.weight": (32, 20), "first.bias": (32,), "head.weight": (10, 32)}


def drawn(seed, scale=1.0, shapes=SHAPES):
    source = torch.Generator().manual_seed(seed)
    return {name: scale * torch.randn(shape, generator=source) for name, shape in shapes.items()}


def plus(some, others):
    return {name: some[name] + others[name] for name in some}


def walk(steps, scale=0.1):
    """Each checkpoint is the one before it and a random step."""
    here = drawn(0)
    places = [here]
    for step in range(1, steps):
        here = plus(here, drawn(step, scale))
        places.append(here)
    return places


def tell(networks):
    return kinship([in_memory_tensors(network) for network in networks])


@pytest.mark.parametrize("count", [2, 3, 7])
def test_networks_from_different_random_weights_are_seeds(count):
    assert tell([drawn(seed) for seed in range(count)]) == "seeds"


@pytest.mark.parametrize("count", [2, 3, 7, 20])
def test_a_random_walk_is_a_run(count):
    assert tell(walk(count)) == "run"


def test_a_run_whose_steps_become_smaller_is_one():
    here = drawn(0)
    places = [here]
    for step, scale in enumerate([0.7, 0.3, 0.1, 0.01], start=1):
        here = plus(here, drawn(step, scale))
        places.append(here)
    assert tell(places) == "run"


def test_seeds_of_one_beginning_are_equally_far_and_nothing_tells():
    base = drawn(0)
    tuned = [plus(base, drawn(seed, 0.01)) for seed in range(1, 5)]
    assert tell(tuned) == "unknown"
    assert tell(tuned[:2]) == "run"  # of two, one cannot tell: it is refused


def test_a_head_that_each_seed_drew_anew_tells_them():
    base = drawn(0)
    tuned = [plus(base, drawn(seed, 0.01)) for seed in range(1, 5)]
    for seed, network in enumerate(tuned):
        network["head.weight"] = drawn(100 + seed)["head.weight"]
    assert tell(tuned) == "seeds"


def test_layers_that_are_frozen_say_nothing():
    base = drawn(0)
    frozen = [{**base, "head.weight": drawn(seed)["head.weight"]} for seed in (1, 2, 3)]
    assert tell(frozen) == "seeds"


def test_one_matrix_may_be_that_of_a_convex_loss():
    shapes = {"weight": (10, 64), "bias": (10,)}
    best = drawn(0, shapes=shapes)
    near = [plus(best, drawn(seed, 0.1, shapes)) for seed in (1, 2, 3)]
    assert tell(near) == "unknown"
    assert tell(near[:2]) == "unknown"


@pytest.mark.parametrize(
    "networks",
    [
        [{"bias": torch.ones(500)}, {"bias": torch.zeros(500)}],
        [{"a": torch.ones(3, 3)}, {"a": torch.zeros(3, 3)}],  # too few weights
        [{"a": torch.ones(30, 30)}, {"b": torch.ones(30, 30)}],
        [{"a": torch.ones(30, 30)}, {"a": torch.zeros(20, 30)}],
        [{"a": torch.ones(30, 30)}] * 2,
        [{"a": torch.ones(30, 30)}, {"a": torch.full((30, 30), float("nan"))}],
        [{"a": torch.ones(30, 30, dtype=torch.int64)}, {"a": torch.zeros(30, 30)}],
        [{"a": torch.ones(0, 30)}] * 2,
        [{}, {}],
    ],
    ids=["vectors", "small", "names", "sizes", "equal", "NaN", "integers", "empty", "nothing"],
)
def test_where_nothing_can_be_compared_nothing_tells(networks):
    assert tell(networks) == "unknown"


def test_small_matrices_are_taken_together():
    shapes = {f"conv{i}.weight": (4, 2, 3, 3) for i in range(4)}
    assert tell([drawn(seed, shapes=shapes) for seed in range(3)]) == "seeds"
    base = drawn(0, shapes=shapes)
    assert tell([base, plus(base, drawn(1, 0.01, shapes)), plus(base, drawn(2, 1, shapes))]) in (
        "run",
        "unknown",
    )


def trained(seed, epochs):
    torch.manual_seed(seed)
    x = torch.randn(120, 12)
    y = (x[:, :3].sum(1) > 0).long()
    model = torch.nn.Sequential(
        torch.nn.Linear(12, 40), torch.nn.ReLU(), torch.nn.Linear(40, 30),
        torch.nn.ReLU(), torch.nn.Linear(30, 2),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(epochs):
        for batch in torch.randperm(120).split(20):
            optimizer.zero_grad()
            cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        yield {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_epochs_and_seeds_of_real_trainings_are_told_apart():
    runs = [list(trained(seed, 5)) for seed in range(4)]
    assert all(tell(run) == "run" for run in runs)
    assert all(tell(run[:2]) == "run" for run in runs)
    assert tell([run[-1] for run in runs]) == "seeds"


# equal files and equal weights


def files(folder, **contents):
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return {name: folder / name for name in contents}


def test_equal_files_are_those_with_the_same_bytes(tmp_path):
    known = files(tmp_path, a=b"one", b=b"two", c=b"one", d=b"three", e=b"one", f=b"", g=b"")
    assert equal_files(known) == {"c": "a", "e": "a", "g": "f"}


def test_files_that_end_alike_are_read_as_a_whole(tmp_path):
    end = bytes(200_000)
    assert equal_files(files(tmp_path, a=b"1" + end, b=b"2" + end, c=b"1" + end)) == {"c": "a"}


def test_files_that_end_in_different_ways_are_not(tmp_path, monkeypatch):
    read = []
    names = equal_files.__globals__  # those of its module, whose name is that of a function
    monkeypatch.setitem(names, "file_digest", lambda p: read.append(p.name) or file_digest(p))
    assert equal_files(files(tmp_path, a=b"1", b=b"2", c=b"33", d=b"1")) == {"d": "a"}
    assert sorted(read) == ["a", "d"]


def test_a_checkpoint_in_parts_is_equal_if_all_its_parts_are(tmp_path):
    for number, value in enumerate([1.0, 1.0, 2.0]):
        folder = tmp_path / str(number)
        folder.mkdir()
        save_file({"w": torch.tensor([value])}, folder / "model-00001-of-00001.safetensors")
        index = {"weight_map": {"w": "model-00001-of-00001.safetensors"}}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    known = {str(n): tmp_path / str(n) / "model.safetensors.index.json" for n in range(3)}
    assert equal_files(known) == {"1": "0"}


def test_links_to_a_file_are_equal_to_it_and_what_cannot_be_read_to_nothing(tmp_path):
    known = files(tmp_path, a=b"one")
    for name in ("hard", "soft", "broken", "pipe", "folder"):
        known[name] = tmp_path / name
    os.link(known["a"], known["hard"])
    known["soft"].symlink_to("a")
    known["broken"].symlink_to("nowhere")
    os.mkfifo(known["pipe"])
    known["folder"].mkdir()
    for name in ("x.bin.index.json", "y.bin.index.json"):
        known[name] = tmp_path / name
        known[name].write_text("no index")
    assert equal_files(known) == {"hard": "a", "soft": "a"}


def test_a_copy_has_the_same_bytes_whatever_its_times(tmp_path):
    known = files(tmp_path, a=b"one")
    known["b"] = tmp_path / "b"
    shutil.copy(known["a"], known["b"])
    os.utime(known["b"], (0, 0))
    assert equal_files(known) == {"b": "a"}


ONE = {"a": torch.arange(4.0), "b": torch.tensor([1, 2])}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({"a": torch.arange(4.0), "b": torch.tensor([1, 2])}, True),
        ({"a": torch.arange(8.0)[:4], "b": torch.tensor([1, 2])}, True),
        ({"a": torch.arange(4.0).nextafter(torch.tensor(9.0)), "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0).double(), "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0)[None], "b": ONE["b"]}, False),
        ({"a": torch.arange(4.0).to_sparse(), "b": ONE["b"]}, False),
        ({"a": torch.empty(4, device="meta"), "b": ONE["b"]}, False),
        ({"a": ONE["a"], "b": torch.tensor([1, 3])}, False),
    ],
)
def test_tensors_are_equal_in_every_bit_of_every_number(other, same):
    assert equal_tensors(ONE, other, ONE) is same
    assert equal_tensors(other, ONE, ONE) is same


def test_only_named_tensors_are_compared_and_no_names_are_no_equality():
    assert equal_tensors(ONE, {"a": ONE["a"], "b": torch.tensor([0, 0])}, ["a"])
    assert not equal_tensors(ONE, ONE, [])


def test_weights_are_equal_whatever_the_file_that_holds_them(tmp_path):
    save_file(ONE, tmp_path / "a.safetensors", metadata={"epoch": "3"})
    wrapped = {f"module.{name}": tensor for name, tensor in ONE.items()}
    torch.save({"state_dict": wrapped, "epoch": 4}, tmp_path / "b.pt")
    torch.save({"ema": ONE, "model": {**ONE, "b": ONE["b"] + 1}}, tmp_path / "c.pt")
    torch.save({"a": ONE["a"]}, tmp_path / "d.pt")
    (tmp_path / "e.pt").write_bytes(b"damaged")
    a, b, c, d, e = (tmp_path / name for name in ("a.safetensors", "b.pt", "c.pt", "d.pt", "e.pt"))
    assert equal_weights(a, b)
    assert not equal_weights(a, c)
    assert equal_weights(c, c, key="ema")
    assert not equal_weights(a, d)
    assert not equal_weights(d, a)
    assert not equal_weights(a, e)


def test_of_large_files_only_the_beginning_is_read(tmp_path):
    """Files of holes, all but their first tensors."""
    paths = []
    for value in (1, 2):
        path = tmp_path / f"{value}.safetensors"
        count = 1 << 36
        header = {
            "0.weight": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "1.weight": {"dtype": "U8", "shape": [count - 1], "data_offsets": [1, count]},
        }
        text = json.dumps(header).encode()
        with path.open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text + bytes([value]))
            file.truncate(8 + len(text) + count)
        paths.append(path)
    assert not equal_weights(*paths)
