"""What weights tell alone: of a checkpoint, of two of them, or of a family of models.

A checkpoint is a file, a folder of Hugging Face, an adapter with its base, a module or a
state dict.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from mdtree.checkpoints import (
    TensorListing,
    find_weights,
    in_memory_tensors,
    is_adapter,
    list_base,
    list_tensors,
    local_copy,
)
from mdtree.exceptions import MdtreeError
from mdtree.messages import listed
from mdtree.progress import Progress, Silent
from mdtree.spectra.analysis import AVERAGED, Analysis, analyse_all
from mdtree.spectra.collapse import Change, changes
from mdtree.spectra.layer import FIGURES, Layer, Rules
from mdtree.spectra.series import Ranking, SeriesModel, rankings, read_series
from mdtree.spectra.sources import (
    IN_MEMORY,
    Source,
    adapts,
    all_sources,
    named,
    only_source,
    own_bases,
)
from mdtree.spectra.updates import Update, updates

__all__ = ["WeightOptions", "WeightsReport", "compare", "examine", "rank"]

_SILENT = Silent()
_NAMED = 6  # tensors that are not compared


@dataclass(frozen=True, kw_only=True)
class WeightOptions:
    """How weights are read and analysed."""

    rules: Rules = field(default_factory=Rules)
    embeddings: bool = False  # include them in means
    key: str | None = None  # which weights, if a file holds several
    trust: tuple[str, ...] = ()  # classes that a checkpoint may use
    threads: int = 1


@dataclass(frozen=True, kw_only=True)
class WeightsReport:
    """What the weights tell; parts that were not asked for are empty."""

    checkpoints: Mapping[str, Analysis] = field(default_factory=dict)  # by name
    changes: tuple[Change, ...] = ()  # of scale, between two checkpoints
    updates: tuple[Update, ...] = ()  # of each matrix, between two checkpoints
    models: tuple[SeriesModel, ...] = ()  # of a family
    rankings: tuple[Ranking, ...] = ()  # of these models by each number
    notes: tuple[str, ...] = ()
    failures: Mapping[str, str] = field(default_factory=dict)  # checkpoint -> why it was not read

    @property
    def analysis(self) -> Analysis:
        """The analysis of the only checkpoint.

        Raises:
            MdtreeError: There are several, or none.
        """
        if len(self.checkpoints) != 1:
            raise MdtreeError(f"there are {len(self.checkpoints)} checkpoints, not one")
        return next(iter(self.checkpoints.values()))

    @property
    def table(self) -> list[dict[str, object]]:
        """A line for each layer of each checkpoint, each compared layer, or each ranking."""
        if self.rankings:
            return [dataclasses.asdict(ranking) for ranking in self.rankings]
        if self.changes or self.updates:
            return _comparison(self.changes, self.updates)
        return [
            {"checkpoint": name, **_line(layer)}
            for name, analysis in self.checkpoints.items()
            for layer in analysis.layers
        ]


def examine(
    source: Source, options: WeightOptions, *, progress: Progress = _SILENT
) -> WeightsReport:
    """Analyse a checkpoint, or each of a directory, or of an address of an object storage.

    Raises:
        MdtreeError: There are none, or none can be read.
    """
    with local_copy(source) as local:
        return _examined(local, options, progress)


def _examined(source: Source, options: WeightOptions, progress: Progress) -> WeightsReport:
    sources = all_sources(source)
    analyses: dict[str, Analysis] = {}
    notes: list[str] = []
    failures: dict[str, str] = {}
    for name, one in sources.items():
        try:
            listing = _listing(one, options)
            analyses[name] = _analysed(one, listing, options, progress)
        except MdtreeError as error:
            if len(sources) == 1:
                raise
            failures[name] = str(error)
            continue
        notes += [f"{name}: {note}" for note in listing.notes]
    if not analyses:
        first = next(f"{name}: {reason}" for name, reason in failures.items())
        raise MdtreeError(f"none of the {len(sources)} files in {source} could be read: {first}")
    return WeightsReport(checkpoints=analyses, notes=tuple(notes), failures=failures)


def compare(
    first: Source, second: Source, options: WeightOptions, *, progress: Progress = _SILENT
) -> WeightsReport:
    """Compare two checkpoints: the first is the earlier one.

    An adapter is merged into the other one, which is its base, and so the earlier one; two adapters
    are merged into the bases that they name.

    Raises:
        MdtreeError: They cannot be read, or are not of the same network.
    """
    with local_copy(first) as one, local_copy(second) as other:
        return _compared(one, other, options, progress)


def _compared(
    first: Source, second: Source, options: WeightOptions, progress: Progress
) -> WeightsReport:
    one, other = (only_source(source) for source in (first, second))
    if adapts(one) and not adapts(other):
        one, other = other, one
    before, after = _pair(one, other, options)
    analyses = [
        _analysed(source, listing, options, progress)
        for source, listing in ((one, before), (other, after))
    ]
    layer_changes = changes(analyses[0].layers, analyses[1].layers)
    layer_updates = updates(
        before.tensors, after.tensors, threads=options.threads, progress=progress
    )
    if not layer_changes and not layer_updates:
        raise MdtreeError(
            f"{named(first)} and {named(second)} have no layers with the same name and size: "
            "are they checkpoints of the same network?"
        )
    notes = dict.fromkeys((*before.notes, *after.notes, *_unmatched(before, after)))
    return WeightsReport(changes=layer_changes, updates=layer_updates, notes=tuple(notes))


def _pair(
    one: Source, other: Source, options: WeightOptions
) -> tuple[TensorListing, TensorListing]:
    """List the tensors of an earlier and a later checkpoint under the same names."""
    if not isinstance(other, Path) or not is_adapter(other):
        return _listing(one, options), _listing(other, options)
    if adapts(one):
        first, second = own_bases(one, other)
        return _listing(one, options, base=first), _listing(other, options, base=second)
    if not isinstance(one, Path):
        raise MdtreeError("the base of an adapter must be a file or a folder, to be merged with it")
    return (
        list_base(other, one, trust=options.trust, key=options.key),
        _listing(other, options, base=one),
    )


def rank(table: Path, options: WeightOptions, *, progress: Progress = _SILENT) -> WeightsReport:
    """Rank the models of a CSV table by each number of their weights.

    Raises:
        MdtreeError: The table or a checkpoint in it cannot be read.
    """

    def numbers(file: Path) -> dict[str, float | None]:
        source = only_source(file)
        analysis = _analysed(source, _listing(source, options), options, progress)
        return {name: analysis.mean(name) for name in AVERAGED}

    members = read_series(table, AVERAGED, numbers)
    return WeightsReport(models=tuple(members), rankings=rankings(members))


def _listing(source: Source, options: WeightOptions, base: Path | None = None) -> TensorListing:
    if isinstance(source, str | Path):
        return list_tensors(Path(source), trust=options.trust, key=options.key, base=base)
    content: Mapping[str, Any] = source.state_dict() if isinstance(source, nn.Module) else source
    if isinstance(source, nn.Module):  # its modules may add anything that is not a tensor
        content = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    weights = find_weights(dict(content), key=options.key, name=f"what is {IN_MEMORY}")
    tensors = {name: tensor.cpu() for name, tensor in weights.tensors.items()}
    return TensorListing(tensors=in_memory_tensors(tensors), notes=weights.notes)


def _analysed(
    source: Source, listing: TensorListing, options: WeightOptions, progress: Progress
) -> Analysis:
    analysis = analyse_all(
        listing.tensors,
        options.rules,
        embeddings=options.embeddings,
        threads=options.threads,
        progress=progress,
    )
    if not analysis.layers:
        reasons = sorted({skipped.reason for skipped in analysis.skipped})
        raise MdtreeError(f"{named(source)} holds no weight matrices: {'; '.join(reasons)}")
    return analysis


def _unmatched(before: TensorListing, after: TensorListing) -> list[str]:
    """Name the tensors that cannot be compared: a new head is no part of the update."""
    old, new = ({t.name: t.sizes for t in listing.tensors} for listing in (before, after))
    odd = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    shown = listed([f"{name:.200}" for name in odd], most=_NAMED)
    return [f"not in both, or of other sizes: {shown}"] if odd else []


def _line(layer: Layer) -> dict[str, object]:
    rows, columns = layer.sizes
    return {
        "layer": layer.name,
        "kind": layer.kind,
        "rows": rows,
        "columns": columns,
        "slices": layer.slices,
        **{name: getattr(layer.figures, name) for name in FIGURES},
        "state": layer.state.value,
        "trap": layer.trap,
        "reason": layer.reason,
    }


def _comparison(
    layer_changes: tuple[Change, ...], layer_updates: tuple[Update, ...]
) -> list[dict[str, object]]:
    changed = {change.name: change for change in layer_changes}
    updated = {update.name: update for update in layer_updates}
    lines = []
    for name in dict.fromkeys((*updated, *changed)):
        update, change = updated.get(name), changed.get(name)
        numbers: dict[str, object] = {"layer": name}
        for field_ in dataclasses.fields(Update):
            if field_.name not in ("name", "sizes"):
                numbers[field_.name] = getattr(update, field_.name, None)
        for field_ in dataclasses.fields(Change):
            if field_.name != "name":
                numbers[f"change_{field_.name}"] = getattr(change, field_.name, None)
        numbers["collapsed"] = None if change is None else change.collapsed
        lines.append(numbers)
    return lines
