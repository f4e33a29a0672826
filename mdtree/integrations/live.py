"""What the callbacks of all frameworks share: a live network, measured within a budget."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from mdtree.diagnosis import Verdict, check_confidence, diagnoser_for
from mdtree.exceptions import DivergedError, MdtreeError
from mdtree.integrations.live_run import LiveRun, check_whole, device_of
from mdtree.integrations.options import (
    check_budget,
    check_finite_loss,
    check_function,
    check_loss,
    check_tree,
    check_whole_number,
    in_words_of_options,
    path_of,
    rows_path,
)
from mdtree.integrations.sample import Source, accepted_names, own_source_of, without_extra_keys
from mdtree.integrations.snapshots import SnapshotKeeper
from mdtree.integrations.undisturbed import undisturbed
from mdtree.measurement import ModelsInMemory, check_metrics, row_within
from mdtree.messages import printable
from mdtree.network import Loss
from mdtree.recipes import checked_facts
from mdtree.render.page_file import write_page
from mdtree.render.terminal_verdict import verdict_text
from mdtree.rows import DEFAULT_PROTOCOL, Fact, Measured, Row, Store, check_protocol, check_seed
from mdtree.rows.training_words import not_understood, understood
from mdtree.trees import SavedTree

__all__ = ["LiveDiagnosis"]

_LOG = logging.getLogger("mdtree.integrations")
_NUMBER = re.compile(r"\d[\d.e+-]*")  # seconds that are another each time, in a reason
_UNTOLD = (
    "a part of the training data was read, and they do not tell how many there are: say it with "
    'facts={"data_amount": ...}'
)


class LiveDiagnosis:
    """Measure and diagnose a network while it is trained; the base of the callbacks.

    The training is not changed: a copy of the network is measured, and random numbers are restored.
    Whatever goes wrong is a warning of the logger `mdtree.integrations`, and the training goes on.

    Args:
        every_n_epochs: Measure after every so many epochs; None: only at the end of training.
        budget: Seconds for each time.  The metrics are measured in the order of their cost, as far
            as they fit.
        items: Training items to measure on, and test items, at most.
        metrics: Names of metrics; none are the usual ones.
        train: The training data, if not those of the framework: a DataLoader, a Dataset, or
            tensors (x, y).
        test: The test data; without them, the framework's validation data.
        loss: A name, a module, or a function of (output, batch); None: that of the framework.
        batch: A function that makes (x, y), or a dictionary of tensors with `labels`, of a batch.
        facts: What is known of the training; it wins over what the framework says.
        tree: A tree, its file, or the name of one that comes with mdtree.
        confidence: The probability below which a verdict is `unsure`.
        protocol: The way of measuring.
        seed: Of everything drawn.
        page: Write the page of the last verdict to this file.
        save: Add the rows to this file.
        snapshots: Keep the networks after the last two epochs in this folder, with what is known
            of their training: `mdtree measure FOLDER --steps all --fork` trains on from them.

    Attributes:
        row: The last row; None before there is one.
        verdict: The last verdict.
        failure: Why the last measurement failed; None if it did not.

    Raises:
        MdtreeError: A name or a number among the options cannot be used.

    """

    def __init__(
        self,
        *,
        every_n_epochs: int | None = None,
        budget: float = 60.0,
        items: int = 2000,
        metrics: Iterable[str] = (),
        train: Any = None,
        test: Any = None,
        loss: str | nn.Module | Loss | None = None,
        batch: Callable[[Any], Any] | None = None,
        facts: Mapping[str, Fact] | None = None,
        tree: SavedTree | str | Path | None = None,
        confidence: float | None = None,
        protocol: str = DEFAULT_PROTOCOL,
        seed: int = 0,
        page: str | Path | None = None,
        save: str | Path | None = None,
        snapshots: str | Path | None = None,
    ) -> None:
        if every_n_epochs is not None:
            check_whole_number("every_n_epochs", every_n_epochs, 1)
        check_whole_number("items", items, 1)
        check_whole_number("seed", seed, 0)
        check_budget(budget)
        if confidence is not None:
            check_confidence(confidence)
        check_loss(loss)
        check_function("batch", batch)
        self.every_n_epochs = every_n_epochs
        self.budget: float = float(budget)
        self.items = items
        self.metrics: tuple[str, ...] = check_metrics(
            (metrics,) if isinstance(metrics, str) else tuple(metrics)
        )
        self.train: Source | None = None if train is None else own_source_of(train)
        self.test: Source | None = None if test is None else own_source_of(test)
        self.loss = loss
        self.batch = batch
        self.facts: dict[str, Fact] = checked_facts(facts or {})
        self.tree: SavedTree | str | None = str(tree) if isinstance(tree, Path) else tree
        self.confidence = confidence
        self.protocol: str = check_protocol(protocol)
        check_tree(self.tree, self.protocol)
        self.seed = check_seed(seed)
        self.page: Path | None = path_of("page", page)
        self.save: Path | None = rows_path("save", save)
        folder = path_of("snapshots", snapshots)
        self.snapshots: SnapshotKeeper | None = None if folder is None else SnapshotKeeper(folder)
        self._unkept: str | None = None  # why the last snapshot was not written
        self.row: Row | None = None
        self.verdict: Verdict | None = None
        self.failure: str | None = None
        self._begin()
        self._said: set[str] = set()  # that is said once

    def _begin(self) -> None:
        """Forget an earlier training."""
        self._evaluations: list[dict[str, float]] = []  # what the framework logged
        self._last_step: int | None = None  # that was measured, or failed
        self._is_concluded = False  # whether the end was measured

    def _conclude(self) -> None:
        """Let the end be measured, also where its step was measured before it was the last."""
        if not self._is_concluded:
            self._last_step, self._is_concluded = None, True

    def is_due(self, epoch: int) -> bool:
        """Return whether the network is measured after so many epochs."""
        return self.every_n_epochs is not None and epoch % self.every_n_epochs == 0

    def keep(self, epoch: float, step: int, look: Callable[[], LiveRun]) -> None:
        """Write a snapshot, where they are asked for; what goes wrong becomes one warning.

        Args:
            epoch: That has ended.
            step: Of training; the network of one step is kept once.
            look: Returns the network and its facts.

        """
        if self.snapshots is None:
            return
        try:
            run = look()
            check_whole(run.module)
            known = {**run.facts, **understood(run.words), **self.facts}
            self.snapshots.keep(run.module, epoch=epoch, step=step, facts={**known, **run.momentum})
        except Exception as error:  # noqa: BLE001 - training must go on
            reason = printable(f"{error!s:.1000}")
            if _NUMBER.sub("", reason) != _NUMBER.sub("", self._unkept or ""):
                _LOG.warning("no snapshot at step %d, and training goes on: %s", step, reason)
            self._unkept = reason

    def diagnose(
        self,
        step: int,
        look: Callable[[], LiveRun],
        log: Callable[[dict[str, float], str], None],
    ) -> None:
        """Measure, diagnose and log; whatever goes wrong becomes one warning.

        Args:
            step: Of training; the network of one step is measured once.
            look: Returns the network and its data.
            log: Passes numbers by name, and the verdict as text, to the loggers of the framework.

        """
        if step == self._last_step:
            return
        self._last_step = step
        started = time.perf_counter()
        try:
            with undisturbed():
                numbers, text = self._diagnosed(look(), started)
                log(numbers, text)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - training must go on
            kind = "" if isinstance(error, MdtreeError) else f"{type(error).__name__}: "
            reason = in_words_of_options(printable(f"{kind}{error!s:.1000}"))
            if _NUMBER.sub("", reason) != _NUMBER.sub("", self.failure or ""):
                _LOG.warning(
                    "the diagnosis at step %d failed, and training goes on: %s", step, reason
                )
            self.failure = reason
        else:
            self.failure = None

    def _diagnosed(self, run: LiveRun, started: float) -> tuple[dict[str, float], str]:
        check_whole(run.module)
        names = accepted_names(run.module)
        convert = self.batch or (lambda batch: without_extra_keys(batch, names))
        train = (self.train or run.train).sample(self.items, self.budget, convert)
        source = self.test or run.test
        test = None if source is None else source.sample(self.items, self.budget, convert)
        models = ModelsInMemory(
            models=[run.module],
            train=train.items,
            test=None if test is None else test.items,
            is_train_whole=False,
            loss=self.loss or run.loss,
            facts={
                **({} if train.amount is None else {"data_amount": train.amount}),
                **run.facts,
                **understood(run.words),
                **self.facts,
            },
            protocol=self.protocol,
            seed=self.seed,
            device=device_of(run.module),
            name=f"step-{run.step}",
        )
        if run.prepare is not None:
            with suppress(DivergedError):  # a verdict by itself, and there is no copy
                run.prepare(models.prepared.runner.network.module)
        left = self.budget - (time.perf_counter() - started)
        row = row_within(models, left, self.metrics)
        if self.loss is not None:
            check_finite_loss(row)
        self.row = row
        if self.save is not None:
            self._write("save", partial(_append, self.save, row))
        diagnoser = diagnoser_for([row], self.tree, confidence=self.confidence, seed=self.seed)
        self.verdict = verdict = diagnoser(row)
        if self.page is not None:
            self._write("page", partial(write_page, self.page, [verdict], [row], diagnoser))
        notes = row.provenance.notes if row.provenance is not None else ()
        notes = (*notes, *self._not_understood(run), *self._amount_untold(row))
        return _numbers(row, verdict), "\n".join((verdict_text(verdict), *map(printable, notes)))

    def _write(self, option: str, write: Callable[[], None]) -> None:
        """Write a file; what goes wrong is said once, and the verdict stays."""
        try:
            write()
        except Exception as error:  # noqa: BLE001 - the file is less than the verdict
            reason = in_words_of_options(printable(f"{error!s:.1000}"))
            if (said := f"{option}: {_NUMBER.sub('', reason)}") not in self._said:
                self._said.add(said)
                _LOG.warning("%s= was not written, and the verdict stays: %s", option, reason)

    def _not_understood(self, run: LiveRun) -> Iterator[str]:
        """Say once which words of the framework are no facts."""
        for fact, word in run.words.items():
            if word is not None and fact not in self.facts and not understood({fact: word}):
                said = not_understood(fact, word)
                if said not in self._said:
                    self._said.add(said)
                    yield said

    def _amount_untold(self, row: Row) -> Iterator[str]:
        """Say once that nobody knows how much data there are."""
        if "data_amount" not in row.facts and not row.is_diverged and _UNTOLD not in self._said:
            self._said.add(_UNTOLD)
            yield _UNTOLD


def _append(path: Path, row: Row) -> None:
    with Store(path) as store:
        store.append(row)


def _numbers(row: Row, verdict: Verdict) -> dict[str, float]:
    """Return what loggers draw."""
    measured = {
        name: value.value for name, value in row.quantities.items() if isinstance(value, Measured)
    }
    chances = {f"p_{mode}": chance for mode, chance in verdict.probabilities.items()}
    return {
        f"mdtree/{name}": float(number)
        for name, number in {**measured, **chances}.items()
        if math.isfinite(number)
    }
