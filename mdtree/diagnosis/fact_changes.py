"""What was changed between two trainings, as their facts tell it, and the remedy that it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from mdtree.failure_modes import AXES, GridAxis
from mdtree.rows import TARGET, Fact
from mdtree.rows.facts import LATE_GAIN, LATE_LOSS_DROP
from mdtree.rows.training_words import is_same_word

__all__ = ["Attribution", "FactChange", "attribution", "fact_changes"]

# facts that say how training ended, or how far it should go, not how it was done
_OUTCOMES = ("test_accuracy", "label", TARGET, LATE_GAIN, LATE_LOSS_DROP)
_SIZE = GridAxis(fact="parameters", up="enlarge_model")
_AXES = {axis.fact: axis for axis in (*AXES, _SIZE)}
_ROUNDING = 0.1  # of a count of steps: the last batch of an epoch is smaller, or left out
_LARGEST = 1e15  # factor of a change
_SAME = 1e-9  # relative: facts from two files may differ in their last bits


@dataclass(frozen=True, kw_only=True)
class FactChange:
    """One fact that is not the same before and after."""

    fact: str
    before: Fact | None  # None: not known
    after: Fact | None
    remedy: str | None = None  # that this change is, if it is one
    follows: str | None = None  # the changed fact that this one only follows from

    @property
    def is_known(self) -> bool:
        """Whether the fact is known on both sides."""
        return self.before is not None and self.after is not None


@dataclass(frozen=True, kw_only=True)
class Attribution:
    """The one remedy that the changed facts are, or why there is none."""

    remedy: str | None = None
    candidates: tuple[str, ...] = ()  # remedies among the changes
    reason: str | None = None


def fact_changes(before: Mapping[str, Fact], after: Mapping[str, Fact]) -> tuple[FactChange, ...]:
    """List the facts that differ: first those that have a remedy, then the others by name."""
    names = {*before, *after} - {*_OUTCOMES}
    ordered = [*(name for name in _AXES if name in names), *sorted(names - {*_AXES})]
    changed = [
        FactChange(
            fact=name,
            before=before.get(name),
            after=after.get(name),
            remedy=_remedy(name, before.get(name), after.get(name)),
        )
        for name in ordered
        if not _same(name, before.get(name), after.get(name))
    ]
    return tuple(replace(each, follows=_cause(each, changed, before, after)) for each in changed)


def attribution(changes: Sequence[FactChange]) -> Attribution:
    """Return the remedy that all changes of training amount to."""
    own = [change for change in changes if change.is_known and not change.follows]
    remedies = tuple(dict.fromkeys(change.remedy for change in own if change.remedy))
    names = ", ".join(change.fact for change in own)
    if not own:
        unknown = ", ".join(change.fact for change in changes if not change.is_known)
        hint = f" (known on one side only: {unknown})" if unknown else ""
        return Attribution(reason=f"no fact that both sides know has changed{hint}")
    if not remedies:
        return Attribution(reason=f"a diagnosis has no remedy that is this change: {names}")
    if len(remedies) > 1 or any(change.remedy is None for change in own):
        return Attribution(
            candidates=remedies,
            reason=f"several changes at once, so no gain is due to one of them: {names}",
        )
    return Attribution(remedy=remedies[0], candidates=remedies)


def _remedy(name: str, before: Fact | None, after: Fact | None) -> str | None:
    axis = _AXES.get(name)
    old, new = _number(before), _number(after)
    if axis is None or old is None or new is None:
        return None
    return axis.up if new > old else axis.down


def _number(value: Fact | None) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value)
    except OverflowError:
        return None


def _same(name: str, before: Fact | None, after: Fact | None) -> bool:
    if isinstance(before, str) and isinstance(after, str):
        return is_same_word(name, before, after)
    old, new = _number(before), _number(after)
    if old is None or new is None:
        return before == after
    return math.isclose(old, new, rel_tol=_SAME)


def _cause(
    change: FactChange,
    changed: Sequence[FactChange],
    before: Mapping[str, Fact],
    after: Mapping[str, Fact],
) -> str | None:
    """Return the change that this one only follows from.

    A part of the weights follows the size of the network.  With `steps x batch_size = epochs x
    data_amount`, the steps follow batch and data where the epochs stay, and epochs where steps do.
    """
    names = [each.fact for each in changed if each.is_known]
    if change.fact == "conv_parameters":
        return next((name for name in ("width", "parameters") if name in names), None)
    causes = [name for name in ("batch_size", "data_amount") if name in names]
    if change.fact not in ("steps", "epochs") or not causes:
        return None
    other = "epochs" if change.fact == "steps" else "steps"
    if other in names:
        return None  # the length of training has been changed as well
    if not (other in before and other in after):
        factors = {name: _factor(before, after, name) for name in (change.fact, *causes)}
        by_batches = factors.get("data_amount", 1.0) / factors.get("batch_size", 1.0)
        expected = by_batches if change.fact == "steps" else 1 / by_batches
        if not math.isclose(factors[change.fact], expected, rel_tol=_ROUNDING):
            return None
    return " and ".join(causes)


def _factor(before: Mapping[str, Fact], after: Mapping[str, Fact], name: str) -> float:
    """Return by how much a fact was multiplied; NaN where that means nothing."""
    old, new = _number(before.get(name)), _number(after.get(name))
    return new / old if old and new and 1 / _LARGEST < abs(new / old) < _LARGEST else math.nan
