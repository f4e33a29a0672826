"""What is particular to Lightning: how its log counts steps, and the config of its command line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mdtree.rows import Fact
from mdtree.runs.settings import facts_from, unknown_words

__all__ = ["cli_facts", "done_steps"]

_STEP = "step"
_AFTER = "test_"  # what is logged after training: its step is the number that were done
# sections that replace what a module says of its own optimizer
_OWN = ("optimizer", "lr_scheduler")


def done_steps(lines: Iterable[Mapping[str, str]]) -> Iterator[dict[str, str]]:
    """Count steps that are done: Lightning's log names the step that is being made, from 0.

    >>> list(done_steps([{"step": "9", "train_loss": "0.5"}, {"step": "10", "test_loss": "1"}]))
    [{'step': '10', 'train_loss': '0.5'}, {'step': '10', 'test_loss': '1'}]
    """
    for line in lines:
        cell = line.get(_STEP, "")
        is_after = any(name.startswith(_AFTER) and value for name, value in line.items())
        is_count = cell.isascii() and cell.isdigit() and len(cell) < 16  # noqa: PLR2004 - of a float
        yield {**line, _STEP: str(int(cell) + 1)} if is_count and not is_after else {**line}


def cli_facts(
    content: Mapping[Any, Any],
) -> tuple[dict[str, Fact], list[str], dict[str, str]]:
    """Read facts from the `config.yaml` that Lightning's command line saves.

    What its sections `optimizer` and `lr_scheduler` say is what is done; the arguments of the
    module come after them.

    Returns:
        Facts, what was contradictory, and why words are none; nothing if it is another config.

    >>> settings = {"trainer": {"max_epochs": 3}, "model": {"init_args": {"lr": 0.1}}}
    >>> cli_facts(settings)[0]
    {'learning_rate': 0.1, 'epochs': 3}
    >>> cli_facts({"fit": {**settings, "optimizer": {"init_args": {"lr": 0.5}}}})[0]
    {'learning_rate': 0.5, 'epochs': 3}
    """
    section = content.get("fit")
    config = section if isinstance(section, Mapping) else content
    trainer = config.get("trainer")
    if not isinstance(trainer, Mapping) or "model" not in config:
        return {}, [], {}
    own = {name: config[name] for name in _OWN if name in config}
    rest = {name: value for name, value in config.items() if name not in _OWN}
    rest["trainer"] = {**trainer, "world_size": _devices(trainer)}
    facts, notes = facts_from(own)
    others, more = facts_from(rest)
    # one setting that stands twice in the module is no matter if a section decides
    more = [note for note in more if note.split()[0] not in facts]
    said = {**unknown_words(rest), **unknown_words(own)}
    known = {name: others[name] for name in others if name not in facts}
    merged = {**facts, **known}
    return _in_order(merged), [*notes, *more], {f: s for f, s in said.items() if f not in merged}


def _in_order(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    order = ("learning_rate", "batch_size", "epochs", "steps")
    names = [*(name for name in order if name in facts), *(n for n in facts if n not in order)]
    return {name: facts[name] for name in names}


def _devices(trainer: Mapping[Any, Any]) -> int:
    """Return the number of processes, as far as the config says it: `auto` may be any."""
    count = 1
    for name in ("devices", "num_nodes"):
        value = trainer.get(name)
        if isinstance(value, list):
            value = len(value)
        if isinstance(value, int) and not isinstance(value, bool) and value > 1:
            count *= value
    return count
