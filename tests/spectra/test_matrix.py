"""Every tensor of a state dict is cut into the right matrices, and nothing is lost on the way."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from mdtree.checkpoints import in_memory_tensors
from mdtree.spectra import CONVENTIONS, find_matrices


def cut_out(tensors, **options):
    """Give each matrix by its name: its kind, and its numbers as they are cut out."""
    cuts = {}
    for matrix in find_matrices(in_memory_tensors(tensors), **options)[0]:
        numbers = matrix.cut(matrix.tensor.load())
        assert (matrix.slices, *matrix.sizes) == numbers.shape
        cuts[matrix.name] = (matrix.kind, numbers)
    return cuts


def check(expected, module, **options):
    cuts = cut_out(module.state_dict(), **options)
    assert {name: kind for name, (kind, _) in expected.items()} == {
        name: kind for name, (kind, _) in cuts.items()
    }
    assert all(torch.equal(numbers, cuts[name][1]) for name, (_, numbers) in expected.items())


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_what_has_two_axes_is_taken_as_it_is(convention):
    module = nn.ModuleDict(
        {"fc": nn.Linear(4, 3), "top": nn.Linear(3, 1), "emb": nn.Embedding(7, 2)}
    )
    kinds = {"fc": "linear", "top": "linear", "emb": "embedding"}
    expected = {f"{name}.weight": (kinds[name], module[name].weight[None]) for name in kinds}
    check(expected, module, convention=convention)


CONVOLUTIONS = {
    "conv1d": nn.Conv1d(2, 3, 5),
    "conv2d": nn.Conv2d(2, 3, (4, 1)),
    "conv3d": nn.Conv3d(2, 3, (2, 1, 4)),
    "transposed1d": nn.ConvTranspose1d(2, 3, 5),
    "transposed2d": nn.ConvTranspose2d(2, 3, 2, bias=False),
    "transposed3d": nn.ConvTranspose3d(2, 3, 2),
    "pointwise": nn.Conv2d(4, 3, 1),
    "long": nn.Conv1d(4, 3, 32),
    "grouped": nn.Conv2d(4, 6, 3, groups=2),  # a slice holds the groups on top of each other
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolutions_are_cut_at_each_place_of_the_kernel(name):
    module = CONVOLUTIONS[name]
    w = module.weight.detach()
    kind = f"conv{w.dim() - 2}d"
    slices = torch.stack([w[:, :, *place] for place in product(*map(range, w.shape[2:]))])
    for convention in ("pooled", "slices"):
        check({"weight": (kind, slices)}, module, convention=convention)
    flat = torch.stack([line.flatten() for line in w])[None]
    check({"weight": (kind, flat)}, module, convention="flatten")


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        (nn.Conv2d(4, 8, 3, groups=4), "depthwise"),
        (nn.ConvTranspose1d(3, 3, 2, groups=3), "depthwise"),
        (nn.Conv1d(1, 3, 80), "depthwise"),  # nothing tells it from one
        (nn.Conv2d(3, 1, 3), "conv2d"),
        (nn.ConvTranspose2d(1, 5, (2, 3)), "conv2d"),
    ],
)
@pytest.mark.parametrize("convention", CONVENTIONS)
def test_filters_of_a_single_channel_are_the_lines_of_one_matrix(module, kind, convention):
    w = module.weight
    lines = torch.stack([w[i, j].flatten() for i, j in product(*map(range, w.shape[:2]))])
    check({"weight": (kind, lines[None])}, module, convention=convention)


RECURRENT = {
    "lstm": nn.LSTM(3, 5, 2, bidirectional=True),
    "projected": nn.LSTM(3, 20, 2, bidirectional=True, proj_size=4),
    "gru": nn.GRU(1, 5, 2, bidirectional=True),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_gates_of_every_layer_and_direction_are_cut_apart(name):
    module, expected = RECURRENT[name], {}
    gates = "rzn" if name == "gru" else "ifgo"
    for key, w in module.state_dict().items():
        if "weight_hr" in key:
            expected[key] = ("linear", w[None])
        elif "weight" in key:
            parts = zip(gates, w.chunk(len(gates)), strict=True)
            expected |= {f"{key}[{gate}]": ("gate", part[None]) for gate, part in parts}
    check(expected, module)


def test_a_plain_rnn_has_no_gates():
    module = nn.RNN(3, 5, 2)
    names = ["weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"]
    check({name: ("linear", getattr(module, name)[None]) for name in names}, module)


def test_the_gates_of_a_cell_are_called_what_they_do():
    x, h, c = torch.randn(3, 4, 5).double()
    lstm, gru = nn.LSTMCell(5, 5, bias=False).double(), nn.GRUCell(5, 5, bias=False).double()
    part = {name: w[0].T for name, (_, w) in cut_out(lstm.state_dict()).items()}
    i, f, g, o = (x @ part[f"weight_ih[{k}]"] + h @ part[f"weight_hh[{k}]"] for k in "ifgo")
    memory = f.sigmoid() * c + i.sigmoid() * g.tanh()
    torch.testing.assert_close((o.sigmoid() * memory.tanh(), memory), lstm(x, (h, c)))
    part = {name: w[0].T for name, (_, w) in cut_out(gru.state_dict()).items()}
    r, z = ((x @ part[f"weight_ih[{k}]"] + h @ part[f"weight_hh[{k}]"]).sigmoid() for k in "rz")
    new = (x @ part["weight_ih[n]"] + r * (h @ part["weight_hh[n]"])).tanh()
    torch.testing.assert_close((1 - z) * new + z * h, gru(x, h))


def test_q_k_v_of_attention_are_called_what_they_do():
    module = nn.MultiheadAttention(8, 1, bias=False).double()
    cuts = cut_out(module.state_dict())
    fused = [f"in_proj_weight[{part}]" for part in "qkv"]
    assert [*fused, "out_proj.weight"] == list(cuts)
    assert [kind for kind, _ in cuts.values()] == ["attention"] * 3 + ["linear"]
    q, k, v, out = (w[0].T for _, w in cuts.values())
    x = torch.randn(5, 8).double()
    mixed = ((x @ q) @ (x @ k).T / 8**0.5).softmax(dim=1) @ (x @ v)
    torch.testing.assert_close(mixed @ out, module(x, x, x)[0])


@pytest.mark.parametrize(
    "name", ["blocks.0.attn.qkv.weight", "attn.Wqkv.weight", "h/0/attn/c_attn/weight", "w_qkv"]
)
def test_fused_attention_is_cut_where_it_is_stacked(name):
    for axis, whole in enumerate([torch.randn(24, 8), torch.randn(8, 24)]):  # GPT-2 has the second
        cuts = cut_out({name: whole})
        assert list(cuts) == [f"{name}[{part}]" for part in "qkv"]
        parts = zip(whole.chunk(3, dim=axis), cuts.values(), strict=True)
        assert all(torch.equal(part, w[0]) for part, (_, w) in parts)
    assert list(cut_out({name: torch.randn(16, 8)})) == [name]  # of grouped queries


def test_attention_of_other_widths_is_not_fused():
    module = nn.MultiheadAttention(8, 2, kdim=3, vdim=5, add_bias_kv=True)
    names = ["q_proj_weight", "k_proj_weight", "v_proj_weight", "out_proj.weight"]
    check({name: ("linear", module.state_dict()[name][None]) for name in names}, module)


def test_experts_that_are_stored_together_are_one_matrix_each():
    whole = torch.randn(8, 16, 32)
    cuts = cut_out({"mlp.experts.gate_up_proj": whole})
    assert [f"mlp.experts.gate_up_proj[{n}]" for n in range(8)] == list(cuts)
    assert {"expert"} == {kind for kind, _ in cuts.values()}
    assert torch.equal(whole, torch.cat([w for _, w in cuts.values()]))


def test_tied_tensors_are_analysed_once():
    words = nn.Embedding(9, 4)
    model = nn.ModuleDict({"wte": words, "head": nn.Linear(4, 9, bias=False)})
    model["head"].weight = words.weight
    check({"wte.weight": ("embedding", words.weight[None])}, model)
    (left,) = find_matrices(in_memory_tensors(model.state_dict()))[1]
    assert (left.name, left.reason) == ("head.weight", "the same numbers as wte.weight")


WORDS = ["", "0", "conv", "experts", "embed", "lora_A", "qkv", "w", "weight", "bias", "mask"]
WORDS += ["weight_ih_l0", "weight_hh_l0", "weight_hr_l0", "in_proj_weight", "weight_g", "weight_v"]
NAMES = st.lists(st.sampled_from(WORDS), max_size=3)
SHAPES = st.lists(st.sampled_from([0, 1, 2, 3, 6, 8, 24, 70]), max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    shapes=st.dictionaries(st.builds("/".join, NAMES) | st.builds(".".join, NAMES), SHAPES),
    convention=st.sampled_from(list(CONVENTIONS)),
)
def test_nothing_is_lost_and_nothing_counts_twice(shapes, convention):
    sizes = {name: torch.Size(shape) for name, shape in shapes.items()}
    tensors = {
        name: torch.arange(float(size.numel())).reshape(size)
        for name, size in sizes.items()
        if size.numel() < 100_000
    }
    taken, left = find_matrices(in_memory_tensors(tensors), convention=convention)
    parts = {name: [m for m in taken if m.tensor.name == name] for name in tensors}
    assert [name for name, matrices in parts.items() if not matrices] == [x.name for x in left]
    assert len(taken) == sum(map(len, parts.values())) == len({m.name for m in taken})
    for name, matrices in parts.items():
        numbers = [m.cut(tensors[name]) for m in matrices]
        assert [(m.slices, *m.sizes) for m in matrices] == [tuple(n.shape) for n in numbers]
        together = [number for n in numbers for number in n.flatten().tolist()]
        assert not matrices or sorted(together) == tensors[name].flatten().tolist()
    assert all(x.reason and x.sizes == sizes[x.name] for x in left)
