"""Failure modes: what is wrong with a trained network, and what fixes it.

Temperature is the noise of training.  A SMALL batch or a large learning rate is a HIGH temperature.
`temperature_low` is called `small` in the published tables: the temperature is too small, that is,
the BATCH IS TOO LARGE; its remedy is a smaller batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

__all__ = [
    "AXES",
    "COMPARISONS",
    "CONFIDENCE",
    "FAILURE_MODES",
    "REMEDIES",
    "TASKS",
    "GridAxis",
    "Move",
    "RoomForImprovement",
    "Task",
    "answer_of",
    "best_gain",
    "contradicts",
    "remedies",
    "step_gain",
]

# The probability below which a verdict is `unsure`.  On unseen zoos, 9.7 % of the groups with a
# clear label get a wrong verdict; with 0.5, it would be 13.7 %.
CONFIDENCE = 0.6

# failure mode -> what it means
FAILURE_MODES: dict[str, str] = {
    "temperature_high": "training was too noisy: batch too small, or learning rate too large",
    "temperature_low": "training had too little noise: batch too LARGE, or learning rate too small",
    "model_small": "the network is too small",
    "data_small": "there is too little training data",
    "none": "no single change gains more than the noise between seeds",
}

# remedy -> the failure mode that it fixes
REMEDIES: dict[str, str] = {
    "lower_temperature": "temperature_high",
    "raise_temperature": "temperature_low",
    "enlarge_model": "model_small",
    "add_data": "data_small",
}


@dataclass(frozen=True, kw_only=True, eq=False)
class GridAxis:
    """A fact of the grid, and the remedies that moving along it stands for, if any."""

    fact: str
    up: str | None = None  # remedy of a larger value
    down: str | None = None  # remedy of a smaller value


AXES: tuple[GridAxis, ...] = (
    GridAxis(fact="batch_size", up="lower_temperature", down="raise_temperature"),
    GridAxis(fact="learning_rate", up="raise_temperature", down="lower_temperature"),
    GridAxis(fact="width", up="enlarge_model"),
    GridAxis(fact="data_amount", up="add_data"),
    GridAxis(fact="label_noise"),  # separates groups; it has no remedy
)


@dataclass(frozen=True)
class Move:
    """How a fact changes on the way to the best group in one direction."""

    fact: str
    factor: float  # new value / old value


@dataclass(frozen=True, kw_only=True)
class RoomForImprovement:
    """What each single change would gain for one group, in points of test accuracy."""

    gains: Mapping[str, float]  # remedy -> best gain in that direction, at least 0
    step: Mapping[str, float]  # remedy -> gain of one grid step; negative if it hurts
    margin: float  # points below which a gain counts as noise
    moves: Mapping[str, Move] = field(default_factory=dict)  # remedy -> the move of its best gain
    unknown: frozenset[str] = frozenset()  # remedies in whose direction the grid ends
    noisy: bool = False  # its margin is so large that it hides gains
    # remedy -> factor of the change (2, 4) -> its gain, negative if it hurts; only if there is a
    # group that far away
    by_factor: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    @property
    def known(self) -> RoomForImprovement:
        """The same without unknown gains, which the published labels count as 0."""
        gains = {name: gain for name, gain in self.gains.items() if name not in self.unknown}
        return replace(self, gains=gains)


@dataclass(frozen=True, kw_only=True, eq=False)
class Task:
    """A question about a group with a known room for improvement, and its possible answers.

    The answer is None if both sides are equal (`optimal` in the published tables), and for
    `resources` also if one of the two gains is unknown.
    """

    meaning: str
    classes: tuple[str, ...]
    answer: Callable[[RoomForImprovement], str | None]


def _temperature_answer(room: RoomForImprovement) -> str | None:
    low, high = (_gain(room, remedy) for remedy in remedies("temperature"))
    return None if low == high else ("temperature_low" if low > high else "temperature_high")


def _width_answer(room: RoomForImprovement) -> str | None:
    return _against_temperature(room, "model_small", "enlarge_model")


def _data_answer(room: RoomForImprovement) -> str | None:
    return _against_temperature(room, "data_small", "add_data")


def _resources_answer(room: RoomForImprovement) -> str | None:
    data, model = (room.known.gains.get(remedy) for remedy in ("add_data", "enlarge_model"))
    if data is None or model is None or data == model:
        return None
    return "data_small" if data > model else "model_small"


def _failure_answer(room: RoomForImprovement) -> str | None:
    best = max(room.gains, key=lambda remedy: room.gains[remedy], default=None)
    return "none" if best is None or room.gains[best] <= room.margin else REMEDIES[best]


TASKS: dict[str, Task] = {
    "temperature": Task(
        meaning="was the training temperature too high or too low?",
        classes=("temperature_high", "temperature_low"),
        answer=_temperature_answer,
    ),
    "width": Task(
        meaning="does a larger network gain more than another temperature?",
        classes=("model_small", "temperature"),
        answer=_width_answer,
    ),
    "data": Task(
        meaning="does more data gain more than another temperature?",
        classes=("data_small", "temperature"),
        answer=_data_answer,
    ),
    "resources": Task(
        meaning="does more data gain more than a larger network?",
        classes=("data_small", "model_small"),
        answer=_resources_answer,
    ),
    "failure": Task(
        meaning="which single change gains most, if any gains more than the noise?",
        classes=tuple(FAILURE_MODES),
        answer=_failure_answer,
    ),
}


# tasks that compare two of the failure modes; width and data compare one with both temperatures
COMPARISONS = ("temperature", "resources")


def answer_of(task: str, mode: str) -> str | None:
    """Return the answer of a failure mode to a task; None if the task does not ask for it."""
    classes = TASKS[task].classes
    if mode in classes:
        return mode
    return "temperature" if mode.startswith("temperature_") and "temperature" in classes else None


def contradicts(room: RoomForImprovement, mode: str) -> bool:
    """Check whether a grid shows that a mode's remedy gains nothing while another does."""
    own_gains = [room.gains[remedy] for remedy in remedies(mode) if remedy in room.gains]
    return bool(own_gains) and max(own_gains) == 0 and max(room.gains.values()) > room.margin


def best_gain(room: RoomForImprovement, answer: str) -> float:
    """Return how many points following an answer gains at best."""
    remedy = _remedy(room, answer)
    return 0.0 if remedy is None else _gain(room, remedy)


def step_gain(room: RoomForImprovement, answer: str) -> float:
    """Return how many points one grid step in the direction of an answer gains or loses."""
    remedy = _remedy(room, answer)
    return 0.0 if remedy is None else room.step.get(remedy, 0.0)


def _gain(room: RoomForImprovement, remedy: str) -> float:
    return room.gains.get(remedy, 0.0)


def _against_temperature(room: RoomForImprovement, mode: str, remedy: str) -> str | None:
    own_gain = _gain(room, remedy)
    temperature_gain = max(_gain(room, remedy) for remedy in remedies("temperature"))
    return (
        None
        if own_gain == temperature_gain
        else (mode if own_gain > temperature_gain else "temperature")
    )


def remedies(answer: str) -> tuple[str, ...]:
    """Return the remedies of an answer; `temperature` leaves the direction open."""
    if answer == "temperature":
        return "raise_temperature", "lower_temperature"
    return tuple(remedy for remedy, mode in REMEDIES.items() if mode == answer)


def _remedy(room: RoomForImprovement, answer: str) -> str | None:
    """Return the remedy of an answer; if the direction is open, the better one."""
    return max(remedies(answer), key=lambda remedy: _gain(room, remedy), default=None)
