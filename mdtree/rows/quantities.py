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
    metric: str  # the metric that measures it
    published: str | None = None  # column in the published tables
    published_log: bool = False  # that column holds the natural logarithm of the mean over seeds


_LIST = (
    Quantity(
        name="train_error",
        unit="%",
        meaning="share of misclassified training items",
        low="the network interpolates its training data",
        high="the network does not fit its training data",
        metric="error_rate",
        published="train_error",
    ),
    Quantity(
        name="test_error",
        unit="%",
        meaning="share of misclassified test items",
        low="the network generalises",
        high="the network does not generalise",
        metric="error_rate",
        published="test_error",
    ),
    Quantity(
        name="train_loss",
        unit="nats",
        meaning="mean loss on the training data",
        low="the training data are fitted with confidence",
        high="the training data are not fitted",
        metric="error_rate",
        published="train_loss",
    ),
    Quantity(
        name="test_loss",
        unit="nats",
        meaning="mean loss on the test data",
        low="predictions on new data are accurate and calibrated",
        high="predictions on new data are wrong, or wrong with confidence",
        metric="error_rate",
        published="test_loss",
    ),
    Quantity(
        name="hessian_top",
        unit="",
        meaning="largest eigenvalue of the Hessian of the training loss",
        low="the minimum is flat in every direction",
        high="the loss rises steeply in at least one direction",
        metric="hessian",
        published="hessian_e",
        published_log=True,
    ),
    Quantity(
        name="hessian_trace",
        unit="",
        meaning="trace of the Hessian of the training loss",
        low="the minimum is flat on average",
        high="the minimum is sharp on average",
        metric="hessian",
        published="hessian_t",
        published_log=True,
    ),
    Quantity(
        name="connectivity",
        unit="%",
        meaning="training error of the ends minus that at the worst point of the trained curve",
        low="a barrier lies between two trained networks",
        high="the curve is better than its ends: they have not converged",
        metric="connectivity",
        published="mode_connectivity",
    ),
    Quantity(
        name="connectivity_peak",
        unit="%",
        meaning="minus the highest training error inside the trained curve between two networks",
        low="the networks lie in valleys apart from each other",
        high="the networks are connected by a path of low error",
        metric="connectivity",
        published="mode_connectivity_peak",
    ),
    Quantity(
        name="barrier",
        unit="%",
        meaning="highest training error inside the trained curve minus that of its worse end",
        low="a path of low error joins the networks; below zero the curve is better than its ends",
        high="a barrier lies between two trained networks",
        metric="connectivity",
    ),
    Quantity(
        name="barrier_loss",
        unit="nats",
        meaning="highest training loss inside the trained curve minus that of its worse end",
        low="a path of low loss joins the networks; below zero the curve is better than its ends",
        high="a barrier lies between two trained networks",
        metric="connectivity",
    ),
    Quantity(
        name="linear_barrier",
        unit="%",
        meaning="highest training error on the straight line minus that of its worse end",
        low="the networks lie in one convex valley",
        high="a straight line between two networks leaves their valleys",
        metric="connectivity",
    ),
    Quantity(
        name="linear_barrier_loss",
        unit="nats",
        meaning="highest training loss on the straight line minus that of its worse end",
        low="the networks lie in one convex valley",
        high="a straight line between two networks leaves their valleys",
        metric="connectivity",
    ),
    Quantity(
        name="cka",
        unit="",
        meaning="similarity of the outputs of two networks (centred kernel alignment)",
        low="networks that differ only by seed have learnt different functions",
        high="networks that differ only by seed have learnt the same function",
        metric="similarity",
        published="CKA",
    ),
    Quantity(
        name="agreement",
        unit="%",
        meaning="share of items that two networks assign to the same class",
        low="networks that differ only by seed decide differently",
        high="networks that differ only by seed decide alike",
        metric="similarity",
    ),
    Quantity(
        name="weight_distance",
        unit="",
        meaning="Euclidean distance between the weights of two networks",
        low="the networks have stayed close to each other",
        high="the networks have moved far apart",
        metric="similarity",
    ),
    Quantity(
        name="alpha",
        unit="",
        meaning="power-law exponent of the tail of the weight spectra, mean over layers",
        low="strong correlations in the weights: well trained, or over-trained below 2",
        high="weak correlations: layers are under-trained, above all over 6",
        metric="spectrum",
    ),
    Quantity(
        name="alpha_hat",
        unit="",
        meaning="alpha times log10 of the largest eigenvalue, mean over layers",
        low="in a series of one architecture, the better models",
        high="in a series of one architecture, the worse models",
        metric="spectrum",
    ),
    Quantity(
        name="log_norm",
        unit="",
        meaning="log10 of the squared Frobenius norm of the weights, mean over layers",
        low="small weights",
        high="large weights",
        metric="spectrum",
    ),
    Quantity(
        name="log_spectral_norm",
        unit="",
        meaning="log10 of the largest eigenvalue of the weights, mean over layers",
        low="no direction is amplified much",
        high="some direction is amplified strongly",
        metric="spectrum",
    ),
    Quantity(
        name="log_alpha_norm",
        unit="",
        meaning="log10 of the sum of the eigenvalues to the power alpha, mean over layers",
        low="in a series of one architecture, the better models",
        high="in a series of one architecture, the worse models",
        metric="spectrum",
    ),
    Quantity(
        name="stable_rank",
        unit="",
        meaning="squared Frobenius norm over largest eigenvalue, mean over layers",
        low="few directions carry the weights",
        high="the weights are spread over many directions",
        metric="spectrum",
    ),
    Quantity(
        name="soft_rank",
        unit="",
        meaning="edge of a random matrix over the largest eigenvalue, mean over layers",
        low="strong structure stands out of the noise",
        high="the weights look like noise",
        metric="spectrum",
    ),
    Quantity(
        name="alpha_median",
        unit="",
        meaning="power-law exponent, median over layers",
        low="strong correlations in the weights",
        high="weak correlations: layers are under-trained",
        metric="spectrum",
    ),
    Quantity(
        name="alpha_drift",
        unit="",
        meaning="slope of alpha from the first layer to the last (Correlation Flow)",
        low="correlations hold through all layers",
        high="correlations get lost with depth",
        metric="spectrum",
    ),
    Quantity(
        name="alpha_above_6",
        unit="%",
        meaning="share of layers with alpha above 6",
        low="all layers are trained",
        high="many layers are under-trained",
        metric="spectrum",
    ),
    Quantity(
        name="random_like",
        unit="%",
        meaning="share of layers with no eigenvalue above the edge of a random matrix",
        low="all layers have learnt something",
        high="many layers are as they were before training",
        metric="spectrum",
    ),
    Quantity(
        name="traps",
        unit="%",
        meaning="share of layers with single huge weights (correlation traps)",
        low="no weight stands alone",
        high="single weights have grown out of proportion",
        metric="spectrum",
    ),
    Quantity(
        name="fork_barrier",
        unit="%",
        meaning="barrier on the straight line between two short continuations of one checkpoint",
        low="the order of the data no longer decides where training goes",
        high="training is not stable yet: the order of the data leads to other valleys",
        metric="fork",
    ),
    Quantity(
        name="fork_cka",
        unit="",
        meaning="similarity of the outputs of two short continuations of one checkpoint",
        low="the order of the data still changes the function",
        high="the function no longer depends on the order of the data",
        metric="fork",
    ),
    Quantity(
        name="chance_error",
        unit="%",
        meaning="test error of always predicting the most frequent class",
        low="one class is far more frequent than the others",
        high="no class is much more frequent than the others",
        metric="predictions",
    ),
    Quantity(
        name="chance_loss",
        unit="nats",
        meaning="test cross entropy of predicting the class frequencies",
        low="one class is far more frequent than the others",
        high="there are many classes, all of them frequent",
        metric="predictions",
    ),
    Quantity(
        name="ensemble_gain",
        unit="%",
        meaning="test error of one network minus that of the ensemble of all networks",
        low="errors are the same for all seeds: bias, or label noise",
        high="much of the error is variance: it differs between seeds",
        metric="predictions",
    ),
    Quantity(
        name="disagreement",
        unit="%",
        meaning="share of test items that two networks assign to different classes",
        low="networks that differ only by seed decide alike",
        high="networks that differ only by seed decide differently",
        metric="predictions",
    ),
    Quantity(
        name="overconfidence",
        unit="%",
        meaning="mean confidence (largest probability) minus accuracy, on test items",
        low="the network is underconfident",
        high="the network is overconfident",
        metric="predictions",
    ),
    Quantity(
        name="loss_tail",
        unit="%",
        meaning="share of the test loss that comes from the worst tenth of the items",
        low="the loss is spread over all items",
        high="most of the loss comes from a few items",
        metric="predictions",
    ),
    Quantity(
        name="train_ensemble_gain",
        unit="%",
        meaning="training error of one network minus that of the ensemble of all networks",
        low="errors are the same for all seeds: bias, or label noise",
        high="much of the error is variance: it differs between seeds",
        metric="predictions",
    ),
    Quantity(
        name="train_disagreement",
        unit="%",
        meaning="share of training items that two networks assign to different classes",
        low="networks that differ only by seed decide alike",
        high="networks that differ only by seed decide differently",
        metric="predictions",
    ),
    Quantity(
        name="train_overconfidence",
        unit="%",
        meaning="mean confidence (largest probability) minus accuracy, on training items",
        low="the network is underconfident",
        high="the network is overconfident",
        metric="predictions",
    ),
    Quantity(
        name="train_loss_tail",
        unit="%",
        meaning="share of the training loss that comes from the worst tenth of the items",
        low="the loss is spread over all items",
        high="most of the loss comes from a few items",
        metric="predictions",
    ),
)

QUANTITIES: dict[str, Quantity] = {quantity.name: quantity for quantity in _LIST}
