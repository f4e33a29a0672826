from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mdtree.exceptions import DataError
from mdtree.models import Network, cnn

IMAGES = torch.randn(7, 1, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(7)
BATCHES = [(IMAGES[:3], LABELS[:3]), (IMAGES[3:], LABELS[3:])]


def network(seed: int) -> Network:
    torch.manual_seed(seed)
    model = cnn(width=2)
    model(torch.randn(20, 1, 8, 8))  # running statistics that are nobody's first ones
    return Network(model.eval())


class Named(nn.Module):
    """Takes its inputs by name, as transformers do, and gives `output` of its logits."""

    def __init__(self, output=lambda logits: logits):
        super().__init__()
        self.head = nn.Linear(2, 4)
        self.output = output

    def forward(self, x, mask=None):
        logits = self.head(x if mask is None else x * mask)
        return self.output(logits)


def test_gives_what_the_module_gives_with_these_weights_in_it():
    ours, other = network(0), network(1)
    weights = other.module.state_dict()
    for batch in BATCHES:
        expected = other.module(batch[0])
        assert not torch.allclose(ours.module(batch[0]), expected)
        assert torch.equal(expected, ours(weights, batch))
        assert torch.equal(expected, ours.with_weights(weights, lambda run, b=batch: run(b)))
        assert torch.equal(expected, other.trained(batch))


@pytest.mark.parametrize("training", [False, True])
def test_the_module_is_untouched_by_running_it_at_other_weights(training):
    ours, weights = network(0), network(1).module.state_dict()
    ours.module.train(training)
    before = {key: tensor.clone() for key, tensor in ours.module.state_dict().items()}
    identities = [id(tensor) for tensor in ours.module.state_dict(keep_vars=True).values()]
    given = {key: tensor.clone() for key, tensor in weights.items()}
    for batch in BATCHES:
        ours(given, batch)
    ours.with_weights(given, lambda run: [run(batch) for batch in BATCHES])
    after = ours.module.state_dict(keep_vars=True)
    assert all(torch.equal(before[key], after[key]) for key in before)
    assert identities == [id(tensor) for tensor in after.values()]
    moved = {key for key in weights if not torch.equal(weights[key], given[key])}
    assert bool(moved) is training  # in evaluation mode, statistics stay as they are


def test_the_module_is_untouched_when_running_it_fails():
    ours, weights = network(0), network(1).module.state_dict()
    before = ours.module.state_dict()
    bad = torch.zeros(3, 2, 8, 8), LABELS[:3]
    for way in (
        lambda: ours(weights, bad),
        lambda: ours.with_weights(weights, lambda run: run(bad)),
    ):
        with pytest.raises(DataError):
            way()
        assert all(torch.equal(before[k], t) for k, t in ours.module.state_dict().items())


def test_gradients_reach_the_weights_that_were_given():
    ours = network(0)
    weights = {key: t.clone() for key, t in network(1).module.state_dict().items()}
    weights["0.weight"].requires_grad_()
    ours(weights, BATCHES[0]).sum().backward()
    assert weights["0.weight"].grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in ours.module.parameters())


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 8))
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize("names", ["all", "first", "second"])
def test_tied_weights_are_run_from_any_of_their_names(names):
    model, other = tied(), tied()
    weights = {key: tensor.clone() for key, tensor in other.state_dict().items()}
    if names != "all":
        del weights[{"first": "1.weight", "second": "0.weight"}[names]]
    batch = torch.randn(3, 8), LABELS[:3]
    assert torch.equal(other(batch[0]), Network(model)(weights, batch))
    assert torch.equal(
        other(batch[0]), Network(model).with_weights(weights, lambda run: run(batch))
    )


def test_counts_each_parameter_once_and_no_buffer():
    assert Network(tied()).parameters == 8 * 8 + 8 + 8
    assert Network(nn.BatchNorm2d(5)).parameters == 10


def test_batches_that_are_dictionaries_are_given_by_name_without_their_labels():
    model = Named()
    batch = {"x": torch.ones(3, 2), "mask": torch.zeros(3, 1), "labels": LABELS[:3]}
    expected = model.head.bias.expand(3, 4)
    assert torch.equal(expected, Network(model)(model.state_dict(), batch))
    del batch["mask"]
    assert torch.equal(model.head(batch["x"]), Network(model)(model.state_dict(), batch))


def test_outputs_with_logits_give_them():
    model = Named(lambda logits: SimpleNamespace(loss=None, logits=logits))
    batch = {"x": torch.ones(3, 2), "label": LABELS[:3]}
    assert torch.equal(model.head(batch["x"]), Network(model)(model.state_dict(), batch))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (lambda y: (y, y), r"got \(float32\[3, 4\], float32\[3, 4\]\)"),
        (lambda y: {"out": y}, r"got {out: float32\[3, 4\]}"),
        (lambda y: y.mean(), r"got float32\[\]"),
        (lambda y: y[:2], r"got float32\[2, 4\]"),
        (lambda y: None, "got NoneType"),
    ],
)
def test_an_output_that_is_not_one_for_each_item_is_told(output, words):
    model = Named(output)
    with pytest.raises(DataError, match=f"one output for each of 3 items, {words}"):
        Network(model)(model.state_dict(), (torch.ones(3, 2), LABELS[:3]))


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (
            (torch.zeros(3, 3, 8, 8), LABELS[:3]),
            r"\(float32\[3, 3, 8, 8\], int64\[3\]\): .*channels",
        ),
        ((torch.zeros(3, 64), LABELS[:3]), r"\(float32\[3, 64\], int64\[3\]\)"),
        ((torch.zeros(3, 1, 1, 1), LABELS[:3]), r"\(float32\[3, 1, 1, 1\], int64\[3\]\)"),
        ((torch.zeros(3, 1, 8, 8).double(), LABELS[:3]), r"\(float64\[3, 1, 8, 8\], int64\[3\]\)"),
        ({"pixels": IMAGES, "labels": LABELS}, r"{pixels: .*}: .*unexpected keyword .*pixels"),
    ],
)
def test_a_batch_that_does_not_fit_is_told_with_its_shape(batch, words):
    ours = network(0)
    for run in (lambda: ours(ours.module.state_dict(), batch), lambda: ours.trained(batch)):
        with pytest.raises(DataError, match=f"cannot run on a batch {words}"):
            run()


class Casting(nn.Module):
    """A module that casts what it is given."""

    def __init__(self, part, kind):
        super().__init__()
        self.part, self.kind = part, kind

    def forward(self, x):
        return self.part(x.to(self.kind))


@pytest.mark.parametrize(
    ("part", "x"),
    [(nn.Linear(4, 2), torch.ones(3, 4)), (nn.Conv1d(1, 2, 3), torch.ones(3, 1, 4))],
    ids=["linear", "convolution"],
)
@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_code_that_casts_to_half_precision_is_told_with_what_to_do(part, x, kind):
    ours = Network(Casting(part, kind))
    name = str(kind).removeprefix("torch.")
    with pytest.raises(DataError, match=rf"is measured in float32, .*its code makes {name}: cast"):
        ours(ours.module.state_dict(), (x, LABELS[:3]))
    with pytest.raises(DataError) as told:  # what the data bring is not the code's
        ours(ours.module.state_dict(), (x.to(kind), LABELS[:3]))
    assert "its code makes" not in str(told.value)


def test_running_out_of_memory_is_not_called_a_fault_of_the_data():
    def exhausted(logits):
        raise torch.OutOfMemoryError("no memory left")

    model = Named(exhausted)
    with pytest.raises(torch.OutOfMemoryError):
        Network(model)(model.state_dict(), (torch.ones(3, 2), LABELS[:3]))


class Scaled(nn.Module):
    def forward(self, x, scale=1):
        return x * scale


class TakesAll(nn.Module):
    def forward(self, x, **others):
        return x + sum(others.values())


def test_entries_that_a_module_does_not_take_are_left_out_and_listed():
    batch = {"x": torch.ones(2, 1), "row": torch.arange(2), "labels": torch.zeros(2)}
    network = Network(Scaled())
    assert network({}, batch).tolist() == network.trained(batch).tolist() == [[1], [1]]
    assert network.unused(batch) == ["row"]


def test_a_module_that_takes_any_entry_is_given_all():
    batch = {"x": torch.ones(2, 1), "more": torch.ones(2, 1), "labels": torch.zeros(2)}
    network = Network(TakesAll())
    assert network({}, batch).tolist() == [[2], [2]]
    assert network.unused(batch) == []


def test_weights_inside_others_leave_those_in_place():
    ours, one, other = network(0), network(1), network(2)
    first, second = one.module.state_dict(), other.module.state_dict()
    batch = BATCHES[0]

    def both(run):
        inner = ours.with_weights(second, lambda again: again(batch))
        return inner, run(batch)

    inner, outer = ours.with_weights(first, both)
    assert torch.equal(inner, other.module(batch[0]))
    assert torch.equal(outer, one.module(batch[0]))


def test_some_of_the_weights_are_enough():
    ours, other = network(0), network(1)
    name = "0.weight"
    expected = ours.module.state_dict() | {name: other.module.state_dict()[name]}
    batch = BATCHES[0]
    found = ours.with_weights({name: expected[name]}, lambda run: run(batch))
    assert torch.equal(found, ours(expected, batch))


def test_a_parametrized_module_is_run_at_the_weights_before_the_parametrization():
    def made():
        return nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)))

    model, other = made(), made()
    batch = torch.randn(3, 4), LABELS[:3]
    found = Network(model).with_weights(other.state_dict(), lambda run: run(batch))
    assert torch.equal(found, other(batch[0]))


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_scripted_module_is_run_at_other_weights():
    model, other = (torch.jit.trace(nn.Linear(4, 3), torch.randn(2, 4)) for _ in range(2))
    batch = torch.randn(3, 4), LABELS[:3]
    found = Network(model).with_weights(other.state_dict(), lambda run: run(batch))
    assert torch.equal(found, other(batch[0]))


class OwnKernel(nn.Conv2d):
    """A convolution that computes its kernel from what `keep` puts into it."""

    def __init__(self, keep):
        super().__init__(2, 3, 5)
        kernel = self.weight
        del self.weight
        keep(self, kernel)

    def forward(self, x):
        return nn.functional.conv2d(x, self.kernel(), self.bias)


def scaled(part, kernel):
    part.direction = nn.Parameter(kernel.detach())
    part.length = nn.Parameter(torch.ones(3, 1))
    part.kernel = lambda: part.direction * part.length[:, :, None, None]


def generated(part, kernel):
    part.register_parameter("weight", None)
    part.maker = nn.Linear(4, kernel.numel())
    part.kernel = lambda: part.maker(torch.ones(4)).view(kernel.shape)


@pytest.mark.parametrize(("keep", "count"), [(scaled, 3 * 2 * 5 * 5), (generated, 0)])
def test_a_convolution_need_not_keep_its_weight(keep, count):
    network = Network(nn.Sequential(OwnKernel(keep), nn.Conv1d(2, 3, 4)))
    assert network.conv_parameters == count + 3 * 2 * 4
