"""The callback inside real short trainings of Lightning."""

from __future__ import annotations

import csv
import json
import random
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

import mdtree
from mdtree.exceptions import MdtreeError
from mdtree.models import mlp
from mdtree.rows import Measured, Missing, load_rows
from mdtree.runs import read_record
from mdtree.runtime import torchvision as vision

with vision.usable():
    lightning = pytest.importorskip("lightning.pytorch")

from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import CSVLogger

from mdtree.integrations.lightning import DiagnosisCallback

pytestmark = [
    # Lightning calls what torch has deprecated, and has advice on loaders and loggers
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*You defined a `validation_step` but have no `val_datal"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty"),
    pytest.mark.filterwarnings("ignore:.*The dirpath has changed"),
    pytest.mark.filterwarnings("ignore:Your `IterableDataset` has `__len__` defined"),
]

CHEAP = ("error_rate", "spectrum")


class Net(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
        )
        self.calls = 0
        self.net.register_forward_hook(self.count)

    def count(self, *_):
        if self._trainer is not None:  # that of a copy is gone
            self.calls += 1

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _):
        x, y = batch[:2] if isinstance(batch, list | tuple) else (batch["x"], batch["labels"])
        noise = random.random() + np.random.rand() + torch.rand(()).item()  # noqa: NPY002 - as people do
        loss = cross_entropy(self(x + 0.01 * noise), y)
        self.log("train_loss", loss, on_epoch=True, on_step=False, batch_size=len(y))
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", cross_entropy(self(batch[0]), batch[1]), batch_size=len(batch[1]))

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.02, weight_decay=0.001)
        return [optimizer], [torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)]


def tensors(seed, count):
    source = torch.Generator().manual_seed(seed)
    x = torch.randn(count, 6, generator=source)
    return x, (x[:, :3]).argmax(1)


class Noisy(torch.utils.data.Dataset):
    """A data set that draws random numbers whenever it is read, as augmentations do."""

    def __init__(self, x, y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, place):
        noise = random.random() + np.random.rand()  # noqa: NPY002 - as people do
        return self.x[place] + 0.1 * torch.randn(6) + noise, self.y[place]


def fit(callback, folder, *, train=None, val=None, epochs=3, ckpt_path=None, **options):
    lightning.seed_everything(3, verbose=False)
    net = options.pop("make", Net)()
    if train is None:
        train = DataLoader(Noisy(*tensors(0, 90)), batch_size=10, shuffle=True)
    if val is None:
        val = DataLoader(TensorDataset(*tensors(1, 40)), batch_size=16)
    trainer = lightning.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        logger=options.pop("logger", False),
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=options.pop("enable_checkpointing", False),
        default_root_dir=folder,
        log_every_n_steps=1,
        callbacks=callback if isinstance(callback, list) else [callback] if callback else [],
        **options,
    )
    trainer.fit(net, train, val, ckpt_path=ckpt_path)
    return net, trainer


def state(net, trainer):
    return {
        **net.state_dict(),
        **{
            f"optimizer.{number}.{name}": torch.as_tensor(value)
            for number, each in trainer.optimizers[0].state_dict()["state"].items()
            for name, value in each.items()
        },
        "torch": torch.get_rng_state(),
        "numpy": torch.as_tensor(np.random.get_state()[1].astype(np.int64)),  # noqa: NPY002
        "python": torch.tensor(random.getstate()[1]),
        "calls": torch.tensor(net.calls),
    }


def check_same(one, other):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        assert torch.equal(tensor, other[name]), name


def test_the_log_beside_the_weights_counts_the_steps_that_were_done(tmp_path):
    _, trainer = fit(None, tmp_path, logger=CSVLogger(tmp_path, name=None, version="run"))
    assert trainer.global_step == 27  # three epochs of nine batches
    history = read_record(tmp_path / "run" / "last.ckpt", tmp_path).history
    assert history.last("step") == 27
    assert [p.step for p in history.points if p.test_loss is not None] == [9, 18, 27]


class Odd(Net):
    """A network whose module puts into the metrics whatever it likes."""

    def on_validation_epoch_end(self):
        odd = {
            "f1": 0.5,
            "name": "best",
            "z": torch.tensor(1j),
            "many": torch.ones(3),
            "none": None,
        }
        self.trainer.callback_metrics.update(odd)


@pytest.mark.parametrize(
    "end",
    [
        {"epochs": 6},
        {"epochs": -1, "max_steps": 54},
        {"epochs": 20, "callbacks": [EarlyStopping("val_loss", stopping_threshold=9.0)]},
    ],
    ids=["epochs", "steps", "early"],
)
def test_the_end_is_told_once_with_what_the_log_tells(tmp_path, end, caplog):
    end = {**end}
    log = CSVLogger(tmp_path, name=None, version="run")
    others = end.pop("callbacks", [])
    callback = DiagnosisCallback(metrics=CHEAP, every_n_epochs=1, save=tmp_path / "rows.jsonl")
    fit([*others, callback], tmp_path, logger=log, make=Odd, **end)
    assert sum("\nverdict: " in record.message for record in caplog.records) == 1
    points = read_record(tmp_path / "run" / "last.ckpt", tmp_path).history.points
    loss = [point.test_loss for point in points if point.test_loss is not None]
    *earlier, last = load_rows(tmp_path / "rows.jsonl")
    assert last.group == f"step-{9 * len(loss)}"
    # while training goes on, that is nothing to tell
    assert not any("late_loss_drop" in row.facts for row in earlier)
    if len(loss) == 6:
        at_rest = loss[5] > 0.99 * (loss[3] + loss[4]) / 2
        drop = 0.0 if at_rest else max(100 * (1 - loss[5] / loss[2]), 0.0)
        assert last.facts["late_loss_drop"] == pytest.approx(drop, abs=0.051)


def test_a_second_training_is_diagnosed_anew(tmp_path):
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path)
    first = callback.row
    fit(callback, tmp_path)
    assert callback.row is not first
    assert callback.row.group == first.group


class Told(DiagnosisCallback):
    """A callback that keeps what it tells."""

    def diagnose(self, step, look, log):
        def heard(numbers, text):
            self.texts = [*getattr(self, "texts", []), text]
            log(numbers, text)

        super().diagnose(step, look, heard)


def test_a_schedule_that_is_not_understood_is_told_once(tmp_path, caplog):
    class Warmed(Net):
        def configure_optimizers(self):
            optimizer = torch.optim.Adam(self.parameters(), lr=0.02)
            return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)]

    said = "the schedule 'LambdaLR' is not one that mdtree knows"
    options = {"metrics": ["error_rate"], "every_n_epochs": 1}
    callback = Told(**options)
    fit(callback, tmp_path, make=Warmed)
    assert [said in text for text in callback.texts] == [True, False, False]
    assert callback.row.facts["optimizer"] == "Adam"
    assert "schedule" not in callback.row.facts

    known = Told(**options, facts={"schedule": "constant"})
    fit(known, tmp_path, make=Warmed)
    assert not any(said in text for text in known.texts)


class Small(Net):
    """A network that mdtree has, trained by SGD; one batch is what `training_step` takes."""

    def __init__(self):
        super().__init__()
        self.net = mlp(inputs=6, width=8, classes=3)

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05, momentum=0.5, weight_decay=0.001)


def small(tmp_path, epochs=3, **options):
    folder = tmp_path / "snapshots"
    callback = DiagnosisCallback(metrics=["error_rate"], snapshots=folder, **options)
    net, trainer = fit(callback, tmp_path, make=Small, epochs=epochs)
    return folder, net, trainer


def test_the_last_two_epochs_are_kept_and_what_is_known_of_their_training(tmp_path):
    folder, net, _ = small(tmp_path)
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["args.json", "epoch-2-step-18.pt", "epoch-3-step-27.pt"]
    check_same(torch.load(folder / names[2]), dict(net.state_dict()))
    known = json.loads((folder / "args.json").read_text())
    assert known == {
        "batch_size": 10,
        "learning_rate": 0.05,
        "weight_decay": 0.001,
        "momentum": 0.5,
        "optimizer": "SGD",
        "schedule": "constant",
        "steps": 27,
        "epochs": 3,
    }


def test_a_fork_trains_on_from_the_snapshots(tmp_path):
    folder, _, _ = small(tmp_path)
    x, y = tensors(0, 90)
    np.savez(tmp_path / "train.npz", x=x.numpy(), y=y.numpy())
    recipe = {
        "model": {"factory": "mlp", "kwargs": {"inputs": 6, "width": 8, "classes": 3}},
        "data": {"source": "tensors", "train": str(tmp_path / "train.npz")},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    rows = mdtree.measure(
        folder, recipe=tmp_path / "recipe.yaml", metrics=["fork"], steps="all", out=tmp_path / "o"
    )
    assert [row.group for row in rows] == [
        "snapshots@epoch-2-step-18",
        "snapshots@epoch-3-step-27",
    ]
    for row in rows:
        assert isinstance(row.quantities["fork_barrier"], Measured), row
        assert row.facts["momentum"] == 0.5


def test_training_with_snapshots_is_the_same_training(tmp_path):
    _, *one = small(tmp_path / "a")
    other = fit(None, tmp_path / "b", make=Small)
    check_same(state(*one), state(*other))


def test_a_folder_that_cannot_be_written_does_not_stop_training(tmp_path, caplog):
    (tmp_path / "snapshots").write_text("a file")
    _, _, trainer = small(tmp_path)
    assert trainer.global_step == 27
    assert sum("no snapshot at step" in each.message for each in caplog.records) == 1
    assert "snapshots=" in caplog.text


@pytest.mark.usefixtures("short_hessian")
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.5},
        {"precision": "bf16-mixed"},
    ],
    ids=["plain", "accumulation", "bf16"],
)
def test_training_is_the_same_with_the_callback(tmp_path, options):
    plain = state(*fit(None, tmp_path, **options))
    callback = DiagnosisCallback(every_n_epochs=1, items=30, metrics=("error_rate", "hessian"))
    net, trainer = fit(callback, tmp_path, **options)
    assert callback.failure is None
    assert isinstance(callback.row.quantities["hessian_top"], Measured)
    check_same(plain, state(net, trainer))
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())


def test_what_is_logged_are_the_errors_of_the_network_itself_and_every_logger_gets_them(tmp_path):
    loggers = [CSVLogger(tmp_path, name=name) for name in ("one", "two")]
    callback = DiagnosisCallback(
        every_n_epochs=2, metrics=CHEAP, save=tmp_path / "rows.jsonl", page=tmp_path / "page.html"
    )
    net, _ = fit(callback, tmp_path, logger=loggers, accumulate_grad_batches=2)
    net.eval()
    x, y = tensors(1, 40)
    error = 100 * (net(x).argmax(1) != y).float().mean().item()
    for logger in loggers:
        with Path(logger.log_dir, "metrics.csv").open() as file:
            lines = [line for line in csv.DictReader(file) if line["mdtree/test_error"]]
        assert [int(line["step"]) for line in lines] == [10, 15]
        assert float(lines[-1]["mdtree/test_error"]) == pytest.approx(error)
        chances = [float(n) for name, n in lines[-1].items() if name.startswith("mdtree/p_")]
        assert sum(chances) == pytest.approx(1)
    assert callback.row.facts == {
        "data_amount": 90,
        "batch_size": 20,
        "learning_rate": 0.02,
        "weight_decay": 0.001,
        "optimizer": "Adam",
        "schedule": "ExponentialLR",
        "steps": 15,
        "epochs": 3,
        "parameters": 99,
        "conv_parameters": 0,
    }
    rows = load_rows(tmp_path / "rows.jsonl")
    assert [row.group for row in rows] == ["step-10", "step-15"]
    assert callback.verdict.group == "step-15"
    assert callback.verdict.likely in (tmp_path / "page.html").read_text()


class TwoOptimizers(Net):
    """Train with optimizers and schedulers by hand, as GANs are trained."""

    kinds = (torch.optim.Adam, torch.optim.SGD)

    def __init__(self):
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, number):
        loss = super().training_step(batch, number)
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()
            optimizer.zero_grad()

    def configure_optimizers(self):
        return [kind([each], lr=0.02) for kind, each in zip(self.kinds, self.parameters())]  # noqa: B905 - two of them


class SameOptimizers(TwoOptimizers):
    kinds = (torch.optim.SGD, torch.optim.SGD)


class Plateau(Net):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.02)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "monitor": "val_loss"},
        }


class Lambda(Net):
    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.02)
        return [optimizer], [torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)]


class Mine(torch.optim.SGD):
    """An optimizer that nobody knows, and a scheduler that Lightning does not know."""


class Unknown(Net):
    def configure_optimizers(self):
        optimizer = Mine(self.parameters(), lr=0.02)
        self.scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        return optimizer


class Constant(Net):
    def configure_optimizers(self):
        return torch.optim.RMSprop(self.parameters(), lr=0.02)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (TwoOptimizers, {"schedule": "constant"}),
        (SameOptimizers, {"optimizer": "SGD", "schedule": "constant"}),
        (Plateau, {"optimizer": "SGD", "schedule": "ReduceLROnPlateau"}),
        (Lambda, {"optimizer": "SGD"}),
        (Unknown, {}),
        (Constant, {"optimizer": "RMSprop", "schedule": "constant"}),
    ],
)
def test_words_of_optimizer_and_schedule_are_facts_if_they_are_understood(tmp_path, make, words):
    callback = DiagnosisCallback(metrics=["error_rate"])
    fit(callback, tmp_path, epochs=1, make=make)
    facts = callback.row.facts
    assert {name: facts[name] for name in ("optimizer", "schedule") if name in facts} == words


@pytest.mark.filterwarnings("ignore:You passed in a `val_dataloader` but have no")
def test_without_test_data_it_is_said_that_none_were_given(tmp_path):
    class Untested(Small):
        validation_step = None

    callback = DiagnosisCallback(metrics=["error_rate", "predictions", "baseline"])
    fit(callback, tmp_path, make=Untested, epochs=1)
    reason = "no test (validation) data were given: test=..."
    for name in ("test_error", "chance_error", "overconfidence", "baseline_error"):
        assert callback.row.quantities[name] == Missing(missing=reason), name
    assert reason in {missing.reason for missing in callback.verdict.missed}
    own = DiagnosisCallback(metrics=["error_rate"], test=tensors(1, 40))
    fit(own, tmp_path, make=Untested, epochs=1)
    assert isinstance(own.row.quantities["test_error"], Measured)


def test_labels_beyond_the_outputs_are_told_without_words_of_a_recipe_alone(tmp_path):
    x, y = tensors(1, 40)
    callback = DiagnosisCallback(metrics=["error_rate"], test=(x, y + 7))
    fit(callback, tmp_path, epochs=1)
    assert (
        "check the number of classes of the model (in a recipe: model.kwargs)" in callback.failure
    )


def test_tensorboard_gets_numbers_and_the_verdict(tmp_path):
    pytest.importorskip("tensorboard")
    from lightning.pytorch.loggers import TensorBoardLogger
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path)
    fit(DiagnosisCallback(metrics=CHEAP), tmp_path, logger=logger)
    events = EventAccumulator(logger.log_dir).Reload()
    assert "mdtree/test_error" in events.Tags()["scalars"]
    assert any("mdtree/verdict" in tag for tag in events.Tags()["tensors"])


@pytest.mark.filterwarnings("ignore")  # of the logger and of what it is made of
def test_mlflow_gets_the_numbers(tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from lightning.pytorch.loggers import MLFlowLogger

    address = f"sqlite:///{tmp_path}/runs.db"
    logger = MLFlowLogger("digits", tracking_uri=address)
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, logger=logger)
    logged = mlflow.MlflowClient(address).get_run(logger.run_id).data.metrics
    measured = callback.row.quantities["test_error"].value
    assert logged["mdtree/test_error"] == pytest.approx(measured)


@pytest.mark.filterwarnings("ignore")  # of the logger and of what it is made of
def test_weights_and_biases_gets_numbers_and_the_verdict(tmp_path):
    pytest.importorskip("wandb")
    from lightning.pytorch.loggers import WandbLogger

    logger = WandbLogger(project="digits", save_dir=tmp_path, offline=True)
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, logger=logger)
    logged = dict(logger.experiment.summary)
    measured = callback.row.quantities["test_error"].value
    assert logged["mdtree/test_error"] == pytest.approx(measured)
    assert any(name.startswith("mdtree/verdict") for name in logged)


def test_a_resumed_training_goes_on_as_without_the_callback(tmp_path):
    def resumed(callback, folder):
        _, trainer = fit(callback, folder, epochs=2)
        trainer.save_checkpoint(folder / "two.ckpt")
        return fit(callback, folder, epochs=4, ckpt_path=folder / "two.ckpt")

    (tmp_path / "plain").mkdir()
    plain = state(*resumed(None, tmp_path / "plain"))
    callback = DiagnosisCallback(every_n_epochs=1, metrics=CHEAP)
    net, trainer = resumed(callback, tmp_path)
    check_same(plain, state(net, trainer))
    assert callback.row.group == "step-36"
    assert callback.row.facts["epochs"] == 4


def test_an_exception_in_the_measurement_is_one_warning_and_training_goes_on(tmp_path, caplog):
    def loss(output, batch):
        raise KeyError("no such thing")

    plain = state(*fit(None, tmp_path))
    callback = DiagnosisCallback(every_n_epochs=1, metrics=["error_rate"], loss=loss)
    check_same(plain, state(*fit(callback, tmp_path)))
    assert callback.verdict is None
    assert "KeyError: 'no such thing'" in callback.failure
    (record,) = (each for each in caplog.records if each.name == "mdtree.integrations")
    assert record.levelname == "WARNING"
    assert "KeyError: 'no such thing'" in record.getMessage()


def test_a_loss_that_fails_leaves_no_verdict_by_the_spectra_alone(tmp_path, caplog):
    callback = DiagnosisCallback(every_n_epochs=1, loss=lambda output, batch: 1 / 0)
    fit(callback, tmp_path)
    assert callback.verdict is None
    assert "ZeroDivisionError" in callback.failure
    assert len([each for each in caplog.records if each.name == "mdtree.integrations"]) == 1


@pytest.mark.parametrize(
    ("loss", "reason"),
    [
        (lambda *_: torch.zeros(7), "the loss must return one number for each"),
        (lambda output, _: output.sum() * float("nan"), "loss= must return finite numbers"),
    ],
    ids=["shape", "nan"],
)
def test_a_loss_of_a_wrong_shape_or_value_is_one_warning_and_no_verdict(
    tmp_path, caplog, loss, reason
):
    callback = DiagnosisCallback(every_n_epochs=1, items=20, loss=loss)
    fit(callback, tmp_path, epochs=2)
    assert callback.verdict is None
    assert reason in callback.failure
    (record,) = (each for each in caplog.records if each.name == "mdtree.integrations")
    assert reason in record.getMessage()


def test_a_budget_that_is_always_too_small_is_one_warning(tmp_path, caplog):
    callback = DiagnosisCallback(every_n_epochs=1, budget=1e-6, metrics=["error_rate"])
    fit(callback, tmp_path)
    assert "budget" in callback.failure
    assert len([each for each in caplog.records if each.name == "mdtree.integrations"]) == 1


def test_data_that_end_the_program_do_not_end_the_training(tmp_path):
    class Ending(torch.utils.data.Dataset):
        def __len__(self):
            return 20

        def __getitem__(self, place):
            raise SystemExit(3)

    callback = DiagnosisCallback(metrics=CHEAP, train=Ending())
    fit(callback, tmp_path, epochs=1)
    assert callback.failure == "SystemExit: 3"


class Endless(IterableDataset):
    """Items without end, drawn by a generator of its own, and by that of everybody."""

    def __init__(self):
        self.count = 0
        self.source = random.Random(0)

    def __iter__(self):
        while True:
            self.count += 1
            x = torch.randn(6) + self.source.random()
            yield x, x[:3].argmax()


def test_endless_data_are_bounded_and_go_on_where_they_were(tmp_path):
    def trained(callback):
        data = Endless()
        loader = DataLoader(data, batch_size=5)
        net, trainer = fit(callback, tmp_path, train=loader, limit_train_batches=4)
        return {**state(net, trainer), "count": torch.tensor(data.count)}

    plain = trained(None)
    callback = DiagnosisCallback(every_n_epochs=1, items=17, metrics=CHEAP)
    check_same(plain, trained(callback))
    assert callback.failure is None
    assert "data_amount" not in callback.row.facts
    assert callback.row.provenance.passes == 17 + 17  # training and test


class Stream(IterableDataset):
    """As many items as it has, which it does not tell."""

    def __init__(self, count):
        self.pairs = list(zip(*tensors(0, count), strict=True))

    def __iter__(self):
        return iter(self.pairs)


class Telling(Stream):
    """As many items as it has, which it tells."""

    def __len__(self):
        return len(self.pairs)


class Batches:
    """A loader of another library."""

    def __init__(self, count):
        self.batches = [tensors(number, 5) for number in range(count)]

    def __iter__(self):
        return iter(self.batches)


@pytest.mark.parametrize(
    ("data", "options", "amount"),
    [
        (Stream(40), {"items": 39}, None),
        (Stream(40), {"items": 40}, 40),
        (Stream(40), {}, 40),
        (Stream(40), {"items": 39, "facts": {"data_amount": 7}}, 7),
        (Telling(40), {"items": 39}, 40),
        (Batches(8), {"items": 36}, 40),
        (Batches(8), {"items": 35}, None),
        (Batches(8), {"items": 40}, 40),
        (Batches(8), {}, 40),
    ],
    ids=lambda each: type(each).__name__ if isinstance(each, Stream | Batches) else None,
)
def test_the_amount_of_iterable_data_is_known_only_if_it_is_told_or_all_were_read(
    tmp_path, data, options, amount
):
    train = data if isinstance(data, Batches) else DataLoader(data, batch_size=5)
    callback = Told(**{"metrics": ["error_rate"], "every_n_epochs": 1, **options})
    fit(callback, tmp_path, train=train, epochs=2, make=Small)
    assert callback.failure is None
    assert callback.row.facts.get("data_amount") == amount
    said = ['say it with facts={"data_amount": ...}' in text for text in callback.texts]
    assert said == [amount is None, False]  # once


class Augmented(TensorDataset):
    """Items that are changed by random states of the data set itself, and counted."""

    def __init__(self, seed, count):
        super().__init__(*tensors(seed, count))
        self.source = torch.Generator().manual_seed(0)
        self.python, self.numpy = random.Random(0), np.random.default_rng(0)
        self.count = torch.zeros(())

    def __getitem__(self, place):
        self.count += 1
        x, y = super().__getitem__(place)
        noise = self.python.random() + self.numpy.random()
        return x + noise * torch.randn(6, generator=self.source), y


class Mixing:
    """A collator with a random state of its own."""

    def __init__(self):
        self.source = random.Random(0)

    def __call__(self, items):
        x, y = torch.utils.data.default_collate(items)
        return x * (1 + self.source.random()), y


def test_data_with_random_states_of_their_own_go_on_where_they_were(tmp_path):
    def trained(callback):
        data, val = Augmented(0, 60), Augmented(1, 20)
        train = DataLoader(data, batch_size=10, shuffle=True, collate_fn=Mixing())
        net, trainer = fit(callback, tmp_path, train=train, val=DataLoader(val, batch_size=10))
        return {**state(net, trainer), "train": data.count, "val": val.count}

    plain = trained(None)
    callback = DiagnosisCallback(every_n_epochs=1, items=17, metrics=CHEAP)
    check_same(plain, trained(callback))
    assert callback.failure is None


class Opened(Augmented):
    """Data behind something that cannot be copied, as an open file."""

    def __init__(self, seed, count):
        super().__init__(seed, count)
        self.lock = threading.Lock()


def test_data_that_cannot_be_copied_are_read_only_where_they_are_those_of_the_callback(tmp_path):
    loader = DataLoader(Opened(0, 30), batch_size=10)
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, train=loader)
    assert "Opened cannot be copied (cannot pickle '_thread.lock' object)" in callback.failure
    assert "give the callback data of its own, train=... and test=..." in callback.failure
    own = DiagnosisCallback(metrics=CHEAP, train=Opened(0, 30))
    fit(own, tmp_path, train=loader)
    assert own.failure is None


class Slow(TensorDataset):
    """Data that take longer to copy than a fifth of the budget."""

    def __deepcopy__(self, memo):
        time.sleep(0.5)
        return self


def test_the_time_that_a_copy_takes_leaves_time_to_read(tmp_path):
    callback = DiagnosisCallback(budget=2, metrics=("error_rate",))
    fit(callback, tmp_path, train=DataLoader(Slow(*tensors(0, 30)), batch_size=10), epochs=1)
    assert callback.row.provenance.passes == 30 + 40  # training and test


def stream():
    for number in range(1000):
        x, y = tensors(number, 5)
        yield x, y


def test_data_that_are_gone_through_once_are_left_to_the_training(tmp_path):
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, train=stream(), limit_train_batches=4)
    assert "generator cannot be copied" in callback.failure
    assert "give the callback data of its own, train=... and test=..." in callback.failure
    own = DiagnosisCallback(metrics=CHEAP, train=tensors(0, 50))
    fit(own, tmp_path, train=stream(), limit_train_batches=4)
    assert own.failure is None
    assert own.row.facts["data_amount"] == 50


class Named(torch.utils.data.Dataset):
    def __len__(self):
        return 30

    def __getitem__(self, place):
        x, y = tensors(place, 1)
        return {"x": x[0], "labels": y[0], "index": place, "path": f"{place}.png"}


def test_extra_keys_of_a_batch_are_left_out(tmp_path):
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, train=DataLoader(Named(), batch_size=10, shuffle=True))
    assert callback.failure is None
    assert isinstance(callback.row.quantities["train_error"], Measured)


def test_a_function_makes_batches_of_what_the_loader_yields(tmp_path):
    x, y = tensors(0, 30)
    triples = DataLoader(TensorDataset(x, y, torch.arange(30)), batch_size=10)
    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, train=triples)
    assert "a batch must be (x, y)" in callback.failure
    callback = DiagnosisCallback(metrics=CHEAP, batch=lambda batch: batch[:2])
    fit(callback, tmp_path, train=triples)
    assert callback.failure is None


@pytest.mark.usefixtures("short_hessian")
def test_half_precision_is_measured_in_full(tmp_path):
    callback = DiagnosisCallback(items=30, metrics=("error_rate", "hessian"))
    fit(callback, tmp_path, precision="bf16-true")
    assert callback.failure is None
    assert isinstance(callback.row.quantities["hessian_top"], Measured)


class Casting(Small):
    """A network in half precision that casts its inputs by itself."""

    kind = torch.bfloat16

    def __init__(self):
        super().__init__()
        self.net.to(self.kind)

    def forward(self, x):
        return self.net(x.to(self.kind)).float()


class CastingToHalf(Casting):
    kind = torch.float16


class CastingToWeights(Casting):
    def forward(self, x):
        return self.net(x.to(next(self.parameters()).dtype)).float()


@pytest.mark.parametrize(("make", "half"), [(Casting, "bfloat16"), (CastingToHalf, "float16")])
def test_a_network_that_casts_to_half_precision_is_told_what_to_do(tmp_path, make, half):
    callback = DiagnosisCallback(metrics=CHEAP)
    net, trainer = fit(callback, tmp_path, make=make, epochs=1)
    assert trainer.global_step == 9
    assert next(net.parameters()).dtype == make.kind
    assert (
        f"It is measured in float32, without autocast, because {half} is too coarse for "
        f"curvature, but its code makes {half}: cast to the type of the weights there, such as "
        "x.to(next(self.parameters()).dtype)"
    ) in callback.failure


@pytest.mark.usefixtures("short_hessian")
def test_a_network_that_casts_to_the_type_of_its_weights_is_measured(tmp_path):
    callback = DiagnosisCallback(items=30, metrics=("error_rate", "hessian"))
    fit(callback, tmp_path, make=CastingToWeights, epochs=1)
    assert callback.failure is None
    assert isinstance(callback.row.quantities["hessian_top"], Measured)


def test_a_training_that_diverged_is_a_verdict(tmp_path):
    class Broken(Net):
        def on_train_batch_end(self, *_):
            nn.init.constant_(self.net[0].weight, float("nan"))

    callback = DiagnosisCallback(metrics=CHEAP)
    fit(callback, tmp_path, make=Broken, epochs=1)
    assert callback.verdict.mode == "temperature_high"


@pytest.mark.parametrize("option", ["save", "page"])
def test_a_file_that_cannot_be_written_is_one_warning_and_the_verdict_stays(
    tmp_path, caplog, option
):
    (tmp_path / "file").write_text("not a folder")
    logger = CSVLogger(tmp_path / "log", name=None, version="run")
    path = tmp_path / "file" / "rows"
    callback = DiagnosisCallback(every_n_epochs=1, metrics=CHEAP, **{option: path})
    fit(callback, tmp_path, logger=logger)
    assert callback.failure is None
    assert callback.verdict.group == "step-27"
    assert "mdtree/test_error" in (tmp_path / "log" / "run" / "metrics.csv").read_text()
    (record,) = (each for each in caplog.records if each.name == "mdtree.integrations")
    said = record.getMessage()
    assert said.startswith(f"{option}= was not written, and the verdict stays: {path} cannot be")
    assert said.endswith(f"name another file with {option}=")


def test_rows_are_not_added_to_a_file_of_something_else(tmp_path, caplog):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("notes\n")
    callback = DiagnosisCallback(metrics=CHEAP, save=rows, page=tmp_path / "page.html")
    fit(callback, tmp_path)
    assert callback.verdict is not None
    assert rows.read_text() == "notes\n"
    assert "name another file with save=" in caplog.text
    assert (tmp_path / "page.html").exists()


def test_sharded_weights_are_left_alone(tmp_path):
    class Sharded(Net):
        def on_train_end(self):
            del self.net[0].weight.ds_id

        def on_train_start(self):
            self.net[0].weight.ds_id = 0  # the mark of DeepSpeed

    callback = DiagnosisCallback(every_n_epochs=1, metrics=CHEAP)
    fit(callback, tmp_path, make=Sharded, epochs=1)
    assert callback.failure.startswith("net.0.weight is sharded over several processes")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"budget": 0}, "budget must be a positive number of seconds, got 0"),
        ({"budget": float("nan")}, "budget must be a positive number"),
        ({"budget": "5"}, "budget must be a positive number of seconds, got '5'"),
        ({"budget": None}, "budget must be a positive number"),
        ({"budget": True}, "budget must be a positive number"),
        ({"every_n_epochs": True}, "every_n_epochs must be a whole number"),
        ({"items": None}, "items must be a whole number of at least 1, got None"),
        ({"seed": "1"}, "seed must be a whole number of at least 0, got '1'"),
        ({"every_n_epochs": 0}, "every_n_epochs must be a whole number of at least 1, got 0"),
        ({"items": 2.5}, "items must be a whole number"),
        ({"metrics": ["hesian"]}, "did you mean 'hessian'"),
        ({"facts": {"learning_rte": 0.1}}, "did you mean 'learning_rate'"),
        ({"protocol": "standard-9"}, "standard-9"),
        ({"train": 3}, "data must be a DataLoader, a Dataset, or tensors"),
    ],
)
def test_mistakes_are_told_before_the_training(options, reason):
    with pytest.raises(MdtreeError, match=reason):
        DiagnosisCallback(**options)
