"""Pictures of the measurements: the landscape between and around the networks, and the weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from mdtree.messages import listed
from mdtree.render.curves import density, few_layers, flow, profile
from mdtree.render.formatting import COARSE, TO_TOLERANCE, is_unconverged, plain, sentence
from mdtree.render.matrix import layers_matrix, members_matrix
from mdtree.render.surface import surface
from mdtree.render.svg import Figure
from mdtree.rows import QUANTITIES, Row, remaining

__all__ = ["PICTURES", "Picture", "imprecision", "pictures"]


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a row, and what it shows."""

    name: str  # by which it is asked for
    metric: str  # that measures it
    title: str
    lead: str
    draw: Callable[[Row], Figure | None]
    details: tuple[str, ...]  # the tables that it draws
    lacks: Callable[[Row], str]  # why they cannot be drawn
    not_under: tuple[str, ...] = ()  # protocols that do not measure it

    def figure(self, row: Row) -> Figure | None:
        """Draw a row, with a note if what is drawn is less precise than its tolerance."""
        drawn, imprecise = self.draw(row), imprecision(row, self.metric)
        if drawn is None or imprecise is None:
            return drawn
        return replace(drawn, note=" ".join(filter(None, (drawn.note, sentence(imprecise)))))


def imprecision(row: Row, metric: str) -> str | None:
    """Write which quantities of a metric are less precise than their tolerance, and why."""
    own = [n for n in row.quantities if n in QUANTITIES and QUANTITIES[n].metric == metric]
    reasons = {
        f"{COARSE}, {TO_TOLERANCE}": [name for name in own if name in remaining(row)],
        "not converged": [name for name in own if is_unconverged(row, name)],
    }
    parts = (f"{reason}: {listed(list(map(plain, n)))}" for reason, n in reasons.items() if n)
    return "; ".join(parts) or None


def _nothing(_row: Row, what: str) -> str:
    return what


PICTURES = (
    Picture(
        name="profile",
        metric="connectivity",
        title="Connectivity: error",
        lead=(
            "Along the trained curve (solid) and the straight line (dashed) between networks that "
            "differ only by seed. A hill between the ends is a barrier."
        ),
        draw=partial(profile, column="train_error", label="training error, %"),
        details=("curve", "line"),
        lacks=partial(_nothing, what="no path has two points with a finite error"),
    ),
    Picture(
        name="profile-loss",
        metric="connectivity",
        title="Connectivity: loss",
        lead="The loss along the same paths; it still differs where all errors are zero.",
        draw=partial(profile, column="train_loss", label="training loss"),
        details=("curve", "line"),
        lacks=partial(_nothing, what="no path has two points with a finite loss"),
    ),
    Picture(
        name="surface",
        metric="surface",
        title="Surface: loss",
        lead=(
            "The loss on a plane in weight space. Distances are those between weights; the "
            "stronger the colour, the higher the loss."
        ),
        draw=partial(surface, column="train_loss", label="training loss"),
        details=("surface",),
        lacks=partial(_nothing, what="its points are not a whole grid with finite losses"),
    ),
    Picture(
        name="surface-error",
        metric="surface",
        title="Surface: error",
        lead="The error on the same plane.",
        draw=partial(surface, column="train_error", label="training error, %"),
        details=("surface",),
        lacks=partial(_nothing, what="its points are not a whole grid with finite errors"),
    ),
    Picture(
        name="density",
        metric="hessian",
        title="Spectral density of the Hessian",
        lead=(
            "How the curvature of the loss is distributed: most directions are flat, the few far "
            "to the right are steep. Dots are Lanczos nodes; the line is their smoothed sum."
        ),
        draw=density,
        details=("hessian_density",),
        lacks=partial(_nothing, what="no Ritz value has a weight above 0"),
        not_under=("paper-1",),
    ),
    Picture(
        name="flow",
        metric="spectrum",
        title="Correlation flow of the weights",
        lead=(
            "Power-law exponent alpha of the spectrum of each layer, from first to last. Shaded: "
            "2 to 6, as in well-trained networks. Hollow: alpha is not informative, because the "
            "layer looks random, is small, or does not follow a power law."
        ),
        draw=flow,
        details=("spectrum",),
        lacks=few_layers,
    ),
    Picture(
        name="cka",
        metric="similarity",
        title="Similarity of the networks (CKA)",
        lead="Between the outputs of each pair of networks; 1 means the same function.",
        draw=members_matrix,
        details=("pairs",),
        lacks=partial(_nothing, what="no pair of networks has a finite CKA"),
    ),
    Picture(
        name="layers",
        metric="layers",
        title="Similarity of the layers (CKA)",
        lead="Layers of the first network run from top to bottom, of the second left to right.",
        draw=layers_matrix,
        details=("layers",),
        lacks=partial(_nothing, what="no pair of layers has a finite CKA"),
    ),
)


def pictures(row: Row | None) -> list[tuple[Picture, Figure]]:
    """Return the pictures that the details of a row allow."""
    drawn = [] if row is None else [(picture, picture.figure(row)) for picture in PICTURES]
    return [(picture, figure) for picture, figure in drawn if figure is not None]
