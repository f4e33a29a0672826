"""The comparison of groups before and after a change: whether it helped as much as promised."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from mdtree.diagnosis.diagnoser import Diagnoser
from mdtree.diagnosis.differences import Difference, NotCompared, differences, not_compared
from mdtree.diagnosis.fact_changes import FactChange, fact_changes
from mdtree.diagnosis.promise import Promise, RealGain, promise_of, real_gain
from mdtree.diagnosis.selection import diagnoser_for
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.exceptions import MdtreeError, ProtocolError, RowsError
from mdtree.messages import plural, shortened
from mdtree.progress import Progress, Silent
from mdtree.rows import Measured, Row
from mdtree.trees import SavedTree

__all__ = ["Compared", "Comparison", "compare_groups", "compare_pair"]

# facts that are chosen for a training
_OF_TRAINING = ("learning_rate", "batch_size", "optimizer", "schedule", "weight_decay")
_FEW = 2  # checkpoints, of which a standard error has a single degree of freedom
_LONGEST_LIST = 300  # characters

_Pair = tuple[Row, Row]
_Verdicts = tuple[Verdict | None, Verdict | None]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One group before and after a change."""

    before: str  # name of the group
    after: str
    places: tuple[str, str] | None = None  # of both sides, where their groups share a name
    protocol: str
    changes: tuple[FactChange, ...]  # facts that are not the same: the change that was made
    verdict_before: Verdict | None  # None: there is no tree for this protocol
    verdict_after: Verdict | None
    promise: Promise
    real: RealGain
    differences: tuple[Difference, ...]
    missing: tuple[NotCompared, ...]
    diverged: tuple[str, ...] = ()  # before, after: sides whose training diverged
    seeds: tuple[int | None, int | None] = (None, None)  # checkpoints of both; None: not known
    notes: tuple[str, ...] = ()  # what to know before trusting the numbers


@dataclass(frozen=True, kw_only=True)
class Compared:
    """All pairs of groups: their comparisons, and why others have none."""

    comparisons: tuple[Comparison, ...]
    failures: Mapping[str, str] = field(default_factory=dict)  # group -> reason
    unchanged: tuple[str, ...] = ()  # groups whose rows are the same before and after


def compare_groups(
    pairs: Iterable[tuple[Row, Row]],
    *,
    tree: SavedTree | str | None = None,
    confidence: float | None = None,
    seed: int = 0,
    allow_protocol_mismatch: bool = False,
    places: tuple[str, str] | None = None,
    progress: Progress | None = None,
) -> Compared:
    """Compare pairs of groups; one that cannot be compared does not stop the others.

    Args:
        pairs: Rows before and after, as `pairs_of` finds them.
        tree: A tree, its name or its file; None: the default for the rows' protocol.
        confidence: The probability below which a verdict is `unsure`; None: the usual one.
        seed: The seed of resampling.
        allow_protocol_mismatch: Use a tree of another protocol as well, with a warning.
        places: What both sides are called where their groups have the same name.
        progress: Gets a step for each pair that was compared.

    Raises:
        MdtreeError: If no pair can be compared.

    """
    progress = progress or Silent()
    pairs = list(pairs)
    unchanged = [one.group for one, other in pairs if one == other and len(pairs) > 1]
    left_out = {*unchanged}
    found: list[_Pair] = []
    failures: dict[str, str] = {}
    errors: list[MdtreeError] = []
    for before, after in pairs:
        if before.group in left_out:
            continue
        try:
            _check(before, after)
            found.append((before, after))
        except MdtreeError as error:
            failures[before.group] = str(error)
            errors.append(error)
    if not found:
        raise errors[0] if errors else MdtreeError("there are no groups to compare")
    rows = [row for pair in found for row in pair]
    try:
        diagnoser: Diagnoser | str = diagnoser_for(
            rows,
            tree,
            confidence=confidence,
            seed=seed,
            allow_protocol_mismatch=allow_protocol_mismatch,
        )
    except ProtocolError as error:
        if tree is not None:
            raise
        diagnoser = str(error)
    progress.start(len(found))
    comparisons = []
    for pair, verdicts in zip(found, _verdicts(found, diagnoser), strict=True):
        why = diagnoser if isinstance(diagnoser, str) else None
        found_one = _comparison(pair, verdicts, why)
        if found_one.before == found_one.after:
            found_one = replace(found_one, places=places)
        comparisons.append(found_one)
        progress.step(pair[0].group)
    return Compared(comparisons=tuple(comparisons), failures=failures, unchanged=tuple(unchanged))


def compare_pair(before: Row, after: Row, diagnoser: Diagnoser | str) -> Comparison:
    """Compare two rows; without a diagnoser, a text says why there is none.

    Raises:
        ProtocolError: If they were measured in different ways.
        RowsError: If they are the same row, or nothing was measured in both.
        MdtreeError: If one of them could not be measured.

    """
    _check(before, after)
    pair = before, after
    (verdicts,) = _verdicts([pair], diagnoser)
    return _comparison(pair, verdicts, diagnoser if isinstance(diagnoser, str) else None)


def _verdicts(pairs: Sequence[_Pair], diagnoser: Diagnoser | str) -> Iterator[_Verdicts]:
    """Yield the verdicts of each pair; a row of several pairs is diagnosed once."""
    if isinstance(diagnoser, str):
        yield from ((None, None) for _ in pairs)
        return
    distinct = {id(row): row for pair in pairs for row in pair}
    coming = zip(distinct, diagnoser.verdicts(list(distinct.values())), strict=True)
    known: dict[int, Verdict] = {}
    for before, after in pairs:
        while not {id(before), id(after)} <= known.keys():
            number, verdict = next(coming)
            known[number] = verdict
        yield known[id(before)], known[id(after)]


def _comparison(pair: _Pair, verdicts: _Verdicts, why: str | None) -> Comparison:
    """Compare two rows whose verdicts are known; `why` says why there are none."""
    before, after = pair
    found = differences(before.quantities, after.quantities)
    changes = fact_changes(before.facts, after.facts)
    real = real_gain(before, after, found)
    return Comparison(
        before=before.group,
        after=after.group,
        protocol=before.protocol,
        changes=changes,
        verdict_before=verdicts[0],
        verdict_after=verdicts[1],
        promise=promise_of(verdicts[0], changes, real, why),
        real=real,
        differences=found,
        missing=not_compared(before.quantities, after.quantities),
        diverged=_diverged(before, after),
        seeds=(_checkpoints(before), _checkpoints(after)),
        notes=tuple(_notes(before, after, changes)),
    )


def _check(before: Row, after: Row) -> None:
    """Refuse what says nothing about a change."""
    if before.protocol != after.protocol:
        raise ProtocolError(
            f"{before.group!r:.100} was measured under protocol {before.protocol:.100} before, "
            f"{after.group!r:.100} under {after.protocol:.100} after, and their numbers are not "
            "comparable: measure one of them again with the other's --protocol; of a file that "
            "holds both, name one with --protocol"
        )
    if before == after:
        raise RowsError(
            f"before and after are the same row, of group {before.group!r:.100}: name another file "
            "or another group"
        )
    for side, row in (("before", before), ("after", after)):
        if not row.has_numbers and not row.is_diverged:
            reason = row.failure.reason if row.failure else "its row holds no number"
            raise MdtreeError(f"{side}: group {row.group!r:.100} was not measured: {reason}")
    shared = _measured(before) & _measured(after)
    if not shared and not (before.is_diverged or after.is_diverged):
        raise RowsError(
            f"{before.group!r:.100} and {after.group!r:.100} share no measured quantity: before "
            f"has {_listed(before)}; after has {_listed(after)}: measure the same metrics of both"
        )


def _measured(row: Row) -> set[str]:
    return {name for name, value in row.quantities.items() if isinstance(value, Measured)}


def _listed(row: Row) -> str:
    return shortened(", ".join(sorted(_measured(row))), _LONGEST_LIST)


def _diverged(before: Row, after: Row) -> tuple[str, ...]:
    return tuple(n for n, row in (("before", before), ("after", after)) if row.is_diverged)


def _notes(before: Row, after: Row, changes: Sequence[FactChange]) -> Sequence[str]:
    """Say what makes differences mean less than they seem to."""
    sides = {"before": before, "after": after}
    notes = [
        f"training {side} diverged, so nothing was measured of it"
        for side in _diverged(before, after)
    ]
    single, few = (
        " and ".join(side for side, row in sides.items() if _checkpoints(row) == count)
        for count in (1, _FEW)
    )
    if single:
        notes.append(
            f"a single checkpoint {single}: its standard errors are those of the evaluation, and "
            "do not tell how much another seed would differ"
        )
    if few:
        notes.append(
            f"two checkpoints {few}: their spread is itself rough, so that p-values are, too; a "
            "third seed helps"
        )
    one_sided = {change.fact for change in changes if not change.is_known}
    unknown = ", ".join(name for name in _OF_TRAINING if name in one_sided)
    if unknown:
        notes.append(f"known on one side only, so it may have changed, too: {unknown}")
    one, other = before.provenance, after.provenance
    if one is not None and other is not None:
        shared = {*one.weights.values()} & {*other.weights.values()}
        if shared:
            notes.append(f"{plural(len(shared), 'checkpoint')} of before and after: the same file")
        if one.data != other.data:
            notes.append(
                "the data files are not the same: differences may come from the items that were "
                "measured, unless the test items are the same"
            )
    return notes


def _checkpoints(row: Row) -> int | None:
    """Return how many checkpoints a row is about; None where it does not say so."""
    if row.provenance is not None:
        return len(row.provenance.weights)
    counts = {
        len(value.members)
        for value in row.quantities.values()
        if isinstance(value, Measured) and value.members is not None
    }
    return max(counts) if counts else None
