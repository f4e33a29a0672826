"""The verdict: what is wrong with one group, how sure that is, why, and what to change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import ClassVar

from mdtree.diagnosis.checks import CheckResult
from mdtree.exceptions import TreeError
from mdtree.trees import FEATURES
from mdtree.trees.ood import OutOfDistribution

__all__ = [
    "FROM_FILES",
    "UNSURE",
    "Basis",
    "DecisionStep",
    "Gain",
    "MissingMeasurement",
    "NextStep",
    "OutOfDistribution",
    "Target",
    "Verdict",
    "certain_verdict",
    "check_confidence",
]

UNSURE = "unsure"
FROM_FILES = "MD306"  # the check that no network was run
_FAR = 10.0  # standard errors
_CLOSE = 2.0  # standard errors
_TESTED = 2.0  # limits of the distance: hardly a group of zoos that were left out is farther


@dataclass(frozen=True, kw_only=True)
class DecisionStep:
    """One step of the walk through the tree."""

    feature: str
    value: float | None  # None: not known
    stderr: float | None
    threshold: float
    went: str  # low | high
    says: str  # in plain words
    flips_at: float | None  # standard errors between the value and the threshold

    @property
    def is_far(self) -> bool:
        """Whether the step is too far from its threshold for noise to have decided it."""
        return self.flips_at is not None and self.flips_at > _FAR

    @property
    def is_close(self) -> bool:
        """Whether noise could have decided the step."""
        return self.flips_at is not None and self.flips_at < _CLOSE


@dataclass(frozen=True, kw_only=True)
class Gain:
    """What one change alone would gain, learnt from similar training groups."""

    remedy: str
    mode: str  # the failure mode that it fixes
    mean: float  # points of test accuracy
    low: float | None  # four in five groups gained between low and high
    high: float | None
    fact: str | None = None  # the fact to change
    old: float | None = None  # None: not known for this group
    new: float | None = None
    factor: float | None = None  # new / old

    def at_most(self, points: float) -> Gain:
        """Return the gain that, with its range, is no larger than so many points."""
        low, high = (None if end is None else min(end, points) for end in (self.low, self.high))
        return replace(self, mean=min(self.mean, points), low=low, high=high)

    @property
    def range_words(self) -> tuple[bool, str]:
        """The range of four cases in five, or of nine in ten, and whether it is the latter.

        Where the mean lies at an end of its range, as far as can be read, the other end is told.

        >>> Gain(remedy="add_data", mode="data_small", mean=5.0, low=1.0, high=9.0).range_words
        (False, '1.0 to 9.0')
        >>> Gain(remedy="add_data", mode="data_small", mean=9.0, low=1.0, high=9.0).range_words
        (True, '1.0 or more')
        """
        if self.low is None or self.high is None:
            return False, ""
        mean, low, high = (f"{number:.1f}" for number in (self.mean, self.low, self.high))
        if low == high:
            return False, ""
        if mean == high:
            return True, f"{low} or more"
        return (True, f"{high} or less") if mean == low else (False, f"{low} to {high}")


@dataclass(frozen=True, kw_only=True)
class MissingMeasurement:
    """A metric that was not measured, and how it could change the verdict."""

    metric: str
    features: tuple[str, ...]
    reason: str
    flips: float  # probability that it changes the most probable answer


@dataclass(frozen=True, kw_only=True)
class NextStep:
    """What to do next: its kind and what it is about, for programs, and the same in words."""

    kind: str  # change | keep | measure | tell_facts | add_seed | add_seeds
    names: tuple[str, ...] = ()  # a remedy, a metric, or facts
    says: str  # in one sentence


@dataclass(frozen=True, kw_only=True)
class Basis:
    """What a verdict is based on."""

    tree: str  # its name or its file
    chosen: str  # why this tree was chosen
    task: str
    method: str
    protocol: str
    groups: int  # that the tree was fitted to
    data: str
    accuracy: str
    versions: Mapping[str, str]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Target:
    """The test accuracy that is achievable, as the user knows it, and how far off it is."""

    accuracy: float | None  # percent; None where a row holds no number
    measured: float | None = None  # percent
    gap: float | None = None  # points from the measured accuracy to the target, at least 0
    noise: float | None = None  # points: two standard errors of the measured accuracy
    is_reached: bool = False  # the gap is within the noise, and at most 1 point
    missing: str | None = None  # why nothing was compared


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is wrong with one group."""

    # how a notebook shows a verdict: the Python interface, which knows the page, sets it
    page: ClassVar[Callable[[Verdict], str] | None] = None

    group: str
    mode: str  # a failure mode, or `unsure`
    likely: str  # the most probable answer, whether it is sure enough or not
    probability: float  # of `likely`
    probabilities: Mapping[str, float]
    confidence: float  # below which a verdict is `unsure`
    why_unsure: tuple[str, ...]
    clues: tuple[DecisionStep, ...]
    agreement: float | None  # share of the plausible trees that answer `likely`
    stability: float | None  # share of redrawn measurements that lead to `likely`
    gains: tuple[Gain, ...]  # the largest first
    next_step: NextStep
    outlier: OutOfDistribution | None
    missed: tuple[MissingMeasurement, ...]
    basis: Basis
    # coverage, as "0.9" -> the answers among which the right one is that often
    answers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    resources: str | None = None  # data_small or model_small: which of the two gains more
    # all that was checked, and what was found: `mdtree.diagnosis.CHECKS` has the codes
    checks: tuple[CheckResult, ...] = field(default=(), repr=False)
    coarse: tuple[str, ...] = ()  # quantities that are only as precise as the verdict needs
    target: Target | None = None  # gains are bounded by its gap; None: the user names no target
    test_accuracy: float | None = None  # percent, as it was measured; None: not known

    @property
    def sure(self) -> bool:
        """Whether the verdict is a failure mode, not `unsure`."""
        return self.mode != UNSURE

    @property
    def is_untested(self) -> bool:
        """Whether nobody has tested how right answers are for groups as unlike the known ones.

        Those of regressions of gains that were tested on zoos left out, and of networks that were
        run, are as right there as their probabilities say.
        """
        if self.outlier is None or not self.outlier.outside:
            return False
        from_files = any(check.code == FROM_FILES and check.is_found for check in self.checks)
        tested = self.answers and self.basis.accuracy and not from_files
        return not tested or self.outlier.distance > _TESTED * self.outlier.limit

    @property
    def asked_tree(self) -> bool:
        """Whether a tree was asked: not so after divergence, or where the target is reached."""
        return all(step.feature in FEATURES for step in self.clues)

    @property
    def advice(self) -> str:
        """The next step, in one sentence."""
        says = self.next_step.says
        if not self.ended_early:
            return says
        is_low = self.likely == "temperature_low" and self.next_step.kind == "change"
        return (
            f"train longer, or {says}" if is_low else f"train longer first; apart from that, {says}"
        )

    @property
    def is_broken(self) -> bool:
        """Whether training broke down: the weights themselves decided."""
        return any(step.feature == "weights" for step in self.clues)

    @property
    def ended_early(self) -> bool:
        """Whether training longer comes before all else: by its log, it ended early (MD407)."""
        is_enough = self.is_broken or (self.target is not None and self.target.is_reached is True)
        return not is_enough and any(c.code == "MD407" and c.is_found for c in self.checks)

    @property
    def headline(self) -> str:
        """The verdict in one sentence of everyday words, with which terminal and page begin."""
        from mdtree.diagnosis.headlines import headline  # which looks at verdicts

        return headline(self)

    def _repr_html_(self) -> str | None:
        return None if self.page is None else self.page()


def check_confidence(confidence: object) -> None:
    """Refuse what is not a probability.

    Raises:
        TreeError: The message says what was given.

    """
    is_number = isinstance(confidence, Real) and not isinstance(confidence, bool)
    if not is_number or not 0 <= confidence <= 1:  # type: ignore[operator]  # NaN is not
        raise TreeError(f"the confidence must be a probability, 0 to 1; got {confidence!r:.100}")


def certain_verdict(
    group: str,
    mode: str,
    clue: DecisionStep,
    *,
    next_step: NextStep,
    basis: Basis,
    confidence: float,
    target: Target | None = None,
) -> Verdict:
    """Return a verdict that one finding decides, whatever a tree says."""
    return Verdict(
        group=group,
        mode=mode,
        likely=mode,
        probability=1.0,
        probabilities={mode: 1.0},
        confidence=confidence,
        why_unsure=(),
        clues=(clue,),
        agreement=None,
        stability=None,
        gains=(),
        next_step=next_step,
        outlier=None,
        missed=(),
        basis=basis,
        answers={},
        target=target,
        test_accuracy=None if target is None else target.measured,
    )
