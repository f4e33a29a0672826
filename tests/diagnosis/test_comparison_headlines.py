"""Whether a change helped, in one sentence: for every outcome, and never more than is known."""

from __future__ import annotations

import pytest

from mdtree.diagnosis import compare_groups, comparison_headline, comparison_outcome
from mdtree.diagnosis.comparison_headlines import headline_of_comparisons
from mdtree.rows import GroupFailure, Measured, mean_over_members
from tests.support.rows import row

DIVERGED = GroupFailure(kind="DivergedError", reason="the weights are NaN")
FINE = mean_over_members([20.0, 21.0, 22.0], single_stderr=None)


def seeds(*errors):
    return mean_over_members(errors, single_stderr=None)


def compared(before, after):
    sides = [
        row("net", {"learning_rate": rate}, protocol="mine", cka=0.5, **given)
        if isinstance(given, dict)
        else row("net", {"learning_rate": rate}, protocol="mine", failure=given)
        for rate, given in ((0.1, before), (0.2, after))
    ]
    (found,) = compare_groups([(sides[0], sides[1])]).comparisons
    return found


# by hand: of 20, 21, 22 and 10, 11, 12 the standard error is sqrt(2 / 3), and t(4) is 2.776
UNCLEAR = "It cannot be told from chance whether it helped"
ANOTHER = "but how much another random start would differ was not measured"
MARGIN = 2.776 * (2 / 3) ** 0.5


@pytest.mark.parametrize(
    ("after", "outcome", "sentence"),
    [
        (
            seeds(10.0, 11.0, 12.0),
            "helped",
            (
                "It helped: 10.0 more right answers in every 100 (between "
                f"{10 - MARGIN:.1f} and {10 + MARGIN:.1f}, with 95 % confidence)."
            ),
        ),
        (
            seeds(30.0, 31.0, 32.0),
            "worse",
            (
                "It made things worse: 10.0 fewer right answers in every 100 (between "
                f"{10 - MARGIN:.1f} and {10 + MARGIN:.1f}, with 95 % confidence)."
            ),
        ),
        (
            seeds(19.0, 20.0, 21.0),
            "unclear",
            (
                f"{UNCLEAR}: 1.0 more right answers in every 100, and anything from "
                f"{MARGIN - 1:.1f} fewer to {MARGIN + 1:.1f} more is possible (with 95 % "
                "confidence)."
            ),
        ),
        (
            seeds(20.0, 21.0, 22.0),
            "unclear",
            (
                f"{UNCLEAR}: as many right answers, and anything "
                f"from {MARGIN:.1f} fewer to {MARGIN:.1f} more is possible (with 95 % confidence)."
            ),
        ),
        (
            Measured(value=11.0, stderr=1.0),
            "unclear",
            (
                f"{UNCLEAR}: 10.0 more right answers in every 100, which is more than the noise of "
                f"the test examples, {ANOTHER}."
            ),
        ),
        (
            Measured(value=20.5, stderr=1.0),
            "unclear",
            (
                f"{UNCLEAR}: 0.5 more right answers in every 100, which is within the noise of the "
                f"test examples, {ANOTHER}."
            ),
        ),
        (
            Measured(value=11.0),
            "unclear",
            (
                f"{UNCLEAR}: 10.0 more right answers in every 100, but how much of that is noise "
                "is not known (no standard error after)."
            ),
        ),
    ],
)
def test_the_sentence_says_what_the_test_of_the_error_found(after, outcome, sentence):
    found = compared({"test_error": FINE}, {"test_error": after})
    assert comparison_outcome(found) == outcome
    assert comparison_headline(found) == sentence


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ({}, {}, ("It is not known whether it helped: right answers were not counted on both sides "
                 "(test_error was not measured before and after).")),
        (DIVERGED, {"test_error": FINE},
         "It helped: training broke down before the change, and did not after it."),
        (DIVERGED, DIVERGED,
         "It did not help: training broke down before the change and after it."),
        ({"test_error": FINE}, DIVERGED,
         "It made things worse: training broke down after the change."),
    ],
)  # fmt: skip
def test_without_a_number_on_both_sides_the_sentence_says_why(before, after, sentence):
    if before == after == {}:
        after = {"alpha": 2.0}
    assert comparison_headline(compared(before, after)) == sentence


def test_a_small_gain_keeps_its_digits_and_a_wide_interval_ends_at_what_is_possible():
    small = compared(
        {"test_error": seeds(0.3, 0.31, 0.32)}, {"test_error": seeds(0.25, 0.26, 0.27)}
    )
    assert "It helped: 0.05 more right answers in every 100 (between 0.0" in comparison_headline(
        small
    )
    wide = compared({"test_error": seeds(20.0, 60.0)}, {"test_error": seeds(5.0, 15.0)})
    assert (wide.real.low, wide.real.high) == (-60.0, 40.0)  # 40 % were wrong before
    assert "anything from 60.0 fewer to 40.0 more" in comparison_headline(wide)


def test_several_changes_are_counted_by_what_came_of_them():
    worse = compared({"test_error": FINE}, {"test_error": seeds(30.0, 31.0, 32.0)})
    unclear = compared({"test_error": FINE}, {"test_error": Measured(value=11.0)})
    unknown = compared({}, {"alpha": 1.0})
    assert headline_of_comparisons([unclear, worse, unknown, worse]) == (
        "Of 4 changes: 2 made things worse, 1 cannot be told from chance, 1 without an answer, "
        "because right answers were not counted on both sides."
    )
    assert headline_of_comparisons([worse]) == comparison_headline(worse)
    assert headline_of_comparisons([]) == "Nothing was compared."


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ((30.0, 31.0), (29.0, 33.0), "a third seed before and after the change."),
        ((30.0, 31.0), (29.0, 30.5, 33.0), "a third seed before the change."),
        ((30.0, 31.0, 32.0), (31.5,), "two more seeds after the change."),
        ((30.0,), (31.5, 33.0), "two more seeds before, and a third seed after the change."),
    ],
)
def test_where_few_seeds_leave_it_open_the_headline_asks_for_more(before, after, more):
    sides = (
        seeds(*side) if len(side) > 1 else Measured(value=side[0], stderr=1.0, members=side)
        for side in (before, after)
    )
    one, other = ({"test_error": side} for side in sides)
    found = compared(one, other)
    assert comparison_outcome(found) == "unclear"
    assert comparison_headline(found).endswith(f". To tell, measure {more}")


def test_an_answer_asks_for_no_more_seeds():
    told = compared({"test_error": seeds(67.0, 66.0)}, {"test_error": seeds(0.0, 0.0)})
    assert comparison_headline(told).startswith("It helped: 66.5 more")
    assert "seed" not in comparison_headline(told)
    many = compared({"test_error": FINE}, {"test_error": FINE})
    assert "seed" not in comparison_headline(many)
