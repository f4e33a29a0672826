"""Headlines: a verdict in one sentence of everyday words, for people who do not train networks.

What is wrong, how sure that is, what to do next, and what that should bring.  The page, Markdown
and JSON take it from here, so that they cannot differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mdtree.diagnosis.headline_words import (
    AS_IT_IS,
    BROKEN,
    COUNTED,
    DO,
    DO_FACT,
    HINTS,
    NONE,
    WRONG,
    WRONG_FACT,
)
from mdtree.diagnosis.verdict_record import Gain, Verdict
from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.messages import percent, percent_below, plural, shortened, shortened_within

if TYPE_CHECKING:
    from mdtree.diagnosis.trajectory import Trajectory

__all__ = ["headline", "headline_of_all", "main_gain"]

_ENDED_EARLY = "training seems to have ended too early, so train longer "
_LITTLE = 1.0  # points of test accuracy; a change that brings less is not urgent
_LONGEST = 60  # characters of a name inside a sentence
_LONGEST_NAME, _END = 80, 39  # the same for a group, and how many of them are its end


def headline(verdict: Verdict) -> str:
    """Return a verdict in one sentence: what is wrong, how sure, what next, what that brings."""
    return _sentence(_hint(verdict) + _plainly(verdict))


def headline_of_all(verdicts: Sequence[Verdict], runs: Sequence[Trajectory] = ()) -> str:
    """Return several verdicts in one sentence: how many of which kind, and where to begin.

    Of the steps of a run, the one to keep counts.
    """
    steps, verdicts = len(verdicts), _without_other_steps(verdicts, runs)
    if len(verdicts) == 1:
        (verdict,) = verdicts
        kept = (
            f"of {plural(steps, 'checkpoint')}, keep {_short_name(verdict)}: " if steps > 1 else ""
        )
        return _sentence(kept + _hint(verdict) + _plainly(verdict))
    counts = Counter(BROKEN if each.is_broken else each.mode for each in verdicts).most_common()
    kinds = ", ".join(f"{count} {COUNTED.get(mode, _named(mode))}" for mode, count in counts)
    if not kinds:
        return "No group of networks could be diagnosed."
    text = f"of {len(verdicts)} diagnosed groups of networks: {kinds}{_least_sure(verdicts)}"
    first = _most_promising(verdicts)
    if first is None:
        return _sentence(text + _without_gains(verdicts))
    hint = _hint(first)
    longer = "train longer, and " if first.ended_early else ""
    begin = f"begin with {_short_name(first)}: {hint}{longer}{_do(first)}{_brings(first)}"
    return _sentence(f"{text}; {begin}")


def _without_gains(verdicts: Sequence[Verdict]) -> str:
    """Write what to do where nobody knows what that brings, as after divergence, to append."""
    faults = [each for each in verdicts if each.sure and _fault(each) in DO]
    if not faults:
        return ""
    if len(faults) == len(verdicts) and len({_do(each) for each in faults}) == 1:
        return f"; for each of them: {_do(faults[0])}"
    return f"; begin with {_short_name(faults[0])}: {_hint(faults[0])}{_do(faults[0])}"


def _least_sure(verdicts: Sequence[Verdict]) -> str:
    """Write how sure the answers are at least, to append."""
    probabilities = [verdict.probability for verdict in verdicts if verdict.sure]
    if not probabilities:
        return ""
    who = "each" if len(probabilities) == len(verdicts) else "each of the others"
    least = percent(min(probabilities))
    bound = "" if least.startswith(("over", "100")) else "at least "
    return f" ({who} {bound}{least} sure)"


def _without_other_steps(
    verdicts: Sequence[Verdict], runs: Sequence[Trajectory]
) -> Sequence[Verdict]:
    """Return verdicts without those on steps of a run that are not to be kept."""
    dropped = {
        (step.group, run.protocol)
        for run in runs
        if run.keep is not None
        for step in run.steps
        if step.group != run.keep
    }
    left = [each for each in verdicts if (each.group, each.basis.protocol) not in dropped]
    return left or verdicts


def _short_name(verdict: Verdict) -> str:
    return shortened_within(" ".join(verdict.group.split()), _LONGEST_NAME, end=_END)


def _hint(verdict: Verdict) -> str:
    """Write why a verdict is a hint only, if it is one, to put before it."""
    found = {check.code for check in verdict.checks if check.is_found}
    reasons = [text for code, text in HINTS.items() if code in found and not verdict.is_broken]
    if verdict.is_untested:
        reasons.append("the network is unlike those that mdtree has learnt from")
    return f"take this as a hint only, because {' and '.join(reasons)}: " if reasons else ""


def _first_of_all(verdict: Verdict) -> str:
    """Write that training ended early, if it did, to put before the fault."""
    if not verdict.ended_early:
        return ""
    is_low = _fault(verdict) == "temperature_low"
    return f"{_ENDED_EARLY}{'or in larger steps' if is_low else 'first'}; as it is, "


def _plainly(verdict: Verdict) -> str:
    return _first_of_all(verdict) + _of_fault(verdict)


def _of_fault(verdict: Verdict) -> str:
    if not verdict.sure:
        return _unsure(verdict)
    how_sure = f"({percent(verdict.probability)} sure)"
    if verdict.mode == NONE:
        return _nothing(verdict, how_sure)
    if verdict.mode not in DO:  # a name that this version does not know
        return f"{_named(verdict.mode)} {how_sure}; {verdict.advice}"
    gain = main_gain(verdict)
    if gain is not None and gain.mean < _LITTLE and not verdict.is_broken:
        # the fault is named, for its check is an error all the same (--fail-on)
        return (
            f"{_wrong(verdict)} {how_sure}, but there is little left to gain: what helps most is "
            f"to {_do(verdict)}{_brings(verdict)}"
        )
    return f"{_wrong(verdict)} {how_sure}, so {_do(verdict)}{_brings(verdict)}"


def _unsure(verdict: Verdict) -> str:
    sure = percent_below(verdict.probability, verdict.confidence)
    guess = f"the best guess ({sure} sure) is that "
    guess += _wrong(verdict)
    return f"it is not clear yet what is wrong; {guess}, so {_to_find_out(verdict)}"


def _to_find_out(verdict: Verdict) -> str:
    """Write what makes an answer surer."""
    step = verdict.next_step
    names = _named(", ".join(step.names))
    if step.kind == "add_seed":
        return "train the same network once more from another random start, which makes it clearer"
    if step.kind == "add_seeds":
        seeds = "train the same network again from other random starts"
        tried = " or try the two changes that should bring most" if len(verdict.gains) > 1 else ""
        return f"{seeds}{tried}, which makes it clearer"
    if step.kind == "tell_facts":
        return f"tell mdtree more about the training ({names}), which makes it clearer"
    if step.kind == "measure":
        return f"let mdtree measure more ({names}), which makes it clearer"
    if _fault(verdict) in DO:
        return f"the change to try is to {_do(verdict)}{_brings(verdict)}"
    return f"the next step is: {step.says}"


def _nothing(verdict: Verdict, how_sure: str) -> str:
    """Write the answer `none`, measured against the target if there is one."""
    target = verdict.target
    best = max((gain.mean for gain in verdict.gains), default=None)
    most = (
        "nothing beyond chance" if best is None else f"only about {_right_answers(best, verdict)}"
    )
    if target is None or target.gap is None:
        kept = "" if verdict.ended_early else f", so {AS_IT_IS}"
        return (
            f"{WRONG[NONE]} {how_sure}{kept}: a larger network, more examples or other "
            f"steps should bring {most}"
        )
    aim = f"target of {target.accuracy:.10g} % right answers"
    if target.is_reached:
        is_below = target.measured is not None and target.measured < (target.accuracy or 0.0)
        within = " within the noise" if is_below else ""
        return f"the {aim} is reached{within}, with {target.measured:.4g} % measured, so {AS_IT_IS}"
    return (
        f"no single change closes the gap of {target.gap:.1f} points to the {aim} {how_sure}, so "
        "look at the kind of network, the data and their labels: more of the same should bring "
        f"{most}"
    )


def _fault(verdict: Verdict) -> str:
    return verdict.mode if verdict.sure else verdict.likely


def _wrong(verdict: Verdict) -> str:
    mode = _fault(verdict)
    if mode == "temperature_high" and verdict.is_broken:
        return f"training broke down{_partly(verdict)}, because its steps were too large"
    gain = main_gain(verdict)
    known = None if gain is None else WRONG_FACT.get((mode, gain.fact or ""))
    if known is None and mode in WRONG:
        known = WRONG[mode]
    return known or f"the answer is {_named(mode)}"


def _partly(verdict: Verdict) -> str:
    """Write which networks of the group broke down, if others did not, to append."""
    found = (check.message for check in verdict.checks if check.code == "MD112" and check.is_found)
    return "".join(f" ({' '.join(message.split())})" for message in found)


def _do(verdict: Verdict) -> str:
    """Write the change that mends the most probable fault."""
    mode, gain = _fault(verdict), main_gain(verdict)
    if gain is None or gain.fact is None:
        return DO[mode]
    how = DO_FACT.get((mode, gain.fact), DO[mode])
    name = gain.fact.replace("_", " ")
    if gain.old is not None and gain.new is not None:
        return f"{how} ({name} {gain.new:.10g} instead of {gain.old:.10g})"
    return how if gain.factor is None else f"{how} ({name} times {gain.factor:.3g})"


def _brings(verdict: Verdict) -> str:
    gain = main_gain(verdict)
    if gain is None:
        return "; what that brings is not known"
    target = verdict.target
    lacks = (
        "" if target is None or target.gap is None else f", of the {target.gap:.1f} to the target"
    )
    has_one_end, spread = gain.range_words
    if spread:  # an end of the range is passed in one case of ten
        spread = f" ({spread} in {'nine cases of ten' if has_one_end else 'four cases of five'})"
    return f", which should bring about {_right_answers(gain.mean, verdict)}{lacks}{spread}"


def _right_answers(points: float, verdict: Verdict) -> str:
    now = verdict.test_accuracy
    than = "" if now is None else f" than the {now:.1f} of now"
    return f"{points:.1f} more right answers in every 100{than}"


def main_gain(verdict: Verdict) -> Gain | None:
    """Return the gain of the change that mends the most probable fault, if it is known."""
    fault = _fault(verdict)
    return next((gain for gain in verdict.gains if REMEDIES.get(gain.remedy) == fault), None)


def _most_promising(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the sure verdict whose change should bring most, rather one that is no mere hint."""
    known = [
        (not _hint(each), gain.mean, each)
        for each in verdicts
        if each.sure and (gain := main_gain(each))
    ]
    return max(known, key=lambda found: found[:2], default=(False, 0.0, None))[2]


def _named(name: str) -> str:
    """Write a name from elsewhere so that a sentence can hold it."""
    words = name if name in FAILURE_MODES else " ".join(name.split())
    return shortened(words.replace("_", " "), _LONGEST)


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return f"{line[:1].upper()}{line[1:]}{'' if line.endswith(('.', '!', '?')) else '.'}"
