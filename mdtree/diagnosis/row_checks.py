"""Checks of the row: what was measured (MD3xx), and whether it is what it seems to be (MD4xx)."""

from __future__ import annotations

import math

from mdtree.diagnosis.missing import FACTS, PAIRS, not_run
from mdtree.diagnosis.remarks import Case, Look, Outcome, second_half
from mdtree.labelling import number_of
from mdtree.messages import listed, percent, plural
from mdtree.rows import (
    MAYBE_ONE_RUN,
    QUANTITIES,
    TARGET,
    Measured,
    Missing,
    Row,
    remaining,
)

__all__ = ["LOOKS_AT_ROW", "SNAPSHOTS"]

SNAPSHOTS = "SnapshotsError"  # the failure of a group whose checkpoints are no seeds

_OF_TOKENS = ("train_perplexity", "test_perplexity")  # known where tokens are predicted
_ERRORS = 4.0  # standard errors, beyond which a difference of accuracies is not chance
_BETTER = 1.0  # points, by which a simple classifier must be better beside the noise
_ELSEWHERE = 5.0  # points, that other test data may be easier or harder
_LEAST = 0.5  # percent; a smaller chance is written as under 1 %


def _not_measured(case: Case) -> Outcome:
    if case.row.has_numbers or case.row.is_diverged:
        return "passed", "there is a verdict"
    return "found", "nothing was measured"


def _converged(case: Case) -> Outcome:
    if "MD301" in case.remarks:
        return "found", case.remarks["MD301"]
    if case.decided is not None:
        return "not_checked", case.decided
    of_hessian = {
        name: value
        for name, value in case.row.quantities.items()
        if name in QUANTITIES and QUANTITIES[name].metric == "hessian"
    }
    stopped = of_hessian.keys() & remaining(case.row)  # on purpose: the verdict needs no more
    flags = [
        value.converged
        for name, value in of_hessian.items()
        if isinstance(value, Measured) and value.converged is not None and name not in stopped
    ]
    if not flags and not stopped:
        return "not_checked", "no measurement of the Hessian says whether it converged"
    if all(flags):
        return (
            "passed",
            f"the tolerance{' or what the verdict needs' if stopped else ''} was reached",
        )
    if case.verdict.stability is None:
        return "not_checked", "without error bars, the effect on the answer is not known"
    return "passed", "not all reached the tolerance, but the answer does not hang on it"


def _checkpoints(case: Case) -> Outcome:
    count = _count(case.row)
    if count is None:
        return "not_checked", "the number of checkpoints is not known"
    if count == 1:
        return "found", "one checkpoint: add one of a second seed"
    return "passed", f"at least {plural(count, 'checkpoint')}"


def _count(row: Row) -> int | None:
    """Return the number of checkpoints, as far as a row tells it."""
    if row.provenance is not None and row.provenance.weights:
        return len(row.provenance.weights)
    values = row.quantities.values()
    most = max((len(v.members or ()) for v in values if isinstance(v, Measured)), default=0)
    if most:
        return most
    if any(isinstance(value, Missing) and value.missing.startswith(PAIRS) for value in values):
        return 1
    return None


def _open(case: Case) -> Outcome:
    if case.decided is not None:
        return "not_checked", case.decided
    missed = [each for each in case.verdict.missed if each.metric != FACTS]
    texts = [
        f"{each.metric} ({percent(each.flips)}): {each.reason}"
        for each in missed
        if 100 * each.flips >= _LEAST
    ]
    if texts:
        return "found", f"not known, with the chance of another answer: {listed(texts, '; ')}"
    names = f"without effect: {listed([each.metric for each in missed])}" if missed else ""
    return "passed", names or "every metric that the tree asks for is known"


def _facts(case: Case) -> Outcome:
    if case.decided is not None:
        return "not_checked", case.decided
    missed = [each for each in case.verdict.missed if each.metric == FACTS]
    texts = [f"{listed(each.features)} ({each.reason})" for each in missed]
    if case.verdict.gains and _predicts_tokens(case.row) and TARGET not in case.row.facts:
        texts.append(
            f"{TARGET} (no training makes every token right, and the gains know no floor: name "
            "the token accuracy that is achievable with --target, if you know it)"
        )
    if not texts:
        return "passed", "every fact that the tree asks for is known"
    return "found", f"not known: {listed(texts, '; ')}"


def _predicts_tokens(row: Row) -> bool:
    return any(isinstance(row.quantities.get(name), Measured) for name in _OF_TOKENS)


def _attempt(case: Case) -> Outcome:
    if "MD304" in case.remarks:
        return "found", case.remarks["MD304"]
    return "passed", "no attempt to measure the group failed"


def _files(case: Case) -> Outcome:
    row = case.row
    if not row.has_numbers:
        return "not_checked", "nothing was measured"
    if not_run(row):
        said = case.remarks.get("MD306", "no network was run")
        return "found", f"{said}: name data and model, or a recipe, to measure"
    return "passed", "the networks were run"


def _quantities(case: Case) -> Outcome:
    if not case.row.quantities or case.row.is_diverged:
        return "not_checked", "nothing was measured"
    reasons: dict[str, list[str]] = {}
    for name, value in case.row.quantities.items():
        if isinstance(value, Missing) and not value.missing.startswith(PAIRS):
            reasons.setdefault(value.missing, []).append(name)
    if not reasons:
        return "passed", "all metrics that were measured gave their numbers"
    return "found", listed(
        [f"{listed(names)}: {reason}" for reason, names in reasons.items()], "; "
    )


def _copies(case: Case) -> Outcome:
    origin = case.row.provenance
    if origin is None:
        return "not_checked", "the row does not say which files it is about"
    if not origin.counted_once:
        return "passed", f"{plural(len(origin.weights), 'file')} with different weights"
    return "found", f"counted once: {listed(origin.counted_once, '; ')}"


def _choices(case: Case) -> Outcome:
    origin = case.row.provenance
    if origin is None:
        return "not_checked", "the row does not say how it was measured"
    if not origin.notes:
        return "passed", "there was nothing to choose"
    return "found", listed(origin.notes, "; ")


def _snapshots(case: Case) -> Outcome:
    row = case.row
    if row.failure is not None and row.failure.kind == SNAPSHOTS:
        return "found", row.failure.reason
    if row.provenance is None:
        return "not_checked", "the row does not say which files it is about"
    open_notes = [note for note in row.provenance.notes if MAYBE_ONE_RUN in note]
    if open_notes:
        return "not_checked", listed(open_notes, "; ")
    return "passed", "nothing says that they are snapshots of one run"


def _accuracy(case: Case) -> Outcome:
    known, error = number_of(case.row, "test_accuracy"), case.row.quantities.get("test_error")
    if not isinstance(error, Measured):
        return "not_checked", "the test error was not measured"
    if known is None:
        return "not_checked", "the fact test_accuracy is not known"
    measured = 100 - error.value
    numbers = f"measured {measured:.1f} %, the fact says {known:.1f} %"
    is_far = abs(measured - known) > _ERRORS * (error.stderr or 0.0) + _ELSEWHERE
    return ("found" if is_far else "passed"), f"test accuracy: {numbers}"


def _chance(case: Case) -> Outcome:
    error, chance = (case.row.quantities.get(name) for name in ("test_error", "chance_error"))
    if not isinstance(error, Measured) or not isinstance(chance, Measured):
        return "not_checked", "the test error or that of chance is not known"
    if not chance.value:
        return "not_checked", "all test items are of one class"
    if "MD405" in case.remarks:
        return "found", case.remarks["MD405"]
    return "passed", f"test error {error.value:.1f} %, that of chance {chance.value:.1f} %"


def _baseline(case: Case) -> Outcome:
    error, simple = (case.row.quantities.get(name) for name in ("test_error", "baseline_error"))
    if not isinstance(error, Measured) or not isinstance(simple, Measured):
        return "not_checked", "the test error or that of a simple classifier is not known"
    noise = math.hypot(error.stderr or 0.0, simple.stderr or 0.0)
    is_worse = error.value - simple.value > _ERRORS * noise + _BETTER
    numbers = f"test error {error.value:.1f} %, that of a simple classifier {simple.value:.1f} %"
    return ("found" if is_worse else "passed"), numbers


def _early(case: Case) -> Outcome:
    known = second_half(case.row)
    if known is None:
        return (
            "not_checked",
            "no log of at least four evaluations is known to reach the end of training",
        )
    if "MD407" in case.remarks:
        return "found", case.remarks["MD407"]
    is_early, brought = known
    return "passed", f"{brought}, while its steps seem too large" if is_early else brought


# code -> what decides
LOOKS_AT_ROW: dict[str, Look] = {
    "MD300": _not_measured,
    "MD301": _converged,
    "MD302": _checkpoints,
    "MD303": _open,
    "MD304": _attempt,
    "MD305": _facts,
    "MD306": _files,
    "MD307": _quantities,
    "MD401": _copies,
    "MD402": _choices,
    "MD403": _snapshots,
    "MD404": _accuracy,
    "MD405": _chance,
    "MD406": _baseline,
    "MD407": _early,
}
