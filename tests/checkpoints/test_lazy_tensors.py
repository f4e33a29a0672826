"""What is told of each tensor of a checkpoint, and in which order."""

from __future__ import annotations

import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import in_memory_tensors, list_tensors


def test_tied_tensors_are_known_by_the_first_name(tmp_path):
    w = torch.randn(3, 3)
    tensors = {"a": w, "b": w, "t": w.T, "part": w[:2], "same": w.clone(), "c": w[:]}
    tensors |= {"none": torch.ones(0, 3), "nothing": torch.ones(0, 3)}
    expected = {**dict.fromkeys(tensors), "b": "a", "c": "a"}
    torch.save(tensors, tmp_path / "x")
    for listed in (in_memory_tensors(tensors), list_tensors(tmp_path / "x").tensors):
        assert expected == {stored.name: stored.same_as for stored in listed}


def test_what_holds_no_plain_numbers_is_known_by_its_fault():
    meta, sparse = torch.ones(3, 4, device="meta"), torch.eye(3).to_sparse()
    listed = {s.name: s for s in in_memory_tensors({"a": meta, "b": meta.clone(), "c": sparse})}
    faults = dict.fromkeys("ab", "on the meta device, without values") | {"c": "sparse"}
    assert faults == {name: stored.fault for name, stored in listed.items()}
    assert {None} == {stored.same_as for stored in listed.values()}


def test_parameters_are_numbers_without_gradients(tmp_path):
    torch.save(dict(nn.Linear(3, 2).named_parameters()), tmp_path / "x")
    tensors = [stored.load() for stored in list_tensors(tmp_path / "x").tensors]
    assert [tensor.requires_grad for tensor in tensors] == [False, False]


def test_layers_come_in_order_of_depth_though_safetensors_sorts_by_name(tmp_path):
    names = ["patch_embed.proj.weight", "pos²", *(f"blocks.{n}.mlp.c_fc.weight" for n in range(12))]
    names += ["norm.weight", "fc.weight", "head.weight"]
    weights = {name: torch.ones(2) for name in reversed(names)}
    save_file(weights, tmp_path / "x")
    listed = [stored.name for stored in list_tensors(tmp_path / "x").tensors]
    assert [n for n in listed if n != "pos²"] == [n for n in names if n != "pos²"]
    torch.save(weights, tmp_path / "y")  # which keeps their order
    assert [stored.name for stored in list_tensors(tmp_path / "y").tensors] == list(weights)
