"""Checks of the verdict: what it is (MD1xx), and whether it can be trusted (MD2xx)."""

from __future__ import annotations

from functools import partial

from mdtree.diagnosis.checks import MODE_CODES
from mdtree.diagnosis.diverged import why_diverged
from mdtree.diagnosis.remarks import Case, Look, Outcome, is_stable
from mdtree.failure_modes import FAILURE_MODES
from mdtree.messages import chance, listed, percent

__all__ = ["LOOKS_AT_VERDICT"]


def _mode(mode: str, case: Case) -> Outcome:
    verdict = case.verdict
    if mode == verdict.mode:
        return "found", f"{FAILURE_MODES[mode]} (probability {percent(verdict.probability)})"
    if case.decided is not None:
        return "not_checked", case.decided
    share = verdict.probabilities.get(mode)
    if share is None:
        return "not_checked", f"the tree does not ask for it (task {verdict.basis.task})"
    if not verdict.sure:
        return "not_checked", f"the verdict is unsure; probability {chance(share)}"
    return "passed", f"probability {chance(share)}"


def _unsure(case: Case) -> Outcome:
    verdict = case.verdict
    if not verdict.sure:
        return "found", "; ".join(verdict.why_unsure)
    needs = f"a verdict needs {percent(verdict.confidence)}"
    return "passed", f"{verdict.mode} has {percent(verdict.probability)}, {needs}"


def _diverged(case: Case) -> Outcome:
    if case.row.is_diverged:
        return "found", why_diverged(case.row)
    if not case.row.has_numbers:
        return "not_checked", "nothing was measured"
    return "passed", "the networks could be measured"


def _partly(case: Case) -> Outcome:
    diverged = case.row.diverged
    if diverged is not None and diverged.is_part:
        return "found", diverged.says
    if case.row.is_diverged:
        return "passed", "no other network of the group is known"
    return "passed", "no network is known to have diverged"


def _target(case: Case) -> Outcome:
    target = case.verdict.target
    if target is None:
        return "not_checked", "no target was named"
    if target.measured is None or target.gap is None:
        return "not_checked", target.missing or "the test accuracy is not known"
    numbers = f"target {target.accuracy:.10g} %, measured {target.measured:.1f} %"
    if target.is_reached:
        return "passed", numbers
    return "found", f"{numbers}: {target.gap:.1f} points are missing"


def _outlier(case: Case) -> Outcome:
    outlier = case.verdict.outlier
    if case.decided is not None:
        return "not_checked", case.decided
    if outlier is None:
        return "not_checked", "the distance to the training groups cannot be computed"
    distance = f"distance {outlier.distance:.2f}, usually up to {outlier.limit:.2f}"
    if not outlier.outside:
        return "passed", distance
    beyond = f"; outside their range: {listed(outlier.beyond)}" if outlier.beyond else ""
    return "found", f"unlike the groups that the tree was fitted to: {distance}{beyond}"


def _unstable(case: Case) -> Outcome:
    stability = case.verdict.stability
    if stability is None:
        return "not_checked", case.decided or "the measurements have no error bars"
    share = f"{percent(stability)} of resamples within measurement error give the same answer"
    return ("passed" if is_stable(stability) else "found"), share


def _protocol(case: Case) -> Outcome:
    if "MD203" in case.remarks:
        return "found", case.remarks["MD203"]
    if case.row.is_diverged:
        return "not_checked", case.decided or ""
    return "passed", f"protocol {case.verdict.basis.protocol}"


def _disagrees(case: Case) -> Outcome:
    verdict = case.verdict
    if "MD204" in case.remarks:
        return "found", case.remarks["MD204"]
    if case.decided is not None:
        return "not_checked", case.decided
    if verdict.basis.method != "gains":
        return "not_checked", "the tree that explains decides"
    return "passed", f"both say {verdict.likely}"


def _close(case: Case) -> Outcome:
    known = [step for step in case.verdict.clues if step.flips_at is not None]
    if not known:
        return "not_checked", case.decided or "no step of the path has an error bar"
    close = [step for step in known if step.is_close]
    if close:
        texts = [f"{step.feature}: {step.flips_at:.1f} standard errors" for step in close]
        return "found", f"close to the threshold: {listed(texts)}"
    nearest = min(step.flips_at for step in known if step.flips_at is not None)
    return "passed", f"at least {nearest:.1f} standard errors from a threshold"


# code -> what decides
LOOKS_AT_VERDICT: dict[str, Look] = {
    **{MODE_CODES[mode]: partial(_mode, mode) for mode in FAILURE_MODES if mode in MODE_CODES},
    "MD110": _unsure,
    "MD111": _diverged,
    "MD112": _partly,
    "MD120": _target,
    "MD201": _outlier,
    "MD202": _unstable,
    "MD203": _protocol,
    "MD204": _disagrees,
    "MD205": _close,
}
