from __future__ import annotations

import pytest
import torch
from torch import nn

from mdtree.datasets import Data, DatasetItems
from mdtree.exceptions import DataError
from mdtree.landscape import Kernel, cka
from mdtree.metrics import METRICS, Workload
from mdtree.metrics.layers import LAYERS
from tests.support.cases import IMAGES, NETS, Padded, X, Y, group, subject


def measure(*args, **kwargs):
    return LAYERS.compute(subject(*args, **kwargs))


def matrix(result):
    """Read the detail as (row, column) -> cka."""
    columns = result.details["layers"].columns
    keys = zip(columns["row"], columns["column"], strict=True)
    return dict(zip(keys, columns["cka"], strict=True))


def rows(result):
    return list(dict.fromkeys(result.details["layers"].columns["row"]))


def same(first, second):
    return cka(Kernel.of(first), Kernel.of(second), debiased=True)


def test_layers_that_are_overwritten_in_place_are_seen_as_they_spoke():
    module, members = group(NETS["cnn"][0], 2)

    similarities = matrix(measure(module, members, (IMAGES, Y)))

    outputs = [
        torch.nn.functional.conv2d(IMAGES, member["0.weight"], member["0.bias"])
        for member in members
    ]
    by_hand = same(outputs[0], outputs[1])
    assert by_hand == pytest.approx(similarities["0", "0"], abs=1e-5)
    assert same(outputs[0].relu(), outputs[1]) == pytest.approx(similarities["1", "0"], abs=1e-5)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("lstm", {"inner", "last"}),
        (
            "transformer",
            {"0.layers.1.self_attn", "0.layers.1.linear1", "0.layers.1.norm2", "1", "2"},
        ),
        ("bert", {"bert.encoder.layer.0.attention.self.query", "bert.pooler.dense", "classifier"}),
        ("residual", {"stem", "blocks.1.shortcut.0", "head"}),
        ("group and layer norm", {"0", "1", "2", "5"}),
    ],
)
def test_one_member_is_compared_with_itself_in_any_network(name, layers):
    make, data = NETS[name]
    module, members = group(make, 1)

    result = measure(module, members, data)

    names, values = rows(result), matrix(result)
    parts = [name for name, part in module.named_modules() if not any(part.children())]
    assert layers <= set(names)
    assert set(names) - {n for n in names if n.endswith("self_attn")} <= set(parts)
    for row in names:
        if values[row, row] is not None:
            assert values[row, row] == 1
        assert [values[row, other] for other in names] == [values[other, row] for other in names]
    assert torch.backends.mha.get_fastpath_enabled()


def test_transformers_that_run_as_one_piece_are_seen_in_parts():
    padding = torch.zeros(37, 6, dtype=torch.bool)
    padding[::2, 4:] = True
    data = {"x": torch.randn(37, 6, 8), "padding": padding, "labels": Y}

    names = rows(measure(*group(Padded, 2), data))

    assert {"encoder.layers.0.linear1", "encoder.layers.1.self_attn", "last"} <= set(names)


def test_attention_says_its_output_and_not_its_weights():
    module, members = group(lambda: nn.MultiheadAttention(8, 2, batch_first=True), 2)
    x = torch.randn(37, 6, 8)
    data = {"query": x, "key": x, "value": x, "labels": Y}

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = module

        def forward(self, **inputs):
            return self.attention(**inputs)[0]

    members = [{f"attention.{name}": t for name, t in member.items()} for member in members]
    similarities = matrix(measure(Attention(), members, data))

    outputs = []
    for member in members:
        short = {name.removeprefix("attention."): t for name, t in member.items()}
        outputs.append(torch.func.functional_call(module, short, (x, x, x))[0].detach())
    assert list(similarities) == [("attention", "attention")]
    assert same(*outputs) == pytest.approx(similarities["attention", "attention"], abs=1e-5)


def test_a_layer_that_is_called_twice_counts_by_its_last_call():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.last = nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.last(torch.tanh(self.layer(torch.tanh(self.layer(x)))))

    module, members = group(Twice, 2)
    similarities = matrix(measure(module, members, (X, Y)))

    outputs = []
    for member in members:
        layer = lambda x, m=member: x @ m["layer.weight"].T + m["layer.bias"]  # noqa: E731
        outputs.append(layer(torch.tanh(layer(X))))
    assert same(*outputs) == pytest.approx(similarities["layer", "layer"], abs=1e-5)
    assert list(similarities) == [
        ("layer", "layer"),
        ("layer", "last"),
        ("last", "layer"),
        ("last", "last"),
    ]


class Odd(nn.Module):
    """Layers that are dead, broken, or give nothing that can be compared."""

    def __init__(self):
        super().__init__()
        for name in ("dead", "broken", "turned", "whole", "none", "last"):
            setattr(self, name, nn.Identity())
        self.last = nn.Linear(5, 3)
        self.turned.register_forward_hook(lambda _m, _i, output: output.T)
        self.whole.register_forward_hook(lambda _m, _i, output: output.long())
        self.none.register_forward_hook(lambda _m, _i, _o: ("no tensor",))

    def forward(self, x):
        self.dead(torch.ones_like(x))
        self.broken(x / 0)
        self.turned(x)
        self.whole(x)
        self.none(x)
        return self.last(x)


def test_dead_and_broken_layers_are_none_and_what_is_no_layer_of_items_is_left_out():
    result = measure(*group(Odd, 2), (X, Y))

    assert rows(result) == ["dead", "broken", "last"]
    values = matrix(result)
    assert {key for key, value in values.items() if value is not None} == {("last", "last")}


@pytest.mark.parametrize("batch_size", [1, 3, 100])
def test_the_batch_size_does_not_matter(batch_size):
    args = (*group(NETS["mlp"][0], 2), (X, Y))
    assert measure(*args) == measure(*args, batch_size=batch_size)


@pytest.mark.parametrize("items", [4, 255, 600])
@pytest.mark.parametrize("members", [1, 2, 3])
def test_the_cost_is_what_the_meter_counts(members, items):
    data = torch.randn(items, 5), torch.zeros(items).long()
    measured = subject(*group(NETS["mlp"][0], members), data)
    work = Workload(
        members=members, train_items=items, test_items=9, full_items=items, protocol="standard-1"
    )

    LAYERS.compute(measured)

    expected = min(members, 2) * min(items, 256)
    assert expected == LAYERS.cost(work).forward == measured.runner.meter.total.passes


def test_too_few_items_are_noted():
    result = measure(*group(NETS["mlp"][0], 2), (X[:3], Y[:3]))
    assert (result.values, result.details) == ({}, {})
    assert result.notes == ("layers: needs 4 training items, found 3",)


def test_where_memory_is_short_fewer_items_are_compared_and_that_is_noted():
    class Narrow(nn.Linear):
        def forward(self, x):
            if len(x) > 20:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return super().forward(x)

    result = measure(*group(lambda: Narrow(5, 3), 2), (X, Y))
    assert result.notes == ("layers: memory was only enough for 19 of 37 items",)
    assert isinstance(matrix(result)["Narrow", "Narrow"], float)


def test_items_that_are_read_from_somewhere_are_one_batch():
    texts = [(torch.randn(2 + place % 3, 5), int(Y[place])) for place in range(37)]

    def padded(items):
        x = nn.utils.rnn.pad_sequence([x for x, _ in items], batch_first=True)
        return x, torch.tensor([y for _, y in items])

    make = lambda: nn.Sequential(nn.Linear(5, 4), nn.Flatten(), nn.Linear(16, 3))  # noqa: E731
    measured = subject(*group(make, 2), (X, Y))
    items = DatasetItems(texts, torch.arange(37), collate=padded)
    result = LAYERS.compute(type(measured)(**{**vars(measured), "data": Data(items, None)}))
    assert rows(result) == ["0", "1", "2"]


@pytest.mark.parametrize("fails", [False, True])
def test_everything_is_found_as_it_was(fails):
    module, members = group(NETS["group and layer norm"][0], 2)  # which drops out, in training
    data = (IMAGES[:, :, :, : 4 if fails else 8], Y)
    expected = None if fails else measure(module, members, data)
    measured = subject(module, members, data)
    module.train()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    random = torch.random.get_rng_state()

    if fails:
        with pytest.raises(DataError, match="the network cannot run on a batch"):
            LAYERS.compute(measured)
    else:
        assert expected == LAYERS.compute(measured)

    assert all(part.training and not part._forward_hooks for part in module.modules())
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(torch.equal(before[name], t) for name, t in module.state_dict().items())
    assert torch.backends.mha.get_fastpath_enabled()


def test_it_is_made_on_request_only_and_measures_no_quantity():
    assert METRICS["layers"] is LAYERS
    assert LAYERS.on_request
    assert LAYERS.quantities == ()
