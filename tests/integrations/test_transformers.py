"""The callback inside real short trainings of Hugging Face's Trainer."""

from __future__ import annotations

import gc
import json
import random

import numpy as np
import pytest
import torch

import mdtree
from mdtree.exceptions import MdtreeError
from mdtree.rows import Measured, load_rows, read_rows
from mdtree.runtime import torchvision as vision

pytest.importorskip("accelerate")  # the Trainer asks for it
with vision.usable():
    transformers = pytest.importorskip("transformers")

from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    GPT2Config,
    GPT2LMHeadModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from mdtree.integrations.transformers import DiagnosisCallback

CHEAP = ("error_rate", "spectrum")


@pytest.fixture(autouse=True)
def _frozen():
    """Keep what is there out of the garbage collector, which ends each training."""
    gc.freeze()


LENGTH = 6


class Texts(torch.utils.data.Dataset):
    """Token ids that are drawn anew in part whenever they are read, and columns beside them."""

    def __init__(self, count, seed, *, noisy=False):
        source = torch.Generator().manual_seed(seed)
        self.x = torch.randint(3, 20, (count, LENGTH), generator=source)
        self.noisy = noisy

    def __len__(self):
        return len(self.x)

    def __getitem__(self, place):
        x = self.x[place]
        if self.noisy:
            x = torch.where(torch.rand(LENGTH) < 0.1, random.randint(3, 19), x)
        return {
            "input_ids": x,
            "attention_mask": torch.ones(LENGTH, dtype=torch.int64),
            "label": int(self.x[place].sum()) % 3,
            "text": f"text {place}",
        }


def config(kind=BertConfig, **options):
    return kind(
        vocab_size=20, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
        intermediate_size=8, max_position_embeddings=8, num_labels=3, **options,
    )  # fmt: skip


class Augmented(Texts):
    """Token ids that a generator of the data set itself changes."""

    def __init__(self, count, seed):
        super().__init__(count, seed)
        self.source = torch.Generator().manual_seed(0)

    def __getitem__(self, place):
        item = super().__getitem__(place)
        ids = torch.randint(3, 20, (LENGTH,), generator=self.source)
        kept = torch.rand(LENGTH, generator=self.source) < 0.8
        return {**item, "input_ids": torch.where(kept, item["input_ids"], ids)}


class Heard(TrainerCallback):
    """A logger: what it is told."""

    def __init__(self):
        self.logs = []

    def on_log(self, args, state, control, logs=None, **kwargs):
        self.logs.append((state.global_step, dict(logs)))


def fit(folder, options=None, *, make=BertForSequenceClassification, epochs=2, **given):
    transformers.set_seed(5)
    callbacks = given.pop("callbacks", [])
    resume = given.pop("resume", None)
    data = {
        "train_dataset": given.pop("train", Texts(40, 0, noisy=True)),
        "eval_dataset": given.pop("test", Texts(24, 1)),
    }
    collator = given.pop("collator", None)
    optimize, trainer_class = given.pop("optimize", None), given.pop("trainer_class", Trainer)
    arguments = TrainingArguments(
        output_dir=str(folder),
        **{
            "num_train_epochs": epochs, "per_device_train_batch_size": 8, "learning_rate": 0.01,
            "weight_decay": 0.01, "logging_strategy": "epoch", "eval_strategy": "epoch",
            "save_strategy": "no", "report_to": [], "use_cpu": True, "disable_tqdm": True,
            **given,
        },
    )  # fmt: skip
    model = make if isinstance(make, torch.nn.Module) else make(config())
    if optimize is not None:
        data["optimizers"] = optimize(model)
    trainer = trainer_class(
        model=model, args=arguments, callbacks=callbacks, data_collator=collator, **data
    )
    callback = None
    if options is not None:
        callback = DiagnosisCallback(trainer, **options)
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=resume)
    return trainer, callback


def state(trainer):
    return {
        **trainer.model.state_dict(),
        **{
            f"optimizer.{number}.{name}": torch.as_tensor(value)
            for number, each in trainer.optimizer.state_dict()["state"].items()
            for name, value in each.items()
        },
        "torch": torch.get_rng_state(),
        "numpy": torch.as_tensor(np.random.get_state()[1].astype(np.int64)),  # noqa: NPY002
        "python": torch.tensor(random.getstate()[1]),
    }


def told(trainer):
    """What the Trainer logs by itself, without times."""
    return [
        {key: value for key, value in line.items() if "runtime" not in key and "per_s" not in key}
        for line in trainer.state.log_history
        if "mdtree/verdict" not in line
    ]


def check_same(one, other):
    for name, tensor in state(one).items():
        assert torch.equal(tensor, state(other)[name]), name
    assert told(one) == told(other)


def test_data_with_a_generator_of_their_own_go_on_where_they_were(tmp_path):
    plain, _ = fit(tmp_path, train=Augmented(40, 0), test=Augmented(24, 1))
    options = {"every_n_epochs": 1, "items": 16, "metrics": CHEAP}
    trainer, callback = fit(tmp_path, options, train=Augmented(40, 0), test=Augmented(24, 1))
    assert callback.failure is None
    check_same(plain, trainer)


def test_the_last_two_epochs_are_kept_for_a_fork(tmp_path):
    folder = tmp_path / "snapshots"
    options = {"metrics": CHEAP, "items": 16, "snapshots": folder}
    plain, _ = fit(tmp_path / "out", epochs=3, optim="sgd")
    trainer, callback = fit(tmp_path / "out", options, epochs=3, optim="sgd")
    check_same(plain, trainer)
    assert callback.failure is None
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["args.json", "epoch-2-step-10", "epoch-3-step-15"]
    last = BertForSequenceClassification.from_pretrained(folder / "epoch-3-step-15")
    for name, tensor in trainer.model.state_dict().items():
        assert torch.equal(tensor, last.state_dict()[name]), name
    known = json.loads((folder / "args.json").read_text())
    assert (known["optimizer"], known["momentum"], known["batch_size"]) == ("sgd", 0.0, 8)

    items = [Texts(40, 0)[place] for place in range(40)]
    np.savez(
        tmp_path / "train.npz",
        input_ids=torch.stack([item["input_ids"] for item in items]).numpy(),
        labels=np.array([item["label"] for item in items]),
    )
    data = {"source": "tensors", "train": str(tmp_path / "train.npz")}
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(json.dumps({"model": "huggingface", "data": data}))
    rows = mdtree.measure(
        folder, recipe=recipe, metrics=["fork"], steps="all", out=tmp_path / "rows.jsonl"
    )
    assert len(rows) == 2
    for row in rows:
        assert isinstance(row.quantities["fork_barrier"], Measured), row


def test_an_optimizer_that_fork_does_not_have_is_named(tmp_path):
    fit(tmp_path / "out", {"metrics": CHEAP, "snapshots": tmp_path / "snapshots"}, epochs=1)
    known = json.loads((tmp_path / "snapshots" / "args.json").read_text())
    assert known["optimizer"].startswith("adamw")
    assert "momentum" not in known


@pytest.mark.usefixtures("short_hessian")
@pytest.mark.parametrize(
    "given",
    [
        {"gradient_accumulation_steps": 2},
        {"bf16": True},
        {"eval_strategy": "no", "max_steps": 7, "logging_strategy": "steps", "logging_steps": 1},
    ],
    ids=["accumulation", "bf16", "steps"],
)
def test_training_is_the_same_with_the_callback(tmp_path, given):
    plain, _ = fit(tmp_path, **given)
    options = {"every_n_epochs": 1, "items": 16, "metrics": ("error_rate", "hessian")}
    trainer, callback = fit(tmp_path, options, **given)
    assert callback.failure is None
    assert isinstance(callback.row.quantities["hessian_top"], Measured)
    check_same(plain, trainer)
    assert all(parameter.requires_grad for parameter in trainer.model.parameters())


def test_mixed_precision_is_for_training_alone(tmp_path):
    trainer, callback = fit(tmp_path, {"metrics": CHEAP}, bf16=True)
    model, x = trainer.model.eval(), trainer.eval_dataset.x
    labels = x.sum(1) % 3
    with torch.no_grad():
        full = type(model).forward(model, x, torch.ones_like(x), labels=labels).loss.item()
        mixed = model(x, torch.ones_like(x), labels=labels).loss.item()
    measured = callback.row.quantities["test_loss"].value
    assert abs(measured - full) < 0.1 * abs(mixed - full)
    assert "_original_forward" in model.__dict__  # accelerate's; the copy alone is without it


@pytest.mark.parametrize("given", [{"optim": "sgd"}, {"bf16": True}], ids=["sgd", "bf16"])
def test_a_training_that_diverged_is_a_verdict(tmp_path, given):
    options = {"metrics": CHEAP, "page": tmp_path / "page.html", "save": tmp_path / "rows.jsonl"}
    trainer, callback = fit(tmp_path, options, learning_rate=1e30, epochs=1, **given)
    assert not all(each.isfinite().all() for each in trainer.model.parameters())
    assert callback.failure is None
    assert (callback.verdict.mode, callback.verdict.probability) == ("temperature_high", 1)
    assert callback.row.is_diverged
    assert [row.is_diverged for row in read_rows(tmp_path / "rows.jsonl")] == [True]
    assert "diverged" in (tmp_path / "page.html").read_text()


def test_texts_of_different_lengths_are_padded_by_the_collator(tmp_path):
    class Ragged(Texts):
        def __getitem__(self, place):
            return super().__getitem__(place) | {"input_ids": self.x[place][: 2 + place % 5]}

    def collate(items):
        texts = [item["input_ids"] for item in items]
        return {
            "input_ids": torch.nn.utils.rnn.pad_sequence(texts, batch_first=True),
            "labels": torch.tensor([item["label"] for item in items]),
        }

    _, callback = fit(
        tmp_path, {"metrics": CHEAP}, train=Ragged(40, 0), test=Ragged(24, 1), collator=collate
    )
    assert callback.failure is None
    assert callback.row.provenance.passes == 40 + 24


def test_every_logger_gets_the_errors_of_the_network_itself(tmp_path):
    heard = Heard()
    options = {
        "every_n_epochs": 1, "metrics": CHEAP, "facts": {"label_noise": 0.1},
        "save": tmp_path / "rows.jsonl", "page": tmp_path / "page.html",
    }  # fmt: skip
    trainer, callback = fit(
        tmp_path, options, callbacks=[heard], gradient_accumulation_steps=2, epochs=3
    )
    ours = [(step, logs) for step, logs in heard.logs if "mdtree/test_error" in logs]
    assert [step for step, _ in ours] == [3, 6, 9]
    assert sum(n for name, n in ours[-1][1].items() if "/p_" in name) == pytest.approx(1)
    with torch.no_grad():
        texts = trainer.eval_dataset
        logits = trainer.model.eval()(texts.x, torch.ones_like(texts.x)).logits
    labels = texts.x.sum(1) % 3
    assert ours[-1][1]["mdtree/test_error"] == pytest.approx(
        100 * (logits.argmax(1) != labels).float().mean().item()
    )
    loss = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line][-1]
    assert ours[-1][1]["mdtree/test_loss"] == pytest.approx(loss, rel=1e-4)
    assert callback.row.facts == {
        "data_amount": 40, "batch_size": 16, "learning_rate": 0.01, "weight_decay": 0.01,
        "optimizer": "adamw_torch_fused", "schedule": "linear", "steps": 9, "epochs": 3,
        "label_noise": 0.1, "parameters": trainer.model.num_parameters(),
        "conv_parameters": 0,
    }  # fmt: skip
    rows = load_rows(tmp_path / "rows.jsonl")
    assert [row.group for row in rows] == ["step-3", "step-6", "step-9"]
    assert callback.verdict.likely in (tmp_path / "page.html").read_text()
    trainer.save_state()
    written = json.loads((tmp_path / "trainer_state.json").read_text())["log_history"]
    assert "verdict" in next(line for line in written if "mdtree/verdict" in line)["mdtree/verdict"]


def late_drop(losses):
    """Compute the percent by which a loss fell in the second half, unless it was at rest."""
    count = len(losses)
    x = range(1, count + 1)
    half, quarter = (np.interp(count * share, x, losses) for share in (0.5, 0.75))
    return 0.0 if losses[-1] > 0.99 * quarter else 100 * (1 - losses[-1] / half)


class StopsEarly(TrainerCallback):
    def on_evaluate(self, args, state, control, **kwargs):
        control.should_training_stop = state.epoch >= 5


@pytest.mark.parametrize("stop", [False, True])
def test_the_log_tells_whether_training_had_come_to_rest(tmp_path, stop):
    callbacks = [StopsEarly()] if stop else []
    trainer, callback = fit(tmp_path, {"metrics": CHEAP}, epochs=6, callbacks=callbacks)
    loss = [line["eval_loss"] for line in trainer.state.log_history if "eval_loss" in line]
    assert len(loss) == (5 if stop else 6)  # the last evaluation counts
    assert callback.row.facts["late_loss_drop"] == pytest.approx(late_drop(loss), abs=0.051)
    (check,) = [check for check in callback.verdict.checks if check.code == "MD407"]
    assert check.status == ("found" if late_drop(loss) >= 5 else "passed")


def test_a_second_training_is_diagnosed_anew(tmp_path):
    trainer, callback = fit(tmp_path, {"metrics": CHEAP})
    first = callback.row
    trainer.train()
    assert callback.row is not first
    assert callback.row.group == first.group


class OwnTrainer(Trainer):
    """A Trainer that creates an optimizer of its own, whatever its arguments say."""

    def create_optimizer(self, model=None):
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.01)
        return self.optimizer


def sgd(model, kind=None, *options):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    return optimizer, None if kind is None else kind(optimizer, *options)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (
            {"optim": "adafactor", "lr_scheduler_type": "constant_with_warmup"},
            {"optimizer": "adafactor", "schedule": "constant_with_warmup"},
        ),
        (
            {"optim": "sgd", "lr_scheduler_type": "reduce_lr_on_plateau"},
            {"optimizer": "sgd", "schedule": "reduce_lr_on_plateau"},
        ),
        ({"optimize": sgd}, {"optimizer": "SGD", "schedule": "linear"}),
        ({"optimize": lambda model: sgd(model, torch.optim.lr_scheduler.StepLR, 3)},
         {"optimizer": "SGD", "schedule": "StepLR"}),
        ({"optimize": lambda model: sgd(model, torch.optim.lr_scheduler.LambdaLR, float)},
         {"optimizer": "SGD"}),
        ({"trainer_class": OwnTrainer}, {"optimizer": "SGD", "schedule": "linear"}),
    ],
    ids=["arguments", "plateau", "optimizer", "both", "not understood", "own Trainer"],
)  # fmt: skip
def test_words_are_those_of_what_changes_the_weights(tmp_path, given, words):
    _, callback = fit(tmp_path, {"metrics": ["error_rate"]}, epochs=1, **given)
    facts = callback.row.facts
    assert {name: facts[name] for name in ("optimizer", "schedule") if name in facts} == words


def test_tensorboard_gets_the_numbers(tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    fit(tmp_path, {"metrics": CHEAP}, report_to=["tensorboard"])
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    assert "train/mdtree/test_error" in events.Tags()["scalars"]


@pytest.mark.filterwarnings("ignore")  # of the logger and of what it is made of
def test_mlflow_and_weights_and_biases_get_the_numbers(tmp_path, monkeypatch):
    mlflow, wandb = pytest.importorskip("mlflow"), pytest.importorskip("wandb")
    address = f"sqlite:///{tmp_path}/runs.db"
    mlflow.set_tracking_uri(address)  # another test may have named one, which then counts
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    _, callback = fit(tmp_path, {"metrics": CHEAP}, report_to=["mlflow", "wandb"])
    measured = pytest.approx(callback.row.quantities["test_error"].value)
    client = mlflow.MlflowClient(address)
    (run,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    assert run.data.metrics["mdtree/test_error"] == measured
    assert wandb.run.summary["train/mdtree/test_error"] == measured
    wandb.finish()


def test_a_resumed_training_goes_on_as_without_the_callback(tmp_path):
    def resumed(folder, options):
        fit(folder, options, epochs=4, save_strategy="epoch", max_steps=10)
        return fit(folder, options, epochs=4, resume=str(folder / "checkpoint-10"))

    plain, _ = resumed(tmp_path / "plain", None)
    trainer, callback = resumed(tmp_path / "with", {"every_n_epochs": 1, "metrics": CHEAP})
    for name, tensor in state(plain).items():
        assert torch.equal(tensor, state(trainer)[name]), name
    assert callback.row.group == "step-20"


def test_a_training_that_is_stopped_early_is_measured_where_it_stopped(tmp_path):
    class Stop(TrainerCallback):
        def on_evaluate(self, args, state, control, **kwargs):
            control.should_training_stop = True

    heard = Heard()
    _, callback = fit(tmp_path, {"metrics": CHEAP}, callbacks=[Stop(), heard], epochs=3)
    assert callback.row.group == "step-5"
    assert [step for step, logs in heard.logs if "mdtree/test_error" in logs] == [5]


def test_an_exception_in_the_measurement_is_one_warning_and_training_goes_on(tmp_path, caplog):
    def loss(output, batch):
        raise KeyError("no such thing")

    plain, _ = fit(tmp_path)
    trainer, callback = fit(tmp_path, {"every_n_epochs": 1, "metrics": "error_rate", "loss": loss})
    check_same(plain, trainer)
    assert callback.verdict is None
    assert "KeyError: 'no such thing'" in callback.failure
    (record,) = (each for each in caplog.records if each.name == "mdtree.integrations")
    assert record.levelname == "WARNING"
    assert "KeyError" in record.getMessage()


class Endless(torch.utils.data.IterableDataset):
    def __init__(self):
        self.source = random.Random(0)

    def __iter__(self):
        while True:
            x = torch.tensor([self.source.randint(3, 19) for _ in range(LENGTH)])
            yield {"input_ids": x, "label": int(x.sum()) % 3, "number": random.random()}


def test_endless_data_are_bounded_and_go_on_where_they_were(tmp_path):
    plain, _ = fit(tmp_path, train=Endless(), max_steps=6)
    trainer, callback = fit(tmp_path, {"items": 11, "metrics": CHEAP}, train=Endless(), max_steps=6)
    check_same(plain, trainer)
    assert callback.failure is None
    assert callback.row.provenance.passes == 11 + 11  # training and test
    assert "data_amount" not in callback.row.facts


def test_extra_columns_that_the_collator_wants_are_kept_from_the_network(tmp_path):
    class Model(BertForSequenceClassification):
        def forward(self, input_ids=None, attention_mask=None, labels=None, number=None):
            return super().forward(input_ids, attention_mask, labels=labels)

    _, callback = fit(tmp_path, {"metrics": CHEAP}, make=Model)
    assert callback.failure is None


class Tokens(torch.utils.data.Dataset):
    """A label for each token, and one that is left out."""

    def __init__(self, count, seed):
        self.x = Texts(count, seed).x

    def __len__(self):
        return len(self.x)

    def __iter__(self):
        return (self[place] for place in range(len(self)))

    def __getitem__(self, place):
        labels = self.x[place] % 3
        labels[0] = -100
        return {"input_ids": self.x[place], "labels": labels}


class Causal(Tokens):
    def __getitem__(self, place):
        return {"input_ids": self.x[place], "labels": self.x[place]}


@pytest.mark.parametrize(
    ("make", "data"),
    [
        (BertForTokenClassification, Tokens),
        (
            lambda _: GPT2LMHeadModel(
                GPT2Config(vocab_size=20, n_embd=8, n_layer=1, n_head=2, n_positions=8)
            ),
            Causal,
        ),
    ],
    ids=["tokens", "causal"],
)
def test_the_loss_of_the_head_is_that_of_the_model(tmp_path, make, data):
    trainer, callback = fit(
        tmp_path, {"metrics": CHEAP}, make=make, train=data(24, 0), test=data(16, 1)
    )
    assert callback.failure is None
    batch = torch.utils.data.default_collate(list(trainer.eval_dataset))
    with torch.no_grad():
        loss = trainer.model.eval()(**batch).loss.item()
    assert callback.row.quantities["test_loss"].value == pytest.approx(loss, rel=1e-4)


def test_a_budget_into_which_nothing_fits_is_said(tmp_path):
    _, callback = fit(tmp_path, {"budget": 1e-9})
    assert callback.verdict is None
    assert callback.failure.startswith("nothing was measured: ")
    assert "hessian did not fit into the budget: " in callback.failure


def test_mistakes_are_told_before_the_training(tmp_path):
    trainer, _ = fit(tmp_path, max_steps=1)
    with pytest.raises(MdtreeError, match="did you mean 'hessian'"):
        DiagnosisCallback(trainer, metrics=["hesian"])
