"""The decision path: the steps of a verdict as a list, and the tree with its path highlighted."""

from __future__ import annotations

from collections.abc import Iterator

from mdtree.diagnosis import DecisionStep, Verdict
from mdtree.render.formatting import question, sentence
from mdtree.render.markup import Markup, tag
from mdtree.render.section import section
from mdtree.render.tree import tree_svg
from mdtree.trees import SavedTree

__all__ = ["walk"]

_NEAR = 2.0  # standard errors within which an answer may well be the other one


def walk(verdict: Verdict, saved: SavedTree | None) -> Markup:
    """Say why: question by question, and as a picture."""
    lead = "The way of this group through the tree, question by question."
    if verdict.agreement is not None:
        lead += (
            " The verdict is the average over all plausible trees; this is the most probable one."
        )
    steps = [_step(step) for step in verdict.clues]
    return section(
        "Why",
        lead,
        tag("ol", *steps, class_="walk") if steps else None,
        None if saved is None else _tree(verdict, saved),
    )


def _step(step: DecisionStep) -> Markup:
    return tag("li", sentence(step.says), *(tag("small", text) for text in _distance(step)))


def _distance(step: DecisionStep) -> Iterator[str]:
    if step.flips_at is None:
        return
    if step.is_far:
        yield "Far from the other answer."
    else:
        remark = " It could well be the other one." if step.flips_at < _NEAR else ""
        yield f"{step.flips_at:.1f} standard errors from the other answer.{remark}"


def _tree(verdict: Verdict, saved: SavedTree) -> Markup:
    return tag(
        "figure",
        tag(
            "div",
            tree_svg(saved.tree, walked=[step.went for step in verdict.clues], say=question),
            class_="scroll",
            role="group",
            tabindex=0,
            aria_label="the tree; scrolls sideways where it is too wide",
        ),
        tag(
            "figcaption",
            "A leaf tells how many of the training groups that ended there have its answer.",
        ),
    )
