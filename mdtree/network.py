"""A network: a module that can be evaluated at any weights without being changed.

`torch.func.functional_call` takes the weights from a dictionary, so the same code evaluates a
checkpoint, a point on a curve between two checkpoints, or several seeds at once.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.conv import _ConvNd

from mdtree.batch import Batch, describe, inputs, size
from mdtree.exceptions import DataError

__all__ = ["Loss", "Network", "Run", "Weights"]

Weights = Mapping[str, Tensor]  # parameters and buffers, by name
Run = Callable[[Batch], Tensor]
Loss = Callable[[Tensor, Batch], Tensor]  # of the output; one number for each item, or their mean
ResultT = TypeVar("ResultT")
_Place = tuple[dict[str, Any], str]  # the parameters or the buffers of a part, and a name in them

_HALF = re.compile(r"(BFloat16|bfloat16)|Half|float16")  # as torch's errors name them
_HALVES = {torch.bfloat16, torch.float16}


@dataclass(frozen=True)
class Network:
    """A module that is called with weights; its own weights are used only in training."""

    module: nn.Module

    @property
    def parameters(self) -> int:
        """Number of parameters, trainable or frozen, without buffers."""
        return sum(parameter.numel() for parameter in self.module.parameters())

    @property
    def conv_parameters(self) -> int:
        """Number of weights in convolutions."""
        convolutions = (part for part in self.module.modules() if isinstance(part, _ConvNd))
        return sum(map(_kernel_size, convolutions))

    def __call__(self, weights: Weights, batch: Batch) -> Tensor:
        """Run the module at `weights`; of an output with a field `logits`, return that field.

        A tensor that the module has under several names is taken from the first name.

        Raises:
            DataError: The module cannot run on the batch, or not with one output per item.
        """
        positional, named = self._inputs(batch)
        with _explained(batch, self.module):
            output = functional_call(
                self.module, self._once(weights), positional, named, tie_weights=self._is_tied
            )
        return _logits(output, batch)

    def with_weights(self, weights: Weights, work: Callable[[Run], ResultT]) -> ResultT:
        """Call `work` with a function that runs the module at `weights`, for many batches.

        The weights are swapped in only once, not for every batch.  `functional_call` looks at each
        tensor several times, which takes as long as the forward pass of a small network, so plain
        modules are swapped here.
        """
        places = None if self._is_tied else _places(self.module, weights)
        if places is not None:
            with _swapped(places, weights.values()):
                return work(self.trained)
        inner = {f"module.{name}": tensor for name, tensor in self._once(weights).items()}
        result: ResultT = functional_call(
            _Holder(self.module), inner, (work, self.trained), tie_weights=self._is_tied
        )
        return result

    def trained(self, batch: Batch) -> Tensor:
        """Run the module at its own weights, as in training."""
        positional, named = self._inputs(batch)
        with _explained(batch, self.module):
            output = self.module(*positional, **named)
        return _logits(output, batch)

    def unused(self, batch: Batch) -> list[str]:
        """List the entries of a batch that are not given to the module, such as a row number."""
        named = inputs(batch)[1]
        return [name for name in named if name not in self._taken(named)]

    def _inputs(self, batch: Batch) -> tuple[tuple[Tensor, ...], dict[str, Any]]:
        positional, named = inputs(batch)
        return positional, self._taken(named) if named else named

    def _taken(self, named: dict[str, Tensor]) -> dict[str, Any]:
        """Leave out what the module does not take; if it takes nothing, its own error says so."""
        accepted = self._accepted
        if accepted is None:
            return named
        taken: dict[str, Any] = {n: tensor for n, tensor in named.items() if n in accepted}
        if taken and "use_cache" in accepted and _is_of_transformers(self.module):
            taken["use_cache"] = False  # it serves to write text, and takes memory
        return taken or named

    def _once(self, weights: Weights) -> dict[str, Tensor]:
        first = self._first_names
        return {n: tensor for n, tensor in weights.items() if first.get(n) not in weights}

    @property
    def _is_tied(self) -> bool:
        """Whether tensors are shared: checking costs as much as everything else in a call."""
        return bool(self._first_names)

    @cached_property
    def _accepted(self) -> frozenset[str] | None:
        """The names of the module's inputs; None: it takes any.

        Networks of transformers pass what they do not know on, so only their named inputs count;
        adapters of PEFT take what the network in them takes.
        """
        adapted = getattr(self.module, "get_base_model", None)
        module = adapted() if callable(adapted) else self.module
        try:
            parameters = inspect.signature(module.forward).parameters.values()
        except (TypeError, ValueError):  # a compiled module may have no signature
            return None
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
        if takes_any and not _is_of_transformers(self.module):
            return None
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return frozenset(each.name for each in parameters if each.kind in kinds)

    @cached_property
    def _first_names(self) -> dict[str, str]:
        """Map the later names of shared tensors to their first."""
        tensors = self.module.state_dict(keep_vars=True)
        first: dict[int, str] = {}
        names = {name: first.setdefault(id(tensor), name) for name, tensor in tensors.items()}
        return {name: other for name, other in names.items() if other != name}


def _kernel_size(part: nn.Module) -> int:
    """Return the number of weights of a convolution, which need not keep them as its `weight`.

    A class of the user may compute its kernel in each pass, from parameters of any name.
    """
    weight = getattr(part, "weight", None)
    if isinstance(weight, Tensor):
        return weight.numel()
    return sum(each.numel() for each in part.parameters(recurse=False) if each.dim() > 2)  # noqa: PLR2004 - (out, in, places)


def _is_of_transformers(module: nn.Module) -> bool:
    return hasattr(module, "get_input_embeddings") and hasattr(module, "config")


def _places(module: nn.Module, names: Iterable[str]) -> list[_Place] | None:
    """Find where a module holds its tensors; None if it holds one of them in a way of its own."""
    known: dict[str, _Place] = {}
    for prefix, part in module.named_modules():
        start = prefix and f"{prefix}."
        for entries in (part._buffers, part._parameters):  # noqa: SLF001 - as functional_call
            if not isinstance(entries, dict):  # those of TorchScript are copies
                return None
            known |= {f"{start}{name}": (entries, name) for name in entries}
    try:
        return [known[name] for name in names]
    except KeyError:
        return None


@contextmanager
def _swapped(places: list[_Place], tensors: Iterable[Tensor]) -> Iterator[None]:
    """Hold other tensors in these places inside the context."""
    before = [entries[name] for entries, name in places]
    try:
        for (entries, name), tensor in zip(places, tensors, strict=True):
            entries[name] = tensor
        yield
    finally:
        for (entries, name), own in zip(places, before, strict=True):
            entries[name] = own


class _Holder(nn.Module):
    """A module around another one, whose forward pass runs any function."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, work: Callable[[Run], ResultT], run: Run) -> ResultT:
        """Run the work while functional_call holds other weights in the module."""
        return work(run)


@contextmanager
def _explained(batch: Batch, module: nn.Module) -> Iterator[None]:
    """Turn a module's error into a DataError that describes the batch, except out-of-memory."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        first = (str(error).strip() or repr(error)).splitlines()[0]
        told = f"the network cannot run on a batch {describe(batch)}: {first}"
        raise DataError(told + _precision(first, module, batch)) from error


def _precision(reason: str, module: nn.Module, batch: Batch) -> str:
    """Say in which precision a network is measured, where its own code asks for another."""
    found = _HALF.search(reason)
    weight = next((each.dtype for each in module.parameters() if each.is_floating_point()), None)
    positional, named = inputs(batch)
    given = {tensor.dtype for tensor in (*positional, *named.values())}
    if found is None or weight != torch.float32 or given & _HALVES:
        return ""
    half = "bfloat16" if found[1] else "float16"
    return (
        f". It is measured in float32, without autocast, because {half} is too coarse for "
        f"curvature, but its code makes {half}: cast to the type of the weights there, such as "
        "x.to(next(self.parameters()).dtype)"
    )


def _logits(output: Any, batch: Batch) -> Tensor:
    logits = getattr(output, "logits", output)
    if not isinstance(logits, Tensor) or logits.dim() == 0 or len(logits) != size(batch):
        raise DataError(
            f"the network must return one output for each of {size(batch)} items, "
            f"got {describe(logits)}"
        )
    return logits
