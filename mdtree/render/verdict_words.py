"""Parts of a verdict as people read them, on the terminal and in Markdown alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mdtree.messages import plural
from mdtree.render.formatting import chance, feature_name, scale_of_gains

if TYPE_CHECKING:
    from mdtree.diagnosis import DecisionStep, MissingMeasurement, Verdict

__all__ = ["answer", "basis", "by_probability", "caution", "flips", "gains_title", "margin"]


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
    beyond = f"; outside their range: {names}" if names else ""
    return (
        f"this group is unlike those that the tree was fitted to (distance "
        f"{outlier.distance:.2f}, usually up to {outlier.limit:.2f}{beyond})"
    )


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
