"""A verdict as people read it, on the terminal, in Markdown and on the page alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from mdtree.failure_modes import FAILURE_MODES
from mdtree.messages import chance, percent, plural
from mdtree.render.formatting import COARSE, feature_name, points

if TYPE_CHECKING:
    from mdtree.diagnosis import DecisionStep, MissingMeasurement, Verdict

__all__ = [
    "answer",
    "basis",
    "by_probability",
    "caution",
    "flips",
    "gains_title",
    "judged_before",
    "margin",
    "meaning",
    "prediction_set",
    "resources",
    "scale_of_gains",
    "support",
    "target",
]


def answer(verdict: Verdict) -> str:
    """Write the verdict in a word; an unsure one with what is most probable."""
    return verdict.mode if verdict.sure else f"unsure ({verdict.likely}?)"


def by_probability(verdict: Verdict) -> list[tuple[str, str]]:
    """Return each answer with its probability, the most probable first."""
    shares = sorted(verdict.probabilities.items(), key=lambda item: -item[1])
    return [(name, chance(share)) for name, share in shares]


def caution(verdict: Verdict) -> str | None:
    """Write how far a group is from those that the tree knows; None: it is among them."""
    outlier = verdict.outlier
    if outlier is None or not outlier.outside:
        return None
    names = ", ".join(map(feature_name, outlier.beyond))
    if outlier.distance <= outlier.limit:
        return (
            f"this group is outside the range of all that the tree was fitted to, in {names} "
            f"(distance {outlier.distance:.2f}, usually up to {outlier.limit:.2f}): "
            f"{judged_before(verdict)}"
        )
    beyond = f"; outside their range: {names}" if names else ""
    return (
        f"this group is unlike those that the tree was fitted to (distance "
        f"{outlier.distance:.2f}, usually up to {outlier.limit:.2f}{beyond}): "
        f"{judged_before(verdict)}"
    )


def judged_before(verdict: Verdict) -> str:
    """Write what a verdict is worth on a group that is unlike the known ones."""
    if verdict.is_untested:
        return "treat the verdict as a hint only"
    return "on such groups of zoos left out, verdicts were right as often as on others"


def margin(step: DecisionStep) -> str:
    """Write how far a step of the walk is from going the other way, to append."""
    if step.flips_at is None:
        return ""
    if step.is_far:
        return " [far from flipping]"
    return f" [{step.flips_at:.1f} standard errors from flipping]"


def flips(missing: MissingMeasurement) -> str:
    """Write how much a missing metric matters."""
    return f"{chance(missing.flips)} chance of changing the most probable answer"


def gains_title(verdict: Verdict) -> str:
    """Write what the table of gains shows."""
    return f"what each single change gained groups like this one, {scale_of_gains(verdict)}:"


def basis(verdict: Verdict) -> str:
    """Write which tree a verdict is based on, and why that one."""
    tree = verdict.basis
    return (
        f"{tree.tree} ({tree.method}, {tree.task}, protocol {tree.protocol}, "
        f"{plural(tree.groups, 'group')}): {tree.chosen}"
    )


def resources(verdict: Verdict) -> str | None:
    """Compare more data with a larger network, the most frequent question, for any verdict."""
    if verdict.resources is None:
        return None
    gains = {gain.mode: gain for gain in verdict.gains}
    changes = {"data_small": "more data", "model_small": "a larger network"}
    first, second = sorted(changes, key=lambda mode: mode != verdict.resources)
    return (
        f"more data or a larger network? {changes[first]}: {points(gains.get(first), 'points')}; "
        f"{changes[second]}: {points(gains.get(second))}"
    )


def meaning(verdict: Verdict) -> str:
    """Write what the answer of a sure verdict means; `none` is measured against a target."""
    target = verdict.target
    if verdict.mode != "none" or target is None or target.gap is None:
        return FAILURE_MODES[verdict.mode]
    return "the target is reached" if target.is_reached else "nothing here closes the gap"


def target(verdict: Verdict) -> str | None:
    """Write how far off the target is, if there is one."""
    target = verdict.target
    if target is None:
        return None
    aim = "unknown" if target.accuracy is None else f"{target.accuracy:.10g} %"
    name = f"target: {aim} test accuracy"
    if target.measured is None or target.gap is None or target.noise is None:
        return f"{name}; nothing to compare it with: {target.missing}"
    now = f"measured {target.measured:.1f} %"
    if target.is_reached:
        return f"{name}; {now}: reached{', within the noise' if target.gap else ''}"
    noise = f" (noise: {target.noise:.1f} points)" if target.noise else ""
    return f"{name}; {now}, {target.gap:.1f} points below it{noise}"


def scale_of_gains(verdict: Verdict) -> str:
    """Write what gains are measured in, or against."""
    target = verdict.target
    if target is None or target.gap is None:
        return "in points of test accuracy"
    return f"of the {target.gap:.1f} points to the target"


def prediction_set(verdict: Verdict) -> str | None:
    """Write the prediction set of the largest coverage.

    That of a smaller one may hold a single answer which is improbable: it covers as many groups
    over all, because it covers those with a sure answer more often.
    """
    if not verdict.answers:
        return None
    coverage = max(verdict.answers, key=float)
    answers = " or ".join(verdict.answers[coverage])
    return f"{percent(float(coverage))} prediction set: {answers}"


def support(verdict: Verdict) -> Iterator[str]:
    """Yield the share of plausible trees and of resamples that give the answer, as far as known.

    Then what was measured less precisely than usual.
    """
    if verdict.agreement is not None:
        yield f"{percent(verdict.agreement)} of the plausible trees give this answer"
    if verdict.stability is not None:
        yield f"stable in {percent(verdict.stability)} of resamples within measurement error"
    if verdict.coarse:
        names = ", ".join(name.replace("_", " ") for name in verdict.coarse)
        yield f"{COARSE}: {names} (--full-precision goes on to the tolerance)"
