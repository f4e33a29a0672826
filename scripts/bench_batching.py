"""The members of a group as one computation, beside one after the other.

    python scripts/bench_batching.py [--widths 2,4,8,16] [--members 2,5] [--size 8] [--device cpu]

One after the other is what mdtree does: error rates by `score`, products by `Hessian`.  Stacked,
the weights of all members are one tensor for each name (`torch.func.stack_module_state`), and
`vmap` runs them at once, on the same batches.  A ratio below 1 says that stacking is faster.

ResNet-18 on scikit-learn's digits, enlarged to `--size` pixels: all test items for the error rates,
and one product with the Hessian on 1,024 training items.  That both sides give the same numbers is
checked first.  Neither side rounds to TF32.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from benchmark import Comparison, announced, arguments, compare, report, say
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from mdtree.datasets import Data, Items, TensorItems
from mdtree.datasets.digits import digits
from mdtree.landscape import Hessian, ModelRunner, generator, preserved_state, score
from mdtree.losses import build_loss
from mdtree.models import Network, resnet18
from mdtree.recipes import LossSpec, Trust

BATCH = 256  # as a recipe has it, and at most for Hessians
SAMPLE = 1024
NEAR = 1e-3  # of the largest number: float32 adds in another order


def main() -> None:
    """Run all comparisons and print them."""
    options = arguments(__doc__, widths="2,4,8,16", members="2,5", size="8", runs="9")
    runs = 3 if options.quick else int(options.runs)
    device = torch.device(options.device)
    data = Data(*(_enlarged(items, int(options.size)) for items in digits()))
    comparisons: list[Comparison] = []
    for width in map(int, options.widths.split(",")):
        for members in map(int, options.members.split(",")):
            comparisons += announced(stacked(width, members, data, device, runs=runs))
    report(comparisons, as_json=options.json)


def stacked(
    width: int, members: int, data: Data, device: torch.device, *, runs: int
) -> Iterator[Comparison]:
    """Compare both kinds of work; what does not fit into memory is left out."""
    case = _Case.made(width, members, device)
    for what, (rival, ours) in _work(case, data).items():
        name = f"{what}, width {width}, {members} members, stacked / one by one"
        try:
            with preserved_state(case.runner, seed=0):
                _check(name, rival(), ours())
                comparison = compare(name, rival, ours, runs=runs, target=None)
        except torch.OutOfMemoryError:
            say(f"{name}: memory runs out")
        else:
            yield comparison


Work = Callable[[], Tensor]


@dataclass(frozen=True, kw_only=True)
class _Case:
    """Networks of one width that differ by seed, each by itself and stacked."""

    runner: ModelRunner
    members: list[dict[str, Tensor]]
    parameters: dict[str, Tensor]  # (members, ...)
    buffers: dict[str, Tensor]

    @classmethod
    def made(cls, width: int, members: int, device: torch.device) -> _Case:
        """Draw the weights; how long a pass takes does not depend on them."""
        modules = []
        for seed in range(members):
            torch.manual_seed(seed)
            modules.append(resnet18(width, 10, 1).to(device).eval())
        parameters, buffers = stack_module_state(modules)
        return cls(
            runner=ModelRunner(
                network=Network(copy.deepcopy(modules[0])),
                loss=build_loss(LossSpec(), Trust()),
                batch_size=BATCH,
                device=device,
            ),
            members=[module.state_dict() for module in modules],
            parameters={name: t.detach().requires_grad_() for name, t in parameters.items()},
            buffers=buffers,
        )

    @property
    def forward(self) -> Callable[[Tensor], Tensor]:
        """Run all members on one batch: (items, ...) -> (members, items, classes)."""
        module: nn.Module = self.runner.network.module

        def run_one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], x: Tensor) -> Tensor:
            return functional_call(module, (parameters, buffers), (x,))

        run = vmap(run_one, in_dims=(0, 0, None))
        return lambda x: run(self.parameters, self.buffers, x)


def _work(case: _Case, data: Data) -> dict[str, tuple[Work, Work]]:
    """Give one by one, and stacked."""
    assert data.test is not None
    sample = case.runner.here(data.train.take(torch.arange(SAMPLE)))
    each = [Hessian(case.runner, weights, sample, BATCH) for weights in case.members]
    vectors = torch.stack([each[0].random(generator(0, place)) for place in range(len(each))])

    def products() -> Tensor:
        return torch.stack([h.product(v) for h, v in zip(each, vectors, strict=True)])

    return {
        "error rates": (
            partial(_scores, case, data.test),
            partial(_scores_stacked, case, data.test),
        ),
        "Hessian product": (products, partial(_products_stacked, case, each[0], vectors)),
    }


def _scores(case: _Case, items: Items) -> Tensor:
    """Give the loss of every item, and the share that is wrong: (members, items + 1)."""
    network = case.runner.network
    scores = [network.with_weights(w, partial(score, case.runner, items)) for w in case.members]
    return torch.stack(
        [torch.cat([s.losses, s.wrong.double().mean(0, keepdim=True)]) for s in scores]
    )


def _scores_stacked(case: _Case, items: Items) -> Tensor:
    losses, wrong, forward = [], [], case.forward
    with torch.inference_mode():
        for x, y in case.runner.batches(items):
            said = forward(x)
            labels = y.expand(len(said), -1)
            losses.append(F.cross_entropy(said.transpose(1, 2), labels, reduction="none"))
            wrong.append(said.argmax(2) != labels)
    each, errors = (torch.cat(part, dim=1).cpu().double() for part in (losses, wrong))
    return torch.cat([each, errors.mean(1, keepdim=True)], dim=1)


def _products_stacked(case: _Case, hessian: Hessian, vectors: Tensor) -> Tensor:
    """Give H v of each member: the sum of their losses has a Hessian of blocks."""
    leaves = [case.parameters[name] for name in hessian.layout.shapes]
    views = [hessian.layout.views(vector).values() for vector in vectors]
    directions = [torch.stack(parts) for parts in zip(*views, strict=True)]
    total, forward = torch.zeros_like(vectors), case.forward
    for x, y in case.runner.batches(hessian.items, BATCH):
        said = forward(x).flatten(0, 1)
        loss = F.cross_entropy(said, y.repeat(len(vectors)), reduction="sum") / len(hessian.items)
        gradients = torch.autograd.grad(loss, leaves, create_graph=True)
        products = torch.autograd.grad(gradients, leaves, grad_outputs=directions)
        total += torch.cat([product.flatten(1) for product in products], dim=1)
    return total


def _check(name: str, rival: Tensor, ours: Tensor) -> None:
    off = float((ours - rival).abs().max() / rival.abs().max())
    if not off <= NEAR:
        raise SystemExit(f"{name}: both sides differ by {off:.2g} of the largest number")


def _enlarged(items: TensorItems, size: int) -> TensorItems:
    x, y = items.all
    return TensorItems((F.interpolate(x, size=size, mode="bilinear", align_corners=False), y))


if __name__ == "__main__":
    main()
