"""Hugging Face Trainer: diagnose a network at the end of `train`, or every few epochs.

The only file here that imports transformers (the extra `transformers`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from mdtree.batch import LABELS
from mdtree.exceptions import DataError, MissingExtraError
from mdtree.integrations.live import LiveDiagnosis
from mdtree.integrations.live_run import LiveRun, at_the_end
from mdtree.integrations.sample import Source, accepted_names
from mdtree.integrations.snapshots import momentum_of
from mdtree.integrations.undisturbed import copied_collate
from mdtree.rows import Fact
from mdtree.rows.training_words import TRAINING_WORDS, is_known_word
from mdtree.runtime import torchvision as vision
from mdtree.runtime.requirements import refuse_older

try:
    with vision.usable():
        from transformers import Trainer, TrainerCallback
        from transformers import __version__ as _version
except ImportError as error:
    raise MissingExtraError(
        "this callback needs transformers: pip install 'mdtree-diagnosis[transformers]'"
    ) from error

__all__ = ["DiagnosisCallback"]

refuse_older("transformers", _version)


class DiagnosisCallback(LiveDiagnosis, TrainerCallback):  # type: ignore[misc]  # optional
    """Measure the network that a Trainer trains, and log quantities and verdict through it.

    Data and collator are those of the Trainer, and so is the loss of the model's head.

    Args:
        trainer: The Trainer.  Its `log` reaches all loggers, and it knows the data.
        **options: Options of `LiveDiagnosis`.

    Examples:
        Add it after the Trainer is made::

            diagnosis = DiagnosisCallback(trainer, budget=30, page="diagnosis.html")
            trainer.add_callback(diagnosis)
            trainer.train()

    """

    def __init__(self, trainer: Trainer, **options: Any) -> None:
        super().__init__(**options)
        self.trainer = trainer
        # what was given to the Trainer replaces what its arguments say
        classes = getattr(trainer, "optimizer_cls_and_kwargs", None)
        self._is_given = {
            "optimizer": trainer.optimizer is not None or classes is not None,
            "schedule": trainer.lr_scheduler is not None,
        }

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        """Begin anew: a Trainer may train several times."""
        self._begin()

    def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure every few epochs, and after the last one, unless its evaluation comes yet.

        Not only at the end of training: by then, loggers such as MLflow's have closed their run.
        """
        self._keep(args, state)
        is_last = control.should_training_stop or state.global_step >= state.max_steps
        if is_last and control.should_evaluate:
            return
        if is_last or self.is_due(round(state.epoch)):
            self._diagnose(args, state, control, is_end=is_last)

    def on_evaluate(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure after the evaluation of the last epoch, or one that has ended the training."""
        if control.should_training_stop or 0 < state.max_steps <= state.global_step:
            self._diagnose(args, state, control, is_end=True)

    def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Measure what has not been measured yet."""
        self._keep(args, state)
        self._diagnose(args, state, control, is_end=True)

    def _diagnose(self, args: Any, state: Any, control: Any, *, is_end: bool) -> None:
        if not state.is_world_process_zero:
            return
        trainer = self.trainer

        def look() -> LiveRun:
            run = self._run(args, state)
            return at_the_end(run, state.log_history, is_certain=True) if is_end else run

        def log(numbers: dict[str, float], text: str) -> None:
            should_log = control.should_log  # which `Trainer.log` takes as done
            trainer.log(numbers)
            control.should_log = should_log
            state.log_history[-1]["mdtree/verdict"] = text  # in trainer_state.json

        if is_end:
            self._conclude()
        self.diagnose(state.global_step, look, log)

    def _keep(self, args: Any, state: Any) -> None:
        if state.is_world_process_zero:
            self.keep(round(state.epoch, 4), state.global_step, lambda: self._run(args, state))

    def _run(self, args: Any, state: Any) -> LiveRun:
        trainer, model = self.trainer, self.trainer.model
        convert = _collate(trainer, model)
        test = trainer.eval_dataset
        if isinstance(test, dict):
            test = next(iter(test.values()), None)
        optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)
        return LiveRun(
            module=model,
            train=self.train or _source(trainer.train_dataset, convert),
            test=None if test is None else _source(test, convert),
            step=state.global_step,
            facts=_facts(args, state),
            words=self._words(args),
            momentum=momentum_of([optimizer]),
            prepare=_without_autocast,
        )

    def _words(self, args: Any) -> dict[str, str | None]:
        """Return what the arguments say, unless something else changes the weights."""
        trainer = self.trainer
        optimizer = getattr(trainer.optimizer, "optimizer", trainer.optimizer)  # not accelerate's
        scheduler = getattr(trainer.lr_scheduler, "scheduler", trainer.lr_scheduler)
        asked = {"optimizer": args.optim, "schedule": args.lr_scheduler_type}
        used = {"optimizer": type(optimizer).__name__, "schedule": type(scheduler).__name__}
        words: dict[str, str | None] = {}
        for fact, means in TRAINING_WORDS.items():
            word = str(getattr(asked[fact], "value", asked[fact]))
            differs = is_known_word(fact, used[fact]) and means(used[fact]) != means(word)
            words[fact] = used[fact] if differs or self._is_given[fact] else word
        return words


def _source(data: Any, collate: Callable[[list[Any]], Any]) -> Source:
    if data is None:
        raise DataError("the Trainer has no training data: give the callback some, train=...")
    return Source(data=data, collate=collate)


def _collate(trainer: Trainer, model: nn.Module) -> Callable[[list[Any]], Any]:
    """Return the collator of the Trainer, which removes columns that the model does not take."""
    collator: Callable[[list[Any]], Any] = copied_collate(trainer.data_collator)
    names = accepted_names(model)
    if not trainer.args.remove_unused_columns or names is None:
        return collator
    kept = {*names, *LABELS, "label_ids", *(trainer.args.label_names or ())}

    def collate(items: list[Any]) -> Any:
        return collator(
            [
                {key: value for key, value in item.items() if key in kept}
                if isinstance(item, Mapping)
                else item
                for item in items
            ]
        )

    return collate


def _facts(args: Any, state: Any) -> dict[str, Fact]:
    """Read what the Trainer knows; its batch is that of one device."""
    batch = (state.train_batch_size or args.train_batch_size) * args.gradient_accumulation_steps
    return {
        "batch_size": batch * args.world_size,
        "learning_rate": args.learning_rate,
        "weight_decay": args.weight_decay,
        "steps": state.global_step,
        "epochs": round(state.epoch, 4),
    }


def _without_autocast(copied: nn.Module) -> None:
    """Undo, on the copy, what accelerate does for mixed precision: it wraps `forward`."""
    original = copied.__dict__.pop("_original_forward", None)
    if original is not None:
        copied.forward = original
