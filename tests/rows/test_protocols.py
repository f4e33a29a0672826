"""Names of protocols."""

from __future__ import annotations

import pytest

from mdtree.exceptions import MdtreeError
from mdtree.rows import check_protocol, check_seed


def test_names_of_protocols_are_checked():
    assert check_protocol("paper-1") == "paper-1"
    with pytest.raises(MdtreeError, match=r"did you mean 'paper-1'.*known: .*standard-1"):
        check_protocol("paper1")


@pytest.mark.parametrize("seed", [-1, 2**63, 1.0, True, "1", None])
def test_a_seed_is_a_number_that_all_generators_take(seed):
    with pytest.raises(MdtreeError, match=r"a whole number from 0 to 9223372036854775807, got "):
        check_seed(seed)


def test_the_smallest_and_the_largest_seed_are_taken():
    assert [check_seed(seed) for seed in (0, 2**63 - 1)] == [0, 2**63 - 1]
