"""The vocabulary of facts: what is known about a group besides its measurements.

Any other name is allowed (each axis of a zoo is a fact); these have a known meaning.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from mdtree.messages import MOST_FAULTS, nearest
from mdtree.rows.quantity import AMOUNT, SHARE, Range

__all__ = [
    "AMOUNT_AT_MOST",
    "CLASSES",
    "FACTS",
    "FACT_RANGES",
    "ITEMS_OF_DATA",
    "LATE_GAIN",
    "LATE_LOSS_DROP",
    "TARGET",
    "TEXT_FACTS",
    "Fact",
    "unused_fact",
]
__all__ += ["check_facts", "classes_fault", "target_fault"]

Fact = bool | int | float | str

TARGET = "target_accuracy"
ITEMS_OF_DATA = "the data hold"  # before their number, in a note that settings tell of another
AMOUNT_AT_MOST = "data_amount_at_most"  # where a log tells no more of `data_amount`
LATE_GAIN = "late_accuracy_gain"
LATE_LOSS_DROP = "late_loss_drop"
_ACCURACY = "test_accuracy"
CLASSES = "classes"
_FEWEST_CLASSES, _MOST_CLASSES = 2, 1_000_000
_WHOLE = 100  # percent

FACTS: dict[str, str] = {
    "parameters": "number of weights that training changes",
    "conv_parameters": "number of weights in convolutions, which use each at many places",
    "width": "width of the network, as its factory counts it",
    "batch_size": "items in one step of training (a small batch is a high temperature)",
    "learning_rate": "learning rate of training (a large one is a high temperature)",
    "data_amount": "number of training items",
    "label_noise": "share of training labels that are wrong on purpose, 0 to 1",
    "test_accuracy": "test accuracy in percent, mean over seeds",
    TARGET: "test accuracy in percent that is achievable, if it is known; gains end there",
    CLASSES: "number of classes, which tells what chance reaches where no error was measured",
    "epochs": "passes of training over its data",
    "steps": "steps of training",
    "weight_decay": "weight decay of training",
    "momentum": "momentum of SGD in training",
    LATE_GAIN: "points that the second half of training added to the logged test accuracy",
    LATE_LOSS_DROP: "percent by which the logged test loss fell in the second half of training",
}

# known fact -> what it may be, where a row is read; a target is judged where it is used
FACT_RANGES: dict[str, Range] = {
    **{name: AMOUNT for name in FACTS if name != TARGET},
    "label_noise": Range(0, 1),
    CLASSES: Range(_FEWEST_CLASSES, _MOST_CLASSES),
    _ACCURACY: SHARE,
    LATE_GAIN: SHARE,
    LATE_LOSS_DROP: SHARE,
}

# the known facts that are words
TEXT_FACTS: dict[str, str] = {
    "zoo": "name of the zoo; groups of different zoos are never compared to label them",
    "optimizer": "how weights are changed (sgd, adamw, adamw_torch, ...)",
    "schedule": "how the learning rate changes in training (constant, cosine, linear, ...)",
    "label": "failure mode that a person found, where no grid tells it (temperature_low, ...)",
}

# how people write some of them; a recipe may have such a fact of its own
_SHORT = {"lr": "learning_rate", "bs": "batch_size", "wd": "weight_decay"}
_ALIKE = 0.75  # similarity from which a word was probably meant


def unused_fact(name: str) -> str | None:
    """Say that no tree uses a fact, if another name was probably meant."""
    if name in FACTS:
        return None
    short = f", did you mean {_SHORT[name]!r}?" if name in _SHORT else ""
    meant = short or nearest(name, FACTS, cutoff=_ALIKE)
    return f"no tree uses the fact {name!r}{meant}" if meant else None


def check_facts(facts: Mapping[str, Fact]) -> list[str]:
    """List what is surely a mistake: a misspelt known name, or a known fact of the wrong type."""
    return list(islice(_faults(facts), MOST_FAULTS))


def _faults(facts: Mapping[str, Fact]) -> Iterator[str]:
    for name, value in facts.items():
        if name in TEXT_FACTS:
            fault = None if isinstance(value, str) else "must be a word"
        elif name not in FACTS:
            fault = None
            if hint := _misspelt(name):
                yield f"fact {name!r} is unknown{hint}"
        elif name == TARGET:
            fault = None
            if target := target_fault(value):
                yield f"fact {name!r} {target}"
        else:
            fault = _fault_of_number(name, value)
        if fault is not None:
            yield f"fact {name!r} {fault}, got {value!r:.100}"


def _fault_of_number(name: str, value: Fact) -> str | None:
    if name == CLASSES and (fault := classes_fault(value)):
        return fault
    if not _is_amount(value):
        return "must be a number of at least 0"
    if FACT_RANGES[name] is SHARE and not _is_percentage(value):
        return "must be a percentage, 0 to 100"
    return None


def classes_fault(value: Fact) -> str | None:
    """Say what a number of classes must be, if this is none."""
    if _is_count_of_classes(value):
        return None
    return f"must be a whole number, {_FEWEST_CLASSES} to {_MOST_CLASSES}"


def target_fault(value: Fact) -> str | None:
    """Say what is wrong with a target: people write shares, which any network reaches."""
    if not _is_percentage(value):
        return f"must be a percentage, 0 to 100, got {value!r:.100}"
    if 0 < float(value) <= 1:
        return f"is in percent: write 95 for 95 %; got {value!r:.100}"
    return None


def _misspelt(name: str) -> str:
    """Suggest the known name that was meant; `batch_size_test` is a different name."""
    words = set(name.split("_"))
    return nearest(name, (fact for fact in FACTS if not words > set(fact.split("_"))), cutoff=0.8)


def _is_amount(value: Fact) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _is_count_of_classes(value: Fact) -> bool:
    if not _is_amount(value) or isinstance(value, str):
        return False
    return _FEWEST_CLASSES <= value <= _MOST_CLASSES and float(value).is_integer()


def _is_percentage(value: Fact) -> bool:
    return _is_amount(value) and not isinstance(value, str) and value <= _WHOLE
