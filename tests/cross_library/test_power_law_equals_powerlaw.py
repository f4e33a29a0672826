"""A power law that is fitted to a spectrum is that of the package powerlaw."""

from __future__ import annotations

import pytest

from mdtree.spectra import fit_power_law
from tests.support.cases import REPEATED, SPECTRA


# the package asks its own fits for a name that it will drop
@pytest.mark.filterwarnings("ignore:Standard error for the MLE:DeprecationWarning")
@pytest.mark.parametrize("name", [name for name in SPECTRA if name not in REPEATED])
def test_the_package_powerlaw_finds_the_same(name):
    rival = pytest.importorskip("powerlaw")
    values = SPECTRA[name](7)

    said = rival.Fit(values, parameter_ranges={"alpha": [1, 1000]}, verbose=0).power_law

    law = fit_power_law(values)
    ours = (law.xmin, law.alpha, law.stderr, law.distance)
    assert (said.xmin, said.alpha, said.standard_err, said.D) == pytest.approx(ours, rel=1e-9)
