"""Networks in memory: measured without files and without a recipe."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from mdtree.batch import targets
from mdtree.datasets import Data, Items, as_items, in_memory
from mdtree.exceptions import DataError, DivergedError, MdtreeError
from mdtree.landscape import CostMeter, ModelRunner
from mdtree.losses import build_loss, head_of
from mdtree.measurement.fitting import fitted
from mdtree.measurement.group import joined, quantities_of, versions
from mdtree.measurement.request import check_metrics
from mdtree.metrics import MetricInput
from mdtree.models import Network
from mdtree.network import Loss
from mdtree.recipes import LossSpec, Trust, checked_facts
from mdtree.rows import (
    DEFAULT_PROTOCOL,
    Diverged,
    Enough,
    Fact,
    GroupFailure,
    Provenance,
    Row,
    check_protocol,
)
from mdtree.runtime.device import pick_device

__all__ = ["ModelsInMemory"]

_NONE = Trust()
_NO_TEST = "no test (validation) data were given: test=..."


@dataclass(frozen=True, kw_only=True, eq=False)
class ModelsInMemory:
    """Networks that differ only by seed, and what to measure them on.

    Attributes:
        models: Modules of one architecture; they are copied, and stay as they are.
        train: The training data: (x, y), a dictionary of tensors, a Dataset, or a DataLoader.
        test: The test data, in the same form.
        is_train_whole: Whether these are all training data, so that their number is a fact.
        loss: A name (`cross_entropy`, `mse`, `causal_lm`, `token_cross_entropy`), a module such as
            `nn.CrossEntropyLoss()`, or a function of (output, batch).
        facts: What is known of the training: learning_rate, batch_size, steps, ...

    """

    models: Sequence[nn.Module]
    train: Any
    test: Any = None
    is_train_whole: bool = True
    loss: str | Loss = "cross_entropy"
    facts: Mapping[str, Fact] = field(default_factory=dict)
    protocol: str = DEFAULT_PROTOCOL
    seed: int = 0
    device: str = "auto"
    batch_size: int = 256  # items in one forward pass
    name: str = "models"

    def row(self, metrics: Iterable[str] = ()) -> Row:
        """Measure the networks.

        Args:
            metrics: Names; none are the usual ones.

        Raises:
            MdtreeError: The networks, the data or the names cannot be used; the message says why.

        """
        return self.extended(None, metrics)

    def extended(
        self,
        earlier: Row | None,
        metrics: Iterable[str],
        meter: CostMeter | None = None,
        enough: Enough | None = None,
    ) -> Row:
        """Measure more of the networks, and add it to a row of theirs.

        `enough` is asked between blocks of work whether a quantity is precise enough; without it,
        all are measured to their tolerance.
        """
        names = check_metrics(tuple(metrics))
        started = time.perf_counter()
        try:
            runner = replace(self.prepared.runner, meter=meter or CostMeter())  # of this row alone
            metric_input = replace(
                self.prepared, runner=runner, enough=enough, unfinished=self._unfinished
            )
        except DivergedError as error:  # a verdict by itself
            return Row(
                format=1,
                group=self.name,
                protocol=check_protocol(self.protocol),
                facts=checked_facts(self.facts),
                quantities={},
                failure=GroupFailure(kind=DivergedError.__name__, reason=str(error)),
                diverged=Diverged(networks=error.networks, of=error.of),
            )
        result = quantities_of(names, metric_input)
        data, network = metric_input.data, metric_input.runner.network
        facts = {
            **({"data_amount": len(data.train)} if self.is_train_whole else {}),
            **checked_facts(self.facts),
            "parameters": network.parameters,
            "conv_parameters": network.conv_parameters,
        }
        row = Row(
            format=1,
            group=self.name,
            protocol=check_protocol(self.protocol),
            facts=facts,
            quantities=dict(result.values),
            provenance=Provenance(
                weights={},
                recipe="in memory",
                data=None,
                metrics=names,
                seed=self.seed,
                device=str(metric_input.runner.device),
                seconds=round(time.perf_counter() - started, 3),
                versions=versions(),
                passes=metric_input.runner.meter.total.passes,
                notes=tuple(dict.fromkeys((*metric_input.notes, *result.notes))),
                stopped=dict(result.stopped) or None,
                reach=result.reach,
            ),
            details=dict(result.details) or None,
        )
        return row if earlier is None else joined(earlier, row)

    @cached_property
    def _unfinished(self) -> dict[str, dict[str, Tensor]]:
        return {}

    @cached_property
    def prepared(self) -> MetricInput:
        """The copied networks and the data in memory, for all that is measured of them.

        Raises:
            DivergedError: Weights are NaN or infinite.
            MdtreeError: The networks or the data cannot be used; the message says why.

        """
        models = [self.models] if isinstance(self.models, nn.Module) else list(self.models)
        if not models or not all(isinstance(model, nn.Module) for model in models):
            kinds = ", ".join(sorted({type(model).__name__ for model in models})) or "none"
            raise MdtreeError(f"models must be a list of torch modules, got {kinds}")
        if len({id(model) for model in models}) < len(models):
            raise MdtreeError("a model is given twice: seeds are networks that were trained apart")
        shapes = [_shapes(model) for model in models]
        _check_finite(models)
        if any(each != shapes[0] for each in shapes):
            raise MdtreeError(
                "the models have different weights: a group is made of networks of one "
                "architecture that differ by seed; measure others apart"
            )
        device = torch.device(pick_device(self.device))
        module = _copied(models[0]).to(device).eval()
        is_half = any(_is_half(tensor) for tensor in module.state_dict().values())
        network = Network(module.float() if is_half else module)
        weights = {
            f"model-{number}": {
                name: tensor.detach().to(
                    device, torch.float32 if _is_half(tensor) else None, copy=True
                )
                for name, tensor in model.state_dict().items()
            }
            for number, model in enumerate(models)
        }
        runner = ModelRunner(
            network=network,
            loss=self._loss(network),
            batch_size=self.batch_size,
            device=device,
            dtype=torch.float32 if is_half else None,
        )
        test = None if self.test is None else _items(self.test, "test")
        data = Data(_items(self.train, "train"), test, without_test=_NO_TEST)
        ready = fitted(runner, data)
        return MetricInput(
            runner=ready.runner,
            members=weights,
            data=ready.data,
            notes=ready.notes,
            protocol=check_protocol(self.protocol),
            seed=self.seed,
            training=None,
        )

    def _loss(self, network: Network) -> Loss:
        if isinstance(self.loss, str):
            return build_loss(LossSpec(factory=self.loss), _NONE, head=head_of(network.module))
        if not isinstance(self.loss, Callable):  # type: ignore[arg-type]
            raise MdtreeError(f"loss must be a name or a function, got {type(self.loss).__name__}")
        if isinstance(self.loss, nn.Module):  # such as nn.CrossEntropyLoss()
            criterion = self.loss
            return lambda output, batch: criterion(output, targets(batch))
        return self.loss


def _items(data: Any, name: str) -> Items:
    items = as_items(data, name)
    if len(items) == 0:
        raise DataError(f"{name} is empty")
    return in_memory(items)


def _shapes(model: nn.Module) -> dict[str, tuple[int, ...]]:
    try:
        state = model.state_dict()
        shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    except (RuntimeError, AttributeError, ValueError) as error:
        raise MdtreeError(f"the weights of a model cannot be read: {error!s:.200}") from error
    return shapes


def _check_finite(models: Sequence[nn.Module]) -> None:
    broken = {}
    for number, model in enumerate(models):
        state = model.state_dict().items()
        lost = [n for n, t in state if t.is_floating_point() and not t.isfinite().all()]
        if lost:
            broken[f"model-{number}"] = lost[0]
    for tensor in broken.values():
        message = f"{tensor} is NaN or infinite: training diverged"
        raise DivergedError.of_group(message, broken, len(models))


def _is_half(tensor: torch.Tensor) -> bool:
    """Return whether numbers are too coarse to be differentiated twice."""
    return tensor.is_floating_point() and tensor.itemsize < torch.float32.itemsize


def _copied(model: nn.Module) -> nn.Module:
    """Copy a model, which may hold what cannot be copied, such as outputs that it keeps."""
    try:
        return copy.deepcopy(model)
    except Exception as error:
        raise MdtreeError(
            f"the model cannot be copied, so it could not stay as it is: {error!s:.200}. Save its "
            "weights, and measure the file; or remove what it keeps of the last pass"
        ) from error
