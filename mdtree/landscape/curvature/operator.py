"""The Hessian of the mean loss over a sample, as a matrix-free operator.

    H v = sum_b (n_b / n) * d/dw <grad L_b(w), v>          Pearlmutter 1994

L_b is the mean loss over micro-batch b of n_b items, so batches may have different sizes.  Several
vectors share the graph of each gradient.  Graphs are kept for later products as far as memory
allows; of the others only one is alive at a time, so memory does not grow with the sample.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import jvp

from mdtree.batch import Batch, size
from mdtree.exceptions import MdtreeError
from mdtree.items import Items
from mdtree.landscape.curvature.convolution import FastConvolutions
from mdtree.landscape.curvature.gradient_graph import (
    GradientGraph,
    LossError,
    mean_loss,
    room_for_graphs,
)
from mdtree.landscape.parameters import ParameterLayout, trainable_parameters
from mdtree.landscape.runner import ComputeCost, ModelRunner
from mdtree.network import Run, Weights

__all__ = ["Hessian", "LossError", "item_curvatures", "mean_loss"]

Direction = Mapping[str, Tensor]
ResultT = TypeVar("ResultT")

_JOINED = 1 << 29  # bytes of a graph of batches that are joined; the last bits hang on their size
_LARGE = 1 << 23  # bytes of graphs: forward derivatives take a second to load
_MOST_WEIGHTS = 2**24  # for 124 million of them, 12 GiB were not enough
_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_AGREE = 0.05  # relative difference of gradients that rounding at kinks explains


class Hessian:
    """The Hessian at `weights`, with respect to the trainable parameters.

    Parameters that the network does not use, or on which the loss depends linearly, have zero
    rows.  The module runs in its current mode, at copies of the weights and buffers.

    Args:
        runner: The network and its loss.
        weights: The point at which the Hessian is taken.
        items: The sample.
        batch_size: The items of a micro-batch.
        keep: Keep graphs for later products, and join micro-batches, as far as memory allows.
    """

    def __init__(
        self,
        runner: ModelRunner,
        weights: Weights,
        items: Items,
        batch_size: int,
        *,
        keep: bool = False,
    ) -> None:
        self.runner = runner
        self.items = items
        self.batch_size = batch_size
        self.layout: ParameterLayout = trainable_parameters(runner.network)
        self.weights: dict[str, Tensor] = {
            name: tensor.detach().clone() for name, tensor in weights.items()
        }
        self.leaves: dict[str, Tensor] = {
            name: self.weights[name].requires_grad_() for name in self.layout.shapes
        }
        self._kept: list[GradientGraph] = []  # of the first items
        self._room = room_for_graphs(runner.device) if keep else 0  # bytes for further ones
        self._batch_size = batch_size  # of items whose graph is not kept
        self._is_fast: bool | None = None  # None: not known yet

    @property
    def size(self) -> int:
        """Number of trainable parameters."""
        return self.layout.size

    def random(self, source: torch.Generator) -> Tensor:
        """Draw a standard normal vector."""
        leaf = next(iter(self.leaves.values()))
        return torch.randn(self.size, generator=source).to(leaf)

    def product(self, vector: Tensor) -> Tensor:
        """Compute H v."""
        return self.products(vector.unsqueeze(0))[0]

    def products(self, vectors: Tensor) -> Tensor:
        """Compute H v for each row of `vectors`.

        Raises:
            LossError: A second derivative is not finite.
        """
        total = torch.zeros_like(vectors)

        def work(run: Run) -> None:
            for graph, keep in self._graphs(run):
                share = graph.items / len(self.items)
                total.add_(self._of_graph(graph, vectors, keep=keep), alpha=share)

        self._with_weights(work)
        return _finite(total)

    def parts(self, vectors: Tensor, batch_size: int) -> Iterator[tuple[float, Tensor]]:
        """Yield each micro-batch's share of the items, and the products with its own Hessian."""
        for batch in self.runner.batches(self.items, batch_size):
            part = self._with_weights(partial(self._of_batch, batch, vectors))
            yield size(batch) / len(self.items), _finite(part)

    def by_item(self, vector: Tensor, count: int) -> Tensor | None:
        """Compute v H_i v of the first items' own Hessians; None: it takes a graph to do that.

        It does as well where graphs are so small that parts cost little, on a CPU, and where there
        are so many weights that forward derivatives, which hold several times their number, fill
        memory.
        """
        if self.layout.size > _MOST_WEIGHTS or self._are_parts_cheap():
            return None
        found: list[Tensor] = []
        direction = self.layout.views(vector)
        some = self.items.take(torch.arange(min(count, len(self.items))))
        for batch in self.runner.batches(some, self.batch_size):
            self.runner.meter.add(ComputeCost(product=size(batch)))
            curvatures = item_curvatures(self.runner, self.weights, direction, batch)
            if curvatures is None:
                return None
            found.append(curvatures)
        return torch.cat(found)

    def _are_parts_cheap(self) -> bool:
        """Say whether a part costs hardly more than its arithmetic, as none does on a GPU."""
        on_cpu = self.runner.device.type == "cpu"
        return on_cpu and sum(graph.bytes(()) for graph in self._kept) < _LARGE

    def _graphs(self, run: Run) -> Iterator[tuple[GradientGraph, bool]]:
        """Yield the gradients of all items, and whether their graph is kept."""
        for graph in list(self._kept):
            yield graph, True
        keeping = self._room > 0
        for batch in self._batches_left():
            graph = self._graph(run, batch)
            if keeping:
                held = graph.bytes(self.weights.values())
                if not self._kept and graph.by_item:
                    self._batch_size = max(graph.items * _JOINED // max(held, 1), self.batch_size)
                self._room -= held
                keeping = self._room > 0
            if keeping:
                self._kept.append(graph)
            yield graph, keeping
        self._room = 0  # the next pass keeps no others

    def _batches_left(self) -> Iterator[Batch]:
        """Yield the batches whose graph is not kept; behind the first, they may be larger."""
        start, stop = sum(graph.items for graph in self._kept), len(self.items)
        while start < stop:
            end = min(start + self._batch_size, stop)
            whole = (start, end) == (0, stop)
            part = self.items if whole else self.items.take(torch.arange(start, end))
            yield from self.runner.batches(part, end - start)
            start = end

    def _graph(self, run: Run, batch: Batch) -> GradientGraph:
        self.runner.meter.add(ComputeCost(gradient=size(batch)))
        return GradientGraph.of(self.runner, run, batch, list(self.leaves.values()))

    def _of_graph(self, graph: GradientGraph, vectors: Tensor, *, keep: bool) -> Tensor:
        self.runner.meter.add(ComputeCost(product=graph.items * len(vectors)))
        return graph.products(vectors, self.layout, keep=keep)

    def _of_batch(self, batch: Batch, vectors: Tensor, run: Run) -> Tensor:
        return self._of_graph(self._graph(run, batch), vectors, keep=False)

    def _with_weights(self, work: Callable[[Run], ResultT]) -> ResultT:
        """Run work at the weights, with fast convolutions where they give the same gradient."""
        if self._is_fast is None:
            self._is_fast = self._agrees()
        with FastConvolutions() if self._is_fast else contextlib.nullcontext():
            return self.runner.network.with_weights(self.weights, work)

    def _agrees(self) -> bool:
        """Compare the gradients of two items: what a module does to its layers, it may not show."""
        modules = self.runner.network.module.modules()
        if self.runner.device.type != "cpu" or not any(
            isinstance(m, _CONVOLUTIONS) for m in modules
        ):
            return False
        batch = next(self.runner.batches(self.items, 2))
        network = self.runner.network
        fast = FastConvolutions()
        try:
            plain = network.with_weights(self.weights, partial(self._gradient, batch))
            with fast:
                other = network.with_weights(self.weights, partial(self._gradient, batch))
        except torch.OutOfMemoryError:
            raise
        except (MdtreeError, RuntimeError):
            return False  # what is wrong shows without them
        distance, length = torch.linalg.vector_norm(other - plain), torch.linalg.vector_norm(plain)
        return fast.used and bool(distance <= _AGREE * length)

    def _gradient(self, batch: Batch, run: Run) -> Tensor:
        leaves = list(self.leaves.values())
        loss = mean_loss(self.runner, run(batch), batch)
        return self.layout.joined(torch.autograd.grad(loss, leaves, materialize_grads=True))


def _finite(products: Tensor) -> Tensor:
    """Return products if they are finite: asked once for all batches, as a GPU waits for it."""
    # the extremes are NaN if a number is; a mask of all numbers takes as long as a tenth of H v
    if products.numel() and not torch.stack(torch.aminmax(products)).isfinite().all():
        raise LossError("the second derivatives of the loss are not finite")
    return products


def item_curvatures(
    runner: ModelRunner, weights: Weights, direction: Direction, batch: Batch
) -> Tensor | None:
    """Compute the curvature of each item's own loss along a direction, without a backward pass.

        c_i = v^T H_i v = d^2/dt^2 l_i(w + t v) at t = 0

    by two nested forward derivatives, which run all items of a batch at once.  Their mean is the
    curvature of the mean loss, so their spread tells its standard error over the items.

    Args:
        runner: The network and its loss.
        weights: The point, with parameters and buffers.
        direction: The direction, for the parameters that are trained.
        batch: The items.

    Returns:
        A number for each item; None if the loss is a mean over the items, or if an operation has
        no forward derivative.
    """
    fixed = {name: tensor.detach() for name, tensor in weights.items()}
    start = {name: fixed[name] for name in direction}
    along = {name: tensor.detach() for name, tensor in direction.items()}
    # the second derivative of the direction is zero: said, so that torch need not make zeros
    still = {name: torch.zeros_like(tensor) for name, tensor in along.items()}

    def losses(moved: Direction) -> Tensor:
        return runner.losses(runner.network({**fixed, **moved}, batch), batch)

    def slopes(moved: Direction, by: Direction) -> Tensor:
        slope: Tensor = jvp(losses, (moved,), (by,))[1]
        return slope

    with torch.no_grad(), warnings.catch_warnings():
        # torch's own way to forward derivatives warns of torch's own past
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
        try:
            curvatures: Tensor = jvp(slopes, (start, along), (along, still))[1]
        except torch.OutOfMemoryError:
            raise
        except (MdtreeError, RuntimeError):
            return None
    finite = curvatures.dim() == 1 and bool(curvatures.isfinite().all())
    return curvatures if finite else None
