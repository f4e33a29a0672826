"""The quantities of the weights alone: spectra of their matrices, averaged over layers."""

from __future__ import annotations

from mdtree.rows.quantity import AMOUNT, SHARE, Quantity

__all__ = ["SPECTRUM"]

SPECTRUM = (
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
        range=AMOUNT,
    ),
    Quantity(
        name="soft_rank",
        unit="",
        meaning="edge of a random matrix over the largest eigenvalue, mean over layers",
        low="strong structure stands out of the noise",
        high="the weights look like noise",
        metric="spectrum",
        range=AMOUNT,
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
        range=SHARE,
    ),
    Quantity(
        name="random_like",
        unit="%",
        meaning="share of layers with no eigenvalue above the edge of a random matrix",
        low="all layers have learnt something",
        high="many layers are as they were before training",
        metric="spectrum",
        range=SHARE,
    ),
    Quantity(
        name="traps",
        unit="%",
        meaning="share of layers with single huge weights (correlation traps)",
        low="no weight stands alone",
        high="single weights have grown out of proportion",
        metric="spectrum",
        range=SHARE,
    ),
)
