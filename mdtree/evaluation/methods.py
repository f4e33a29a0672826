"""The methods that are compared: baselines, the published tree, and ours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.tree import DecisionTreeClassifier

from mdtree.trees import (
    FACT_FEATURES,
    LANDSCAPE,
    PUBLISHED,
    PublishedTree,
    template_features,
)
from mdtree.trees.arrays import Floats
from mdtree.trees.fit import make_estimator

__all__ = ["METHODS", "Method"]

_RAW = LANDSCAPE[:7]  # as measured, without ratios
_DEPTH = 4  # of the published baselines
_TREES = 200


@dataclass(frozen=True, kw_only=True)
class Method:
    """A method that answers a task."""

    name: str
    meaning: str
    features: Callable[[str], tuple[str, ...]]  # of a task
    make: Callable[[str, int], Any]  # (task, seed) -> estimator


class _Random:
    """An answer drawn evenly from those of the training rows."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def fit(self, _: Floats, y: NDArray[np.str_]) -> _Random:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: Floats) -> Floats:
        return np.full((len(X), len(self.classes_)), 1 / len(self.classes_))

    def predict(self, X: Floats) -> NDArray[np.str_]:
        return np.asarray(self._rng.choice(self.classes_, len(X)))


class _Constant:
    """Always one answer, whatever the training rows say."""

    def __init__(self, answer: str) -> None:
        self.classes_ = np.array([answer])

    def fit(self, _: Floats, __: NDArray[np.str_]) -> _Constant:
        return self

    def predict_proba(self, X: Floats) -> Floats:
        return np.ones((len(X), 1))

    def predict(self, X: Floats) -> NDArray[np.str_]:
        return np.repeat(self.classes_, len(X))


def _hyperparameters(task: str) -> tuple[str, ...]:
    """Return the features of the published baseline."""
    return {"width": ("log_data_amount",), "data": ("log_parameters",)}.get(task, FACT_FEATURES)


def _validation(_: str) -> tuple[str, ...]:
    return ("train_error", "train_loss", "test_loss", "test_error")


def _raw(_: str) -> tuple[str, ...]:
    return _RAW


def _landscape(_: str) -> tuple[str, ...]:
    return LANDSCAPE


def _with_facts(_: str) -> tuple[str, ...]:
    return (*LANDSCAPE, *FACT_FEATURES)


def _published(task: str) -> tuple[str, ...]:
    return template_features(PUBLISHED[task])


def _cart(_: str, __: int) -> Any:
    # the published baseline keeps the seed of the first run
    return DecisionTreeClassifier(max_depth=_DEPTH, random_state=42)


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            name="majority",
            meaning="the most frequent answer of the training rows",
            features=_raw,
            make=lambda _, __: DummyClassifier(strategy="prior"),
        ),
        Method(
            name="always_smaller_batch",
            meaning="always: raise the temperature",
            features=_raw,
            make=lambda task, _: _Constant(
                "temperature_low" if task == "temperature" else "temperature"
            ),
        ),
        Method(
            name="random",
            meaning="a random answer",
            features=_raw,
            make=lambda _, seed: _Random(seed),
        ),
        Method(
            name="no_fit",
            meaning="the published tree with its starting thresholds",
            features=_published,
            make=lambda task, _: PublishedTree(
                shape=task, search="none", features=_published(task)
            ),
        ),
        Method(
            name="cart_hyperparameters",
            meaning="scikit-learn's tree on the parameter count and the data amount",
            features=_hyperparameters,
            make=_cart,
        ),
        Method(
            name="cart_validation",
            meaning="scikit-learn's tree on training and test errors and losses",
            features=_validation,
            make=_cart,
        ),
        Method(
            name="cart_landscape",
            meaning="scikit-learn's tree on the landscape",
            features=_raw,
            make=_cart,
        ),
        Method(
            name="forest_landscape",
            meaning="scikit-learn's random forest on the landscape",
            features=_raw,
            make=lambda _, seed: RandomForestClassifier(_TREES, random_state=seed),
        ),
        Method(
            name="published",
            meaning="the published tree with the published threshold search",
            features=_published,
            make=lambda task, _: make_estimator(task, "mdtree", _published(task)),
        ),
        Method(
            name="posterior",
            meaning="ours, on the training error or loss and the landscape",
            features=_landscape,
            make=lambda task, _: make_estimator(task, "posterior", LANDSCAPE),
        ),
        Method(
            name="grown",
            meaning="ours, the same with questions that are grown from the training rows",
            features=_landscape,
            make=lambda task, _: make_estimator(task, "grown", LANDSCAPE),
        ),
        Method(
            name="posterior_facts",
            meaning="ours, also with the parameter count and the data amount",
            features=_with_facts,
            make=lambda task, _: make_estimator(task, "posterior", _with_facts(task), facts=True),
        ),
    )
}
