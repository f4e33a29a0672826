"""Provenance: what a verdict rests on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from mdtree.diagnosis import Basis
from mdtree.messages import plural
from mdtree.render.formatting import sentence, short
from mdtree.render.markup import Markup, joined, tag
from mdtree.render.table import left_out, name_of
from mdtree.rows import PROTOCOLS, Provenance, Row

__all__ = ["origin"]

_MOST = 100  # checkpoints, and notes
_HASH = 12  # letters of a hash that tell one from another


def origin(basis: Basis, row: Row | None) -> Markup:
    """List the tree, the protocol, the data and the versions."""
    pairs = list(_tree(basis))
    if row is not None and row.provenance is not None:
        pairs += _measuring(row.provenance)
    pairs.append(("versions", ", ".join(f"{n} {v}" for n, v in basis.versions.items())))
    return tag("dl", *(joined([tag("dt", name), tag("dd", text)]) for name, text in pairs if text))


def _tree(basis: Basis) -> Iterator[tuple[str, str]]:
    yield "tree", f"{basis.tree} ({basis.method}, task {basis.task})"
    yield "chosen because", sentence(basis.chosen)
    yield "fitted on", f"{plural(basis.groups, 'group')}{f': {basis.data}' if basis.data else ''}"
    yield "right for", basis.accuracy
    meaning = PROTOCOLS.get(basis.protocol)
    yield "protocol", f"{basis.protocol}{f' ({meaning})' if meaning else ''}"


def _measuring(provenance: Provenance) -> Iterator[tuple[str, Markup | str]]:
    weights = [
        tag("span", f"{name_of(name)} ", tag("code", hash_[:_HASH]))
        for name, hash_ in islice(provenance.weights.items(), _MOST)
    ]
    more = left_out(_MOST, len(provenance.weights), "checkpoints")
    yield "checkpoints (sha256)", joined([joined(weights, ", "), more])
    yield "counted once", "; ".join(provenance.counted_once[:_MOST])
    yield "recipe (sha256)", tag("code", provenance.recipe[:_HASH])
    if provenance.data is not None:
        yield "data (sha256)", tag("code", provenance.data[:_HASH])
    yield "metrics", ", ".join(provenance.metrics)
    cost = (
        ""
        if provenance.passes is None
        else f", {short(provenance.passes)} forward passes of one item"
    )
    yield (
        "measured",
        f"on {provenance.device} in {short(provenance.seconds)} s, seed {provenance.seed}{cost}",
    )
    yield "choices", joined((tag("span", sentence(note)) for note in provenance.notes[:_MOST]), " ")
