"""Pictures of what was measured: the landscape between and around the networks, and the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mdtree.render.correlation_flow import flow
from mdtree.render.curves import density, profile
from mdtree.render.markup import Markup, tag
from mdtree.render.matrix import layers_matrix, members_matrix
from mdtree.render.section import section
from mdtree.rows import Row

__all__ = ["pictures"]


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """What may be drawn of a row, and what is to be seen there."""

    title: str
    told: str
    draw: Callable[[Row], Markup | None]


_PICTURES = (
    _Picture(
        title="Connectivity: error",
        told=(
            "Along the trained curve (solid) and the straight line (dashed) between networks that "
            "differ by seed alone. A hill between the ends is a barrier."
        ),
        draw=partial(profile, column="train_error", label="training error, %"),
    ),
    _Picture(
        title="Connectivity: loss",
        told="The same ways, seen by the loss, which still differs where all errors are zero.",
        draw=partial(profile, column="train_loss", label="training loss"),
    ),
    _Picture(
        title="Spectral density of the Hessian",
        told=(
            "How the curvature of the loss is spread: most directions are flat, the few far to "
            "the right are steep. Dots are what Lanczos found, the line is their smooth sum."
        ),
        draw=density,
    ),
    _Picture(
        title="Correlation flow of the weights",
        told=(
            "Exponent alpha of the spectrum of each layer, from the first to the last. Shaded: 2 "
            "to 6, as in well trained networks. Hollow: alpha tells nothing there, the layer looks "
            "random, is small, or is no power law."
        ),
        draw=flow,
    ),
    _Picture(
        title="Similarity of the networks (CKA)",
        told="Of the outputs of every two networks of the group; 1 is the same function.",
        draw=members_matrix,
    ),
    _Picture(
        title="Similarity of the layers (CKA)",
        told="Layers of the first network downwards, of the second one to the right.",
        draw=layers_matrix,
    ),
)


def pictures(row: Row | None) -> Markup | None:
    """Draw what the details of a row hold."""
    drawn = [] if row is None else [(picture, picture.draw(row)) for picture in _PICTURES]
    figures = [
        tag("figure", tag("figcaption", tag("b", picture.title), picture.told), tag("div", drawing))
        for picture, drawing in drawn
        if drawing is not None
    ]
    if not figures:
        return None
    return section("Landscape and weights", None, tag("div", *figures, class_="pictures"))
