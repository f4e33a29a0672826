"""The vocabulary of quantities: each number that mdtree can measure, and what it means.

The words beside a number in a table, a report or an explanation come from here and from nowhere
else.  `published` is the column that holds the quantity in the tables of the MD tree paper
(Zhou et al., ICML 2024); where those hold natural logarithms, `published_log` says so.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUANTITIES", "Quantity"]


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """One measurable number of a group."""

    name: str
    unit: str  # as printed behind the number; empty for a plain number
    meaning: str  # one line
    low: str  # what a low value says
    high: str  # what a high value says
    published: str  # column in the published tables
    published_log: bool = False  # that column holds the natural logarithm of the mean over seeds


_LIST = (
    Quantity(
        name="train_error",
        unit="%",
        meaning="share of training items that are classified wrongly",
        low="the network interpolates its training data",
        high="the network does not fit its training data",
        published="train_error",
    ),
    Quantity(
        name="test_error",
        unit="%",
        meaning="share of test items that are classified wrongly",
        low="the network generalises",
        high="the network does not generalise",
        published="test_error",
    ),
    Quantity(
        name="train_loss",
        unit="nats",
        meaning="mean loss on the training data",
        low="the training data are fitted with confidence",
        high="the training data are not fitted",
        published="train_loss",
    ),
    Quantity(
        name="test_loss",
        unit="nats",
        meaning="mean loss on the test data",
        low="predictions on new data are good and honest",
        high="predictions on new data are wrong, or wrong with confidence",
        published="test_loss",
    ),
    Quantity(
        name="hessian_top",
        unit="",
        meaning="largest eigenvalue of the Hessian of the training loss",
        low="the minimum is flat in every direction",
        high="the loss rises steeply in at least one direction",
        published="hessian_e",
        published_log=True,
    ),
    Quantity(
        name="hessian_trace",
        unit="",
        meaning="trace of the Hessian of the training loss",
        low="the minimum is flat on average",
        high="the minimum is sharp on average",
        published="hessian_t",
        published_log=True,
    ),
    Quantity(
        name="connectivity",
        unit="%",
        meaning="training error of the ends minus that at the worst point of the trained curve",
        low="a barrier lies between two trained networks",
        high="the curve is better than its ends: they have not converged",
        published="mode_connectivity",
    ),
    Quantity(
        name="connectivity_peak",
        unit="%",
        meaning="minus the highest training error inside the trained curve between two networks",
        low="the networks lie in valleys apart from each other",
        high="the networks are connected by a path of low error",
        published="mode_connectivity_peak",
    ),
    Quantity(
        name="cka",
        unit="",
        meaning="similarity of the outputs of two networks (centred kernel alignment)",
        low="networks that differ by seed alone have learnt different functions",
        high="networks that differ by seed alone have learnt the same function",
        published="CKA",
    ),
)

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _LIST}
