"""Templates of trees: the questions and their order, with thresholds still open.

The published templates and starting thresholds are those of Zhou et al. (ICML 2024), in our terms:
their `small` is `temperature_low` (the batch is too large), their `large` is `temperature_high`.

A belief describes which thresholds are plausible before any data is seen: a Student t with four
degrees of freedom around `start`, cut off at `bounds`, on the scale of the feature.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from mdtree.trees.arrays import DECIMALS
from mdtree.trees.file_numbers import STRICT, Number, Positive
from mdtree.trees.node import OneKind

__all__ = [
    "FAMILIES",
    "PUBLISHED",
    "Family",
    "Question",
    "Scale",
    "Template",
    "TemplateLeaf",
    "answers",
    "from_scale",
    "questions_of",
    "rounded",
    "template_features",
    "to_scale",
]

Scale = Literal["linear", "log", "arcsinh"]


@dataclass(frozen=True)
class TemplateLeaf:
    """A leaf of a template: the class that it stands for."""

    __pydantic_config__ = STRICT

    answer: str


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question of a template."""

    __pydantic_config__ = STRICT

    feature: str
    start: Number  # the published threshold, or the centre of our belief
    bounds: tuple[Number, Number]
    low: Template  # for values <= threshold
    high: Template
    order: int = 0  # in which the published search fits the thresholds
    spread: Positive = 1.0  # of the belief, on its scale
    scale: Scale = "linear"


Template = Annotated[Question | TemplateLeaf, OneKind()]

_HIGH, _LOW = TemplateLeaf("temperature_high"), TemplateLeaf("temperature_low")
_MODEL, _DATA, _TEMPERATURE = (
    TemplateLeaf("model_small"),
    TemplateLeaf("data_small"),
    TemplateLeaf("temperature"),
)


def _error(order: int, low: Template, high: Template) -> Question:
    """Ask whether the network interpolates its training data."""
    return Question(
        feature="train_error", start=0.5, bounds=(0, 1), order=order, low=low, high=high
    )


def _peak(order: int, low: Template, high: Template) -> Question:
    return Question(
        feature="connectivity_peak", start=-10, bounds=(-30, 0), order=order, low=low, high=high
    )


def _trace(order: int, low: Template, high: Template) -> Question:
    return Question(
        feature="log_hessian_trace", start=7, bounds=(4, 9), order=order, low=low, high=high
    )


PUBLISHED: dict[str, Template] = {
    "temperature": _error(0, _LOW, _peak(1, _trace(2, _HIGH, _LOW), _HIGH)),
    "temperature-cka": _error(
        0,
        _LOW,
        _peak(
            1,
            Question(feature="cka", start=0.5, bounds=(0.2, 0.8), order=2, low=_LOW, high=_HIGH),
            _HIGH,
        ),
    ),
    "width": _error(0, _peak(1, _MODEL, _TEMPERATURE), _peak(2, _MODEL, _TEMPERATURE)),
    "data": _error(
        0,
        _peak(1, _trace(4, _DATA, _TEMPERATURE), _trace(2, _DATA, _TEMPERATURE)),
        _peak(3, _TEMPERATURE, _trace(5, _DATA, _TEMPERATURE)),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Family:
    """The weighted templates of a task, and how sure a leaf is of its class before any data.

    `hit` and `miss` are the Dirichlet weights of a leaf's own class and of all others together.
    """

    shapes: tuple[tuple[float, Template], ...]
    hit: float = 20.0
    miss: float = 1.5


Belief = tuple[str, float, tuple[float, float], float, Scale]  # feature, centre, bounds, spread

# beliefs about thresholds before any data; the centres are near the published starts
_INTERPOLATES: Belief = ("train_error", 0.5, (0.02, 3.0), 0.7, "log")
_ANNEALED: Belief = ("connectivity", 0.0, (-8.0, 8.0), 0.3, "arcsinh")
_CONNECTED: Belief = ("connectivity_peak", -2.0, (-60.0, -1e-4), 0.8, "arcsinh")
_APART: Belief = ("connectivity_peak", -4.0, (-60.0, -1e-4), 0.8, "arcsinh")
_BARRIER: Belief = ("log_peak_ratio", 0.0, (-4.0, 6.0), 1.0, "linear")
_CONFIDENT: Belief = ("train_loss", 0.003, (1e-4, 0.5), 1.0, "log")
_ALIKE: Belief = ("cka", 0.45, (0.1, 0.95), 0.15, "linear")
_STEEP: Belief = ("log_hessian_top", 3.0, (-1.0, 7.0), 1.0, "linear")
_SHARP: Belief = ("log_hessian_trace", 5.0, (2.0, 10.0), 1.0, "linear")
_ONE_WAY: Belief = ("log_hessian_share", -2.1, (-4.0, 0.0), 0.5, "linear")
_SIZE: Belief = ("log_parameters", 13.5, (8.0, 19.0), 1.5, "linear")
_AMOUNT: Belief = ("log_data_amount", 10.0, (7.0, 14.0), 0.6, "linear")


def _question(belief: Belief, low: Template, high: Template) -> Question:
    feature, start, bounds, spread, scale = belief
    return Question(
        feature=feature, start=start, bounds=bounds, spread=spread, scale=scale, low=low, high=high
    )


def _fitted() -> Template:
    """Ask about an interpolating network: low loss or similar outputs point to temperature."""
    return _question(_CONFIDENT, _TEMPERATURE, _question(_ALIKE, _MODEL, _TEMPERATURE))


def _flat() -> Template:
    """Ask about curvature: a flat minimum with dissimilar outputs points to too little data."""
    return _question(_STEEP, _question(_ALIKE, _DATA, _TEMPERATURE), _TEMPERATURE)


def _size() -> Template:
    return _question(_SIZE, _MODEL, _TEMPERATURE)


def _amount() -> Template:
    return _question(_AMOUNT, _DATA, _TEMPERATURE)


# A group is classified by those templates of its task whose features it has.
FAMILIES: dict[str, Family] = {
    "temperature": Family(
        shapes=(
            (0.90, _question(_INTERPOLATES, _LOW, _question(_ANNEALED, _LOW, _HIGH))),
            (0.09, PUBLISHED["temperature"]),
            (0.01, _question(_INTERPOLATES, _LOW, _HIGH)),
        )
    ),
    "width": Family(
        shapes=(
            (1.0, _question(_INTERPOLATES, _fitted(), _question(_CONNECTED, _MODEL, _TEMPERATURE))),
            (1.0, _question(_INTERPOLATES, _fitted(), _question(_BARRIER, _TEMPERATURE, _MODEL))),
            (1.0, _question(_INTERPOLATES, _fitted(), _question(_ONE_WAY, _TEMPERATURE, _MODEL))),
        )
    ),
    "data": Family(
        shapes=(
            (0.99, _question(_INTERPOLATES, _flat(), _flat())),
            (0.01, _question(_STEEP, _DATA, _TEMPERATURE)),
        )
    ),
    "failure": Family(
        shapes=(
            (
                1.0,
                _question(
                    _APART,
                    _question(_STEEP, _DATA, _MODEL),
                    _question(
                        _INTERPOLATES,
                        _question(_SHARP, _DATA, _LOW),
                        _question(_ALIKE, _DATA, _HIGH),
                    ),
                ),
            ),
        ),
        hit=8.0,
        miss=3.0,
    ),
    # with facts: the parameter count and the data amount may be asked too
    "width+facts": Family(shapes=((1.0, _question(_INTERPOLATES, _size(), _size())),)),
    "data+facts": Family(shapes=((1.0, _question(_INTERPOLATES, _amount(), _amount())),)),
}


def questions_of(template: Template) -> Iterator[Question]:
    """Yield the questions of a template, from the root down."""
    if isinstance(template, Question):
        yield template
        yield from questions_of(template.low)
        yield from questions_of(template.high)


def answers(template: Template) -> list[str]:
    """Return the answers of a template, from low to high."""
    if isinstance(template, TemplateLeaf):
        return [template.answer]
    return answers(template.low) + answers(template.high)


def template_features(template: Template) -> tuple[str, ...]:
    """Return the features that a template asks for, each once, in order."""
    return tuple(dict.fromkeys(question.feature for question in questions_of(template)))


def to_scale(values: NDArray[np.float64], scale: Scale) -> NDArray[np.float64]:
    """Return values on the scale of the belief; the order is kept.

    Logarithms are rounded: their last bits depend on the processor, and measurements carry far
    fewer digits.
    """
    if scale == "linear":
        return values
    scaled = np.log(np.maximum(values, 1e-12)) if scale == "log" else np.arcsinh(values)
    return np.asarray(scaled.round(DECIMALS), dtype=np.float64)


def from_scale(value: float, scale: Scale) -> float:
    """Undo `to_scale` for one threshold."""
    if scale == "linear":
        return value
    return rounded(math.exp(value) if scale == "log" else math.sinh(value))


def rounded(value: float) -> float:
    """Round to ten digits: the last ones of a logarithm depend on the processor."""
    return float(f"{value:.{DECIMALS - 2}g}")
