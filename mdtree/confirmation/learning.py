"""What a confirmed change teaches: the failure mode of the group before, for `mdtree adapt`.

A gain that stands clear of the noise between seeds shows what was wrong with a group.  A change
that gained nothing only shows what was not wrong, and is no label.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mdtree.adaptation import adapt, learnable
from mdtree.confirmation.result import Confirmed
from mdtree.confirmation.settings import ConfirmationSettings
from mdtree.diagnosis import LEVEL, Diagnoser, RealGain
from mdtree.exceptions import MdtreeError
from mdtree.failure_modes import FAILURE_MODES, REMEDIES
from mdtree.labelling import number_of
from mdtree.render.comparison_noise import p_value
from mdtree.rows import ROWS_NAME, Fact, Measured, Row, open_rows, read_rows, write_rows
from mdtree.trees import SavedTree
from mdtree.trees.bundled import shipped_trees
from mdtree.trees.fit import fit_tree

__all__ = ["Lesson", "label_of", "teach"]

_NAME = "labelled.jsonl"
# the tests whose noise is that between networks of different seeds
_BETWEEN_SEEDS = ("welch", "moderated")
_GAIN = "confirmed_gain"  # points: of several changes of a group, the one that gains most counts
_LEAST = 4  # rows that `mdtree adapt` needs


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """The rows with labels, and the command that teaches them to a tree."""

    path: str | None = None
    labels: int = 0
    tree: str | None = None  # that would learn
    command: str | None = None
    why_not: str | None = None  # why there is no command, or one without an evaluation


def label_of(before: Row, after: Row, remedy: str, real: RealGain) -> tuple[str | None, str | None]:
    """Return the failure mode that a pair shows, or why none: its gain must stand clear of noise.

    The noise is that of the comparison, which is printed beside the label: a t-test on the
    networks of both sides.
    """
    if real.points is None:
        return None, f"what was gained is not known: {real.reason}"
    single = [side for side, row in (("before", before), ("after", after)) if _seeds(row) == 1]
    if single:
        return None, (
            f"there is a single network {' and '.join(single)}, so the noise between seeds is not "
            "known: train more seeds (--seeds 3)"
        )
    if real.test not in _BETWEEN_SEEDS or real.p is None:
        why = real.reason or "the errors are not those between networks"
        return None, f"whether the gain exceeds the noise between seeds is not known: {why}"
    if real.points > 0 and real.p < LEVEL:
        return REMEDIES[remedy], None
    found = (
        f"the gain does not stand clear of the noise between seeds (p = {p_value(real.p)}, and a "
        f"label takes p below {LEVEL:g}; more --seeds make it clearer)"
        if real.points > 0
        else "nothing was gained"
    )
    return None, f"{found}, which shows what was not wrong, and not what was"


def _seeds(row: Row) -> int | None:
    """Return of how many networks the test error is the mean; None where the row does not say."""
    error = row.quantities.get("test_error")
    if isinstance(error, Measured) and error.members is not None:
        return len(error.members)
    return None if row.provenance is None else len(row.provenance.weights)


def teach(
    settings: ConfirmationSettings, diagnoser: Diagnoser, confirmed: Sequence[Confirmed]
) -> Lesson:
    """Write the groups whose failure mode is known now, and find the command that learns from them.

    The command is tried first, in memory: what is offered works.
    """
    path = settings.place / _NAME
    rows = _labelled(settings, path, confirmed)
    if not rows:
        path.unlink(missing_ok=True)
        return Lesson(
            why_not="no gain stands clear of the noise between seeds, so there is no label to "
            "learn from"
        )
    write_rows(path, rows)
    taught = [row for row in rows if row.protocol == settings.protocol]
    prior = _prior(diagnoser, settings.protocol)
    lesson = Lesson(path=str(path), labels=len(rows))
    if prior is None:
        return replace(
            lesson, why_not=f"no tree for protocol {settings.protocol} has a posterior to adapt"
        )
    name, saved = prior
    lesson = replace(lesson, tree=name)
    if taught and not any(learnable(taught, saved)):
        return replace(
            lesson,
            why_not=f"{name} learns only from groups of which all was measured that it asks for: "
            f"measure all metrics of {settings.directory} with `mdtree measure`, and run the same "
            "command again",
        )
    try:
        command = _tried(taught, name, saved, path, settings.place / "adapted.json")
    except MdtreeError as error:
        return replace(lesson, why_not=str(error))
    if len(taught) >= _LEAST:
        return replace(lesson, command=command)
    return replace(
        lesson,
        command=command,
        why_not=f"`mdtree adapt`, which also tests the tree, takes at least {_LEAST} labelled "
        f"groups, and there {'is' if len(taught) == 1 else 'are'} {len(taught)}: confirm more "
        "groups into the same folder",
    )


def _tried(rows: Sequence[Row], name: str, saved: SavedTree, path: Path, out: Path) -> str:
    """Adapt the tree in memory; return the command that does the same."""
    words = ["--protocol", rows[0].protocol, "--out", str(out)]
    if len(rows) >= _LEAST:
        adapt(rows, saved, name=name)
        return shlex.join(["mdtree", "adapt", str(path), "--tree", name, *words])
    fit_tree(rows, task=saved.task, prior=saved)
    return shlex.join(["mdtree", "fit", str(path), "--task", saved.task, "--prior", name, *words])


def _labelled(
    settings: ConfirmationSettings, path: Path, confirmed: Sequence[Confirmed]
) -> list[Row]:
    """Return the rows of earlier calls and of this one, each group once."""
    if not confirmed and not path.exists():
        return []
    pairs = {row.key: row for row in open_rows(settings.place / ROWS_NAME)}
    known = {row.key: row for row in read_rows(path)} if path.exists() else {}
    for each in confirmed:
        group = _name(settings, each.change.before)
        key = (group, settings.protocol)
        mode, gain = REMEDIES[each.change.remedy], each.comparison.real.points
        earlier = known.get(key)
        if earlier is not None and earlier.facts.get("label") == mode:
            del known[key]  # the same change, tried again
            earlier = None
        if each.change.label is None or gain is None:
            continue
        if earlier is not None and (number_of(earlier, _GAIN) or 0.0) >= gain:
            continue  # another change gained more
        row = pairs[each.change.before, settings.protocol]
        learnt: dict[str, Fact] = {"zoo": group[:200], "label": mode, _GAIN: round(gain, 6)}
        known[key] = replace(row, group=group, facts={**row.facts, **learnt}, details=None)
    return list(known.values())


def _name(settings: ConfirmationSettings, group: str) -> str:
    """Return a name that tells groups of several directories apart, where files are joined."""
    return f"{settings.directory.resolve().name}/{group}"


def _prior(diagnoser: Diagnoser, protocol: str) -> tuple[str, SavedTree] | None:
    """Return the tree to adapt: that of the verdict, or one of its protocol with a posterior."""
    saved = diagnoser.saved
    if saved.components and saved.protocol == protocol:
        name = diagnoser.name
        return (os.path.abspath(name) if os.path.isfile(name) else name), saved  # noqa: PTH100, PTH113
    found = [
        (name, tree)
        for name, tree in shipped_trees().items()
        if tree.components and tree.protocol == protocol
        if set(tree.classes) == set(FAILURE_MODES)
    ]
    return max(found, key=lambda pair: pair[1].groups, default=None)
