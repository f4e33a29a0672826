"""Spectra of weights: what the weights reveal without data. No quantities, files or printing."""

from mdtree.spectra.analysis import AVERAGED, Analysis, Flow, analyse_all, flow_of
from mdtree.spectra.collapse import Change, Hint, changes, hints
from mdtree.spectra.layer import FIGURES, Figures, Layer, Rules, analyse
from mdtree.spectra.matrix import CONVENTIONS, Convention, Matrix, Skipped, find_matrices
from mdtree.spectra.powerlaw import PowerLaw, fit_power_law
from mdtree.spectra.report import (
    WeightOptions,
    WeightsReport,
    compare,
    examine,
    rank,
)
from mdtree.spectra.series import FEW, Ranking, SeriesModel, rankings
from mdtree.spectra.sources import Source
from mdtree.spectra.state import State
from mdtree.spectra.updates import EXAMINED, INTRUDING, Update, updates

__all__ = [
    "AVERAGED",
    "CONVENTIONS",
    "EXAMINED",
    "FEW",
    "FIGURES",
    "INTRUDING",
    "Analysis",
    "Change",
    "Convention",
    "Figures",
    "Flow",
    "Hint",
    "Layer",
    "Matrix",
    "PowerLaw",
    "Ranking",
    "Rules",
    "SeriesModel",
    "Skipped",
    "Source",
    "State",
    "Update",
    "WeightOptions",
    "WeightsReport",
    "analyse",
    "analyse_all",
    "changes",
    "compare",
    "examine",
    "find_matrices",
    "fit_power_law",
    "flow_of",
    "hints",
    "rank",
    "rankings",
    "updates",
]
