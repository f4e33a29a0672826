"""Differences between two groups of trained networks, quantity by quantity, and their noise.

    difference   d = after - before
    error        s = sqrt(s_before^2 + s_after^2)
    Welch        t = d / s, against Student's t with (s_a^2 + s_b^2)^2 / (s_a^4 / (k_a - 1) +
                 s_b^4 / (k_b - 1)) degrees of freedom, if both sides have at least two members,
                 but never more than if both were as few as the fewer: ten seeds on one side do not
                 tell how much the two of the other differ
    moderated    of the primary outcome, if a side has two members, or if those of each side are
                 equal, so that there is no t: t as above, but the variance v
                 of the k members of a side is at least (v0 + (k - 1) v) / k, with k degrees of
                 freedom.  v0 = e (100 - e) / 100, at an error of e percent, is known from other
                 networks: four in five groups of the reference zoos have less between their seeds.
                 It is used where its p is below that of Welch, and no side has v above 9 v0
    normal       z = d / s, otherwise: the noise of the evaluation, not that between seeds
    Holm         the i-th smallest of m p-values is multiplied by m - i + 1, and is at least as
                 large as the one before it

Simple classifiers (`baseline`) are fitted to the data: what they get wrong is no effect of a change
of the networks, and is not tested.

The test error is the primary outcome: whether a change helped was asked before anything was seen,
so it is tested by itself, and does not depend on how much else was measured.

B. L. Welch: The generalization of "Student's" problem when several different population variances
are involved. Biometrika 34, 1947.  S. Holm: A simple sequentially rejective multiple test
procedure. Scandinavian Journal of Statistics 6, 1979.  G. K. Smyth: Linear models and empirical
Bayes methods for assessing differential expression in microarray experiments. Statistical
Applications in Genetics and Molecular Biology 3, 2004.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mdtree.rows import QUANTITIES, Measured, Missing, Value

__all__ = [
    "LEVEL",
    "PRIMARY",
    "Difference",
    "NotCompared",
    "confidence_interval",
    "differences",
    "holm",
    "not_compared",
]

LEVEL = 0.05  # below this adjusted p-value, a difference stands clear of the noise
PRIMARY = "test_error"  # the quantity that says whether a change helped
_LEAST = 2  # members with which a side shows how much seeds differ
_FEW = 2  # members, whose spread has a single degree of freedom
_COMMON = 100.0  # the usual variance between seeds is that of counts of so many test items
_UNUSUAL = 3.0  # standard deviations, from which networks are not like those it is known of
_LOWEST, _HIGHEST = 1.0, 99.0  # percent, where that variance ends
_CLOSE = 0.01  # standard errors between a value and the mean of its members


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How one quantity changed, in its unit."""

    quantity: str
    before: float
    before_stderr: float | None
    after: float
    after_stderr: float | None
    difference: float  # after - before
    stderr: float | None = None  # of the difference; None: one side has no standard error
    errors: float | None = None  # difference / stderr
    test: str | None = None  # welch | moderated | normal: where p comes from
    freedom: float | None = None  # degrees of freedom of a t-test
    p: float | None = None  # two-sided, if there were no difference
    is_primary: bool = False  # the outcome that was asked about: tested by itself
    adjusted: float | None = None  # p after Holm's adjustment; of the primary outcome, p itself
    is_clear: bool | None = None  # `adjusted` is below 0.05; None: seeds were not compared
    reason: str | None = None  # why there is no p


@dataclass(frozen=True, kw_only=True)
class NotCompared:
    """A quantity that only one side has, and why."""

    quantity: str
    reason: str


def differences(before: Mapping[str, Value], after: Mapping[str, Value]) -> tuple[Difference, ...]:
    """Compare every quantity that was measured on both sides, in the order of `before`."""
    found = []
    for name, first in before.items():
        second = after.get(name)
        if isinstance(first, Measured) and isinstance(second, Measured):
            usual = _difference(name, first, second)
            found.append(_moderated(usual, first, second) or usual)
    # three questions, each adjusted for its own number of tests
    families = [
        [place for place, each in enumerate(found) if each.is_primary and each.test is not None],
        *(
            [place for place, each in enumerate(found) if each.test == t and not each.is_primary]
            for t in ("welch", "normal")
        ),
    ]
    for tested in families:
        adjusted = holm([found[place].p or 0.0 for place in tested])
        for place, p in zip(tested, adjusted, strict=True):
            is_clear = p < LEVEL if found[place].test != "normal" else None
            found[place] = replace(found[place], adjusted=p, is_clear=is_clear)
    return tuple(found)


def confidence_interval(found: Difference) -> tuple[float, float] | None:
    """Return where the difference lies with 95 % confidence; it leaves out 0 where p < 0.05.

    It ends where the quantity after the change would be impossible: an error below 0 %, say.
    """
    if found.test is None or found.stderr is None:
        return None
    from scipy.special import ndtri, stdtrit

    share = 1 - LEVEL / 2
    times = ndtri(share) if found.freedom is None else stdtrit(found.freedom, share)
    margin = float(times) * found.stderr
    low, high = found.difference - margin, found.difference + margin
    quantity = QUANTITIES.get(found.quantity)
    if quantity is None or quantity.range is None or found.after not in quantity.range:
        return low, high
    ends = (quantity.range.clipped(found.before + end) - found.before for end in (low, high))
    return min(next(ends), found.difference), max(next(ends), found.difference)


def not_compared(
    before: Mapping[str, Value], after: Mapping[str, Value]
) -> tuple[NotCompared, ...]:
    """List the quantities that were not measured on both sides, with the reason."""
    out = []
    for name in dict.fromkeys((*before, *after)):
        reasons = [
            f"{side}: {value.missing if isinstance(value, Missing) else 'not measured'}"
            for side, value in (("before", before.get(name)), ("after", after.get(name)))
            if not isinstance(value, Measured)
        ]
        if reasons:
            out.append(NotCompared(quantity=name, reason="; ".join(reasons)))
    return tuple(out)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for their number.

    >>> holm([0.01, 0.5, 0.02])
    [0.03, 0.5, 0.04]
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    ascending = sorted(range(len(p_values)), key=p_values.__getitem__)
    for left, place in zip(range(len(p_values), 0, -1), ascending, strict=True):
        highest = max(highest, min(1.0, left * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _difference(name: str, before: Measured, after: Measured) -> Difference:
    first, second = _stderr(before), _stderr(after)
    change = after.value - before.value
    plain = Difference(
        quantity=name,
        before=before.value,
        before_stderr=first,
        after=after.value,
        after_stderr=second,
        difference=change if math.isfinite(change) else 0.0,
        is_primary=name == PRIMARY,
    )
    if name in QUANTITIES and QUANTITIES[name].metric == "baseline":
        return replace(plain, reason="it is about the data, not about the networks")
    if not math.isfinite(change):
        return replace(plain, reason="the values are too large to subtract")
    if first is None or second is None:
        sides = [side for side, s in (("before", first), ("after", second)) if s is None]
        return replace(plain, reason=f"no standard error {' and '.join(sides)}")
    from scipy.special import ndtr, stdtr

    stderr = math.hypot(first, second)
    if not math.isfinite(stderr):
        return replace(plain, reason="the standard errors are too large to add")
    if stderr == 0 or not math.isfinite(change / stderr):
        return replace(plain, stderr=stderr, reason="the standard error is 0 on both sides")
    freedom = _freedom(before, after)
    errors = change / stderr
    below = ndtr(-abs(errors)) if freedom is None else stdtr(freedom, -abs(errors))
    return replace(
        plain,
        stderr=stderr,
        errors=errors,
        test="normal" if freedom is None else "welch",
        freedom=freedom,
        p=min(1.0, 2 * float(below)),
    )


def _moderated(usual: Difference, before: Measured, after: Measured) -> Difference | None:
    """Test the primary outcome of few seeds with what is known of others, if that tells more."""
    from scipy.special import stdtr

    spreads = [_spread(value) for value in (before, after)]
    fewest = min(0 if spread is None else spread[1] for spread in spreads)
    if not usual.is_primary or fewest < _LEAST or (fewest > _FEW and usual.test is not None):
        return None
    sides = []
    for value, spread in zip((before, after), spreads, strict=True):
        stderr, count = spread or (0.0, 0)
        error = min(max(value.value, _LOWEST), _HIGHEST)
        common, own = error * (100 - error) / _COMMON, count * stderr**2
        if not _is_of_members(value, stderr) or own > _UNUSUAL**2 * common:
            return None
        sides.append((max(own, (common + (count - 1) * own) / count) / count, count))
    square = sum(side for side, _ in sides)
    freedom = square**2 / sum(side**2 / count for side, count in sides)
    errors = usual.difference / math.sqrt(square)
    p = 2 * float(stdtr(freedom, -abs(errors)))
    if usual.p is not None and usual.p <= p:
        return None
    return replace(
        usual,
        stderr=math.sqrt(square),
        errors=errors,
        test="moderated",
        freedom=freedom,
        p=min(1.0, p),
        reason=None,
    )


def _stderr(value: Measured) -> float | None:
    """Return the standard error; of a row from elsewhere, that of its members."""
    if value.stderr is not None:
        return abs(value.stderr)
    spread = _spread(value)
    return None if spread is None else spread[0]


def _spread(value: Measured) -> tuple[float, int] | None:
    """Return the standard error over members, and how many there are; None for fewer than two."""
    members = value.members or ()
    if len(members) < _LEAST:
        return None
    try:
        mean = math.fsum(members) / len(members)
        squares = math.fsum((each - mean) ** 2 for each in members)
    except OverflowError:
        return None
    if min(members) == max(members):
        return 0.0, len(members)  # and no rounding of their mean
    stderr = math.sqrt(squares / (len(members) - 1) / len(members))
    return (stderr, len(members)) if math.isfinite(stderr) else None


def _freedom(before: Measured, after: Measured) -> float | None:
    """Return Welch's degrees of freedom; None where the errors are not those of the members."""
    sides = []
    for value in (before, after):
        spread = _spread(value)
        if spread is None or not _is_of_members(value, spread[0]):
            return None
        sides.append(spread)
    largest = max(stderr for stderr, _ in sides)
    if largest == 0:
        return None
    shares = [((stderr / largest) ** 2, count) for stderr, count in sides]
    freedom = sum(share for share, _ in shares) ** 2 / sum(
        share**2 / (count - 1) for share, count in shares
    )
    return min(freedom, 2.0 * (min(count for _, count in shares) - 1))


def _is_of_members(value: Measured, stderr: float) -> bool:
    """Return whether value and error are mean and standard error of the members."""
    try:
        mean = math.fsum(value.members or ()) / len(value.members or (0,))
    except OverflowError:
        return False
    near = _CLOSE * stderr
    return math.isclose(mean, value.value, rel_tol=1e-6, abs_tol=near) and (
        value.stderr is None or math.isclose(stderr, value.stderr, rel_tol=_CLOSE)
    )
