"""Spectra of weights: what the weights say without data. No quantities, no files, no printing."""

from mdtree.spectra.layer import FIGURES, Figures, Layer, Rules, analyse
from mdtree.spectra.matrix import CONVENTIONS, Convention, Matrix, Skipped, find_matrices
from mdtree.spectra.powerlaw import PowerLaw, fit_power_law
from mdtree.spectra.state import State

__all__ = [
    "CONVENTIONS",
    "FIGURES",
    "Convention",
    "Figures",
    "Layer",
    "Matrix",
    "PowerLaw",
    "Rules",
    "Skipped",
    "State",
    "analyse",
    "find_matrices",
    "fit_power_law",
]
