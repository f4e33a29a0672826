"""Lightning: diagnose a network at the end of `Trainer.fit`, or every few epochs.

The only file that imports lightning (the extra `lightning`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from mdtree.exceptions import MissingExtraError
from mdtree.integrations.live import LiveDiagnosis
from mdtree.integrations.live_run import LiveRun, at_the_end
from mdtree.integrations.sample import Source, source_of
from mdtree.integrations.snapshots import momentum_of
from mdtree.rows import Fact
from mdtree.runtime import torchvision as vision

try:
    with vision.usable():
        from lightning.pytorch import LightningModule, Trainer
        from lightning.pytorch.callbacks import Callback
        from lightning.pytorch.utilities import rank_zero_info
except ImportError as error:
    raise MissingExtraError(
        "this callback needs the package lightning: pip install 'mdtree-diagnosis[lightning]'"
    ) from error

__all__ = ["DiagnosisCallback"]


class DiagnosisCallback(LiveDiagnosis, Callback):  # type: ignore[misc]  # lightning is optional
    """Measure the network that Lightning trains, and log quantities and verdict to its loggers.

    The network is `forward` of the module, and a batch is (x, y) or a dictionary with labels; data
    are those of the training and of the first validation loader.  Options: `LiveDiagnosis`.

    Examples:
        Give it to the Trainer::

            diagnosis = DiagnosisCallback(budget=30, page="diagnosis.html")
            trainer = Trainer(callbacks=[diagnosis])

    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Begin anew: a callback may see several trainings."""
        self._begin()

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:  # noqa: ARG002
        """Note what was evaluated: at the end it tells whether training had come to rest."""
        if not trainer.sanity_checking:
            metrics = dict(_numbers(trainer.callback_metrics))
            self._evaluations.append({**metrics, "step": float(trainer.global_step)})

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure every few epochs; the last time is at the end of training."""
        epochs = trainer.current_epoch + 1
        self._keep(trainer, pl_module, epochs)
        if self.is_due(epochs) and not _is_last(trainer, epochs):
            self._diagnose(trainer, pl_module, epochs=epochs, is_end=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure the network that was trained."""
        self._keep(trainer, pl_module, trainer.current_epoch)
        self._diagnose(trainer, pl_module, epochs=trainer.current_epoch, is_end=True)

    def _diagnose(
        self, trainer: Trainer, module: LightningModule, *, epochs: int, is_end: bool
    ) -> None:
        if not trainer.is_global_zero:
            return
        step = trainer.global_step

        def look() -> LiveRun:
            run = self._run(trainer, module, epochs)
            return at_the_end(run, self._evaluations) if is_end else run

        def log(numbers: dict[str, float], text: str) -> None:
            for logger in trainer.loggers:
                logger.log_metrics(numbers, step=step)
                logger.save()
            for logger in trainer.loggers:
                _log_text(logger, text, step)
            if is_end:
                rank_zero_info(text)

        if is_end:
            self._conclude()
        self.diagnose(step, look, log)

    def _keep(self, trainer: Trainer, module: LightningModule, epochs: int) -> None:
        if trainer.is_global_zero:
            self.keep(epochs, trainer.global_step, lambda: self._run(trainer, module, epochs))

    def _run(self, trainer: Trainer, module: LightningModule, epochs: int) -> LiveRun:
        loader = _first(trainer.train_dataloader)
        step = trainer.global_step
        return LiveRun(
            module=module,
            train=self.train or source_of(loader),
            test=self._test(_first(trainer.val_dataloaders)),
            step=step,
            facts={**_facts(trainer, loader), "steps": step, "epochs": epochs},
            words={"optimizer": _optimizer(trainer), "schedule": _schedule(trainer)},
            momentum=momentum_of(trainer.optimizers),
        )

    def _test(self, loader: Any) -> Source | None:
        return self.test or (None if loader is None else source_of(loader))


def _numbers(metrics: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield the metrics that are numbers: modules may put anything there."""
    for name, value in metrics.items():
        with suppress(Exception):
            yield name, float(value)


def _is_last(trainer: Trainer, epochs: int) -> bool:
    """Return whether training ends with this epoch."""
    steps = trainer.global_step
    is_asked = trainer.should_stop and (
        epochs >= (trainer.min_epochs or 0) and steps >= (trainer.min_steps or 0)
    )
    return bool(is_asked or epochs == trainer.max_epochs or 0 <= trainer.max_steps <= steps)


def _first(loaders: Any) -> Any:
    """Return the first of several loaders."""
    if isinstance(loaders, dict):
        loaders = list(loaders.values())
    elif hasattr(loaders, "flattened"):  # a CombinedLoader
        loaders = loaders.flattened
    return (loaders[0] if loaders else None) if isinstance(loaders, list | tuple) else loaders


def _facts(trainer: Trainer, loader: Any) -> dict[str, Fact]:
    facts: dict[str, Fact] = {}
    batch = getattr(loader, "batch_size", None)
    if batch is None:
        batch = getattr(getattr(loader, "batch_sampler", None), "batch_size", None)
    if isinstance(batch, int):
        facts["batch_size"] = batch * trainer.accumulate_grad_batches * trainer.world_size
    for name, values in (
        ("learning_rate", list(_of_groups(trainer, "max_lr", "initial_lr", "lr"))),
        ("weight_decay", list(_of_groups(trainer, "weight_decay"))),
    ):
        if values:
            facts[name] = max(values)
    return facts


def _optimizer(trainer: Trainer) -> str | None:
    return _one_class(trainer.optimizers)


def _schedule(trainer: Trainer) -> str | None:
    """Return the class of the schedulers; a rate that nothing changes is constant."""
    schedulers = [config.scheduler for config in trainer.lr_scheduler_configs]
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    # a scheduler that Lightning does not know of has left its mark
    if schedulers or not groups or any("initial_lr" in group for group in groups):
        return _one_class(schedulers)
    return "constant"


def _one_class(objects: Sequence[object]) -> str | None:
    """Return the name of the class of all objects."""
    names = {type(each).__name__ for each in objects}
    return names.pop() if len(names) == 1 else None


def _of_groups(trainer: Trainer, *names: str) -> Iterator[float]:
    """Yield a setting of all groups of weights, by the first of its names that is there."""
    for optimizer in trainer.optimizers:
        for group in optimizer.param_groups:
            value = next((group[name] for name in names if name in group), None)
            if value is not None:
                yield float(value)


def _log_text(logger: Any, text: str, step: int) -> None:
    """Log a text, if the logger has a way to."""
    if hasattr(logger, "log_text"):  # Weights & Biases
        logger.log_text(key="mdtree/verdict", columns=["verdict"], data=[[text]], step=step)
    elif hasattr(logger.experiment, "add_text"):  # TensorBoard
        logger.experiment.add_text("mdtree/verdict", f"```\n{text}\n```", step)
