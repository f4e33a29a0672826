"""Remarks on a verdict, each with the code of its check, and the case that all checks look at."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

from mdtree.diagnosis.checks import Status
from mdtree.diagnosis.missing import not_run
from mdtree.diagnosis.verdict_record import Verdict
from mdtree.labelling import number_of
from mdtree.rows import QUANTITIES, Measured, Row, remaining
from mdtree.rows.facts import ITEMS_OF_DATA, LATE_GAIN, LATE_LOSS_DROP
from mdtree.trees import FEATURES, Leaf, SavedTree

__all__ = [
    "Case",
    "Look",
    "Outcome",
    "Remark",
    "disagreement",
    "ended_early",
    "is_stable",
    "remarks_on",
    "roughness",
    "second_half",
    "worse_than_chance",
]

_ERRORS = 4.0  # standard errors, beyond which a difference is not chance
_UNDECIDED = 1.1  # times the loss of chance: a network that has hardly begun to learn is near it
_WORSE = 2.0  # points above chance: a network that knows one class alone is there as well
# what a training that has come to rest does not bring in its second half (scripts/study_length.py)
_RISE = 3.0  # points of test accuracy
_NOISE = 2.0  # standard errors of the test error, at least
_DROP, _DROP_ALONE = 3.0, 5.0  # percent of the test loss, beside the accuracy and alone
_STABLE = 0.9  # share of resamples with the same answer from which error bars do no harm


@dataclass(frozen=True)
class Remark:
    """A warning of a verdict."""

    code: str
    text: str


def remarks_on(saved: SavedTree, row: Row, *others: Remark | None) -> tuple[Remark, ...]:
    """Return all remarks, those on the tree first, those on the row last."""
    return tuple(_remarks(saved, row, *others))


def _remarks(saved: SavedTree, row: Row, *others: Remark | None) -> Iterator[Remark]:
    if "WARNING" in saved.provenance:
        yield Remark("MD203", saved.provenance["WARNING"])
    yield from (remark for remark in others if remark is not None)
    if row.protocol != saved.protocol:
        yield Remark(
            "MD203",
            f"the tree was fitted to protocol {saved.protocol}, but the row has protocol "
            f"{row.protocol}",
        )
    if row.failure is None and not_run(row):
        yield Remark(
            "MD306", "no network was run, and verdicts from files alone are wrong more often"
        )
    yield from _other_amount(row)
    fault = worse_than_chance(row)
    if fault is not None:
        yield Remark("MD405", f"{fault}: are the labels wrong, or in another order?")
    if row.failure is not None:
        problem = (
            "the numbers come from an earlier measurement; a later attempt failed"
            if row.outlived
            else "the group was only partly measured"
        )
        yield Remark("MD304", f"{problem}: {row.failure.reason}")


def _other_amount(row: Row) -> Iterator[Remark]:
    """Yield what settings tell against the number of training items that the data hold."""
    amount = number_of(row, "data_amount")
    if row.provenance is None or amount is None:
        return
    used = f"{ITEMS_OF_DATA} {amount:.15g}:"  # not so where the user has stated another number
    yield from (Remark("MD402", note) for note in row.provenance.notes if used in note)


def ended_early(row: Row, likely: str) -> Remark | None:
    """Return a remark if training ended early, and no step was too large.

    Where steps are too large, a falling learning rate or chance lets the accuracy rise late, and
    training longer helped half as often as elsewhere.
    """
    is_early, brought = second_half(row) or (False, "")
    if not is_early or likely == "temperature_high":
        return None
    steps = ", or in larger steps," if likely == "temperature_low" else ""
    return Remark("MD407", f"{brought}: train longer{steps} before you change anything else")


def worse_than_chance(row: Row) -> str | None:
    """Return by how much a network is worse than naming the most frequent class, if it is."""
    error, chance = (row.quantities.get(name) for name in ("test_error", "chance_error"))
    if not isinstance(error, Measured) or not isinstance(chance, Measured):
        return None
    if not chance.value:  # all test items are of one class, so any error would be worse
        return None
    if error.value - chance.value <= _ERRORS * (error.stderr or 0.0) + _WORSE:
        return None
    loss, by_chance = (row.quantities.get(name) for name in ("test_loss", "chance_loss"))
    if (
        isinstance(loss, Measured)
        and isinstance(by_chance, Measured)
        and loss.value <= _UNDECIDED * by_chance.value
    ):
        return None  # it has hardly begun to learn: what wrong labels teach is told with confidence
    return f"test error {error.value:.1f} %, that of chance {chance.value:.1f} %"


def second_half(row: Row) -> tuple[bool, str] | None:
    """Return whether a training ended early, and what its second half brought, if a log tells."""
    gain, drop = number_of(row, LATE_GAIN), number_of(row, LATE_LOSS_DROP)
    texts = []
    if gain is not None:
        texts.append(
            f"the test accuracy rose by {gain:.1f} points"
            if gain
            else "the test accuracy no longer rose"
        )
    if drop is not None:
        texts.append(
            f"the test loss fell by {drop:.1f} %" if drop else "the test loss no longer fell"
        )
    if not texts:
        return None
    error = row.quantities.get("test_error")
    noise = (error.stderr or 0.0) if isinstance(error, Measured) else 0.0
    least = _DROP_ALONE if gain is None else _DROP
    is_early = (gain is None or gain >= max(_RISE, _NOISE * noise)) and (
        drop is None or drop >= least
    )
    return is_early, f"{' and '.join(texts)} in the second half of training, by its log"


def disagreement(saved: SavedTree, leaf: Leaf, likely: str) -> Remark | None:
    """Return a remark if the tree that explains and the regression that decides disagree."""
    if saved.gain_model is None or leaf.answer == likely:
        return None
    return Remark(
        "MD204",
        f"the reasons shown are the path through a single tree, which ends at {leaf.answer}; the "
        f"likeliest answer, {likely}, comes from a regression that weighs all measurements at once",
    )


def is_stable(stability: float) -> bool:
    """Return whether so few resamples change the answer that error bars do no harm."""
    return stability >= _STABLE


def roughness(features: Collection[str], row: Row, stability: float | None) -> Remark | None:
    """Return a remark if measurements are too rough for a stable verdict.

    `features` are those that the tree asks for.
    """
    if stability is None or is_stable(stability):
        return None
    needs = {need for name in features for need in FEATURES[name].needs}
    stopped = remaining(row)  # on purpose: the verdict needs no more
    rough = [
        name
        for name, value in row.quantities.items()
        if name in needs
        and QUANTITIES[name].metric == "hessian"  # a curve has as many steps as it may take
        and isinstance(value, Measured)
        and value.converged is False
        and name not in stopped
    ]
    if not rough:
        return None
    return Remark(
        "MD301",
        f"{', '.join(rough)} did not reach the tolerance, and within the error bars another "
        "answer is possible: more seeds make them smaller, and a higher --hessian-limit lets the "
        "measurement go on",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """All that is known when a group is checked."""

    verdict: Verdict
    row: Row
    remarks: Mapping[str, str]  # code -> text
    decided: str | None  # why no tree was asked: one finding decided; None: a tree was


Outcome = tuple[Status, str]  # the message is that of a `CheckResult`
Look = Callable[[Case], Outcome]
