"""Headlines: a verdict in one sentence of everyday words, for people who do not train networks.

What is wrong, how sure that is, what to do next, and what that should bring.  The page, Markdown
and JSON take it from here, so that they cannot differ.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from mdtree.diagnosis.recommendation import GIVE, MEASURE, MORE_SEEDS, SECOND_SEED
from mdtree.diagnosis.verdict_record import UNSURE, Gain, Verdict
from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.messages import percent, plural, shortened

__all__ = ["headline", "headline_of_all", "main_gain"]

_LONGEST = 60  # characters of a name inside a sentence
_NONE = "none"

# failure mode -> what is wrong
_WRONG = {
    "temperature_high": "training was too hasty, in steps that were too large or saw too little",
    "temperature_low": "training was too cautious, in steps that were too small or saw too much",
    "model_small": "the network is too small for its task",
    "data_small": "the network was trained on too few examples",
    "temperature": "training took steps of the wrong size",
    _NONE: "no single change would help much",
}
# failure mode, fact to change -> the same, where it is known which of the two it is
_WRONG_FACT = {
    ("temperature_high", "learning_rate"): "training was too hasty, in steps that were too large",
    ("temperature_high", "batch_size"): (
        "training was too hasty, in steps that each saw too few examples"
    ),
    ("temperature_low", "learning_rate"): (
        "training was too cautious, in steps that were too small"
    ),
    ("temperature_low", "batch_size"): (
        "training was too cautious, in steps that each saw too many examples"
    ),
}
# failure mode -> what to do
_DO = {
    "temperature_high": "train again with smaller steps, or with more examples in each of them",
    "temperature_low": "train again with larger steps, or with fewer examples in each of them",
    "model_small": "train a larger network",
    "data_small": "train again with more examples",
}
_DO_FACT = {
    ("temperature_high", "learning_rate"): "train again with smaller steps",
    ("temperature_high", "batch_size"): "train again with more examples in each step",
    ("temperature_low", "learning_rate"): "train again with larger steps",
    ("temperature_low", "batch_size"): "train again with fewer examples in each step",
}
# verdict -> what is said of so many groups
_COUNTED = {
    "temperature_high": "trained too hastily",
    "temperature_low": "trained too cautiously",
    "model_small": "too small for the task",
    "data_small": "trained on too few examples",
    _NONE: "that no single change would help much",
    UNSURE: "still unclear",
}
_AS_IT_IS = "leave the training as it is"


def headline(verdict: Verdict) -> str:
    """Return a verdict in one sentence: what is wrong, how sure, what next, what that brings."""
    text = _plainly(verdict)
    if verdict.outlier is not None and verdict.outlier.outside:
        text = (
            "take this as a hint only, because the network is unlike those that mdtree has learnt "
            f"from: {text}"
        )
    return _sentence(text)


def headline_of_all(verdicts: Sequence[Verdict]) -> str:
    """Return several verdicts in one sentence: how many of which kind, and where to begin."""
    if len(verdicts) == 1:
        return headline(verdicts[0])
    counts = Counter(verdict.mode for verdict in verdicts).most_common()
    kinds = ", ".join(f"{count} {_COUNTED.get(mode, _named(mode))}" for mode, count in counts)
    text = f"of {plural(len(verdicts), 'group')} of networks: {kinds or 'none could be diagnosed'}"
    probabilities = [verdict.probability for verdict in verdicts if verdict.sure]
    if probabilities:
        text += f" (each answer at least {percent(min(probabilities))} sure)"
    first = _most_promising(verdicts)
    if first is None:
        return _sentence(text)
    name = shortened(" ".join(first.group.split()), _LONGEST)
    return _sentence(f"{text}; begin with {name}: {_do(first)}{_brings(first)}")


def _plainly(verdict: Verdict) -> str:
    if not verdict.sure:
        return _unsure(verdict)
    how_sure = f"({percent(verdict.probability)} sure)"
    if verdict.mode == _NONE:
        return _nothing(verdict, how_sure)
    if verdict.mode not in _DO:  # a name that this version does not know
        return f"{_named(verdict.mode)} {how_sure}; {verdict.advice}"
    return f"{_wrong(verdict)} {how_sure}, so {_do(verdict)}{_brings(verdict)}"


def _unsure(verdict: Verdict) -> str:
    guess = f"the best guess ({percent(verdict.probability)} sure) is that "
    guess += _wrong(verdict)
    return f"it is not clear yet what is wrong; {guess}, so {_to_find_out(verdict)}"


def _to_find_out(verdict: Verdict) -> str:
    """Write what makes an answer surer, from the advice of the verdict."""
    advice = verdict.advice
    if advice.startswith(SECOND_SEED):
        return "train the same network once more from another random start, which makes it clearer"
    if advice.startswith(MORE_SEEDS):
        seeds = "train the same network again from other random starts"
        tried = " or try the two changes that should bring most" if len(verdict.gains) > 1 else ""
        return f"{seeds}{tried}, which makes it clearer"
    if advice.startswith(GIVE):
        names, _, _ = advice.removeprefix(GIVE).partition(" with --fact")
        return f"tell mdtree more about the training ({_named(names)}), which makes it clearer"
    if advice.startswith(MEASURE):
        name, _, _ = advice.removeprefix(MEASURE).partition(" ")
        return f"let mdtree measure more ({_named(name)}), which makes it clearer"
    if _fault(verdict) in _DO:
        return f"the change to try is to {_do(verdict)}{_brings(verdict)}"
    return f"the next step is: {advice}"


def _nothing(verdict: Verdict, how_sure: str) -> str:
    """Write the answer `none`, measured against the target if there is one."""
    target = verdict.target
    best = max((gain.mean for gain in verdict.gains), default=None)
    most = "nothing beyond chance" if best is None else f"only about {_right_answers(best)}"
    if target is None or target.gap is None:
        return (
            f"{_WRONG[_NONE]} {how_sure}, so {_AS_IT_IS}: a larger network, more examples or other "
            f"steps should bring {most}"
        )
    aim = f"target of {target.accuracy:.10g} % right answers"
    if target.is_reached:
        return f"the {aim} is reached, with {target.measured:.1f} % measured, so {_AS_IT_IS}"
    return (
        f"no single change closes the gap of {target.gap:.1f} points to the {aim} {how_sure}, so "
        "look at the kind of network, the data and their labels: more of the same should bring "
        f"{most}"
    )


def _fault(verdict: Verdict) -> str:
    return verdict.mode if verdict.sure else verdict.likely


def _wrong(verdict: Verdict) -> str:
    mode = _fault(verdict)
    if mode == "temperature_high" and _is_broken(verdict):
        return "training broke down, because its steps were too large"
    gain = main_gain(verdict)
    known = None if gain is None else _WRONG_FACT.get((mode, gain.fact or ""))
    if known is None and mode in _WRONG:
        known = _WRONG[mode]
    return known or f"the answer is {_named(mode)}"


def _is_broken(verdict: Verdict) -> bool:
    return any(step.feature == "weights" for step in verdict.clues)


def _do(verdict: Verdict) -> str:
    """Write the change that mends the most probable fault."""
    mode, gain = _fault(verdict), main_gain(verdict)
    if gain is None or gain.fact is None:
        return _DO[mode]
    how = _DO_FACT.get((mode, gain.fact), _DO[mode])
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
    known = gain.low is not None and gain.high is not None
    spread = f" ({gain.low:.1f} to {gain.high:.1f} in four cases of five)" if known else ""
    return f", which should bring about {_right_answers(gain.mean)}{lacks}{spread}"


def _right_answers(points: float) -> str:
    return f"{points:.1f} more right answers in every 100"


def main_gain(verdict: Verdict) -> Gain | None:
    """Return the gain of the change that mends the most probable fault, if it is known."""
    fault = _fault(verdict)
    return next((gain for gain in verdict.gains if REMEDIES.get(gain.remedy) == fault), None)


def _most_promising(verdicts: Sequence[Verdict]) -> Verdict | None:
    """Return the sure verdict whose change should bring most."""
    known = [(gain.mean, each) for each in verdicts if each.sure and (gain := main_gain(each))]
    return max(known, key=lambda pair: pair[0], default=(0.0, None))[1]


def _named(name: str) -> str:
    """Write a name from elsewhere so that a sentence can hold it."""
    words = name if name in FAILURE_MODES else " ".join(name.split())
    return shortened(words.replace("_", " "), _LONGEST)


def _sentence(text: str) -> str:
    line = " ".join(text.split())
    return f"{line[:1].upper()}{line[1:]}{'' if line.endswith(('.', '!', '?')) else '.'}"
