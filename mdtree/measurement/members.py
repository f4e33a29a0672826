"""The members of a group: what its files hold, each network once, and no snapshots of one run.

A later stage of a diagnosis goes on from what an earlier one has left: from the weights, kept in
memory, and from unfinished work, kept in a file.  All of that work are tensors of members.  The
files of a run lie in one temporary folder, and together they take at most 4 GiB: what does not fit
is measured from its beginning.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from mdtree.checkpoints import (
    Checkpoint,
    LazyTensor,
    check_within,
    equal_files,
    equal_tensors,
    equal_weights,
    file_digest,
    in_memory_tensors,
    is_adapter,
    load_checkpoint,
    plainest,
    snapshots,
)
from mdtree.exceptions import DivergedError
from mdtree.measurement.one_run import check_counters, kin_notes, refusal, tensors_of
from mdtree.measurement.task import GroupTask, home, named_base
from mdtree.models import Network
from mdtree.recipes import Keyed, bind
from mdtree.rows import Copy

__all__ = [
    "Members",
    "UnfinishedWork",
    "check_names",
    "copies_of",
    "kept_members",
    "load_members",
    "read_unfinished",
    "write_unfinished",
]

UnfinishedWork = dict[str, dict[str, Tensor]]  # member -> name -> tensor

_MOST_KEPT = 1 << 30  # bytes of weights in memory
_MOST_UNFINISHED = 4 << 30  # bytes of all files of a run
_BETWEEN = "\n"  # which the name of a tensor does not have


@dataclass(frozen=True)
class Members:
    """The networks of a group, and files that hold one of them once more."""

    distinct: list[Checkpoint]
    copies: dict[str, Copy]
    notes: list[str]  # choices made while reading


def check_names(task: GroupTask) -> None:
    """Refuse files whose names say that one run saved them at different times.

    Equal files are one network, whatever they are called.  Names that a recipe lists are believed.
    """
    for path in task.files if task.at_hand else ():
        place = home(task, path)
        if place is not None:
            check_within(path, place)  # before anything is read to compare it
    if task.listed or snapshots(task.members) is None:
        return
    copies = copies_of(task)
    left = [name for name in task.members if name not in copies]
    while (pair := snapshots(left)) is not None:
        if not _hold_equal_weights(task, pair):
            raise refusal(task, pair, left)
        left.remove(plainest(pair)[1])


class _Kept:
    """The groups that were read last, and the files as they were."""

    def __init__(self) -> None:
        self._groups: OrderedDict[object, tuple[object, Members]] = OrderedDict()
        self._bytes = 0

    def find(self, key: object, states: object) -> Members | None:
        """Give what was read, if the files are the same."""
        if key not in self._groups or self._groups[key][0] != states:
            return None
        self._groups.move_to_end(key)
        return self._groups[key][1]

    def add(self, key: object, states: object, members: Members) -> None:
        """Keep a group, and drop those that were used longest ago, where it is too much."""
        if key in self._groups:
            self._bytes -= _size(self._groups.pop(key)[1])
        self._groups[key] = states, members
        self._bytes += _size(members)
        while len(self._groups) > 1 and self._bytes > _MOST_KEPT:
            self._bytes -= _size(self._groups.popitem(last=False)[1][1])


_kept: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def kept_members() -> Iterator[None]:
    """Keep what is read, up to a gigabyte, for those who measure the same groups again."""
    token = _kept.set(_Kept())
    try:
        yield
    finally:
        _kept.reset(token)


def load_members(task: GroupTask, network: Network) -> Members:
    """Read the group's files, and hold them to the network."""
    kept = _kept.get()
    if kept is None or not task.at_hand:
        return _read_members(task, network)
    key = (task.group, task.files, Keyed.of(bind(task.recipe.model, task.facts)), task.dtype)
    states = tuple(_state(path) for path in task.files)
    known = kept.find(key, states)
    if known is not None:
        return known
    members = _read_members(task, network)
    kept.add(key, states, members)
    return members


def _state(path: Path) -> tuple[int, int, int, int]:
    """Tell one content of a file from the next without reading it."""
    state = path.stat()
    return state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns


def _size(members: Members) -> int:
    tensors = (tensor for member in members.distinct for tensor in member.weights.values())
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _read_members(task: GroupTask, network: Network) -> Members:
    paths = task.members
    trained = [name for name, _ in network.module.named_parameters()]
    distinct: list[Checkpoint] = []
    copies: dict[str, Copy] = {}
    notes: dict[str, tuple[str, ...]] = {}
    broken: dict[str, DivergedError] = {}
    for name in plainest(paths):
        try:
            member = _loaded(task, network, name, paths[name])
        except DivergedError as error:
            broken[name] = error
            continue
        notes[name] = member.notes
        same = next((earlier for earlier in distinct if _are_same(earlier, member, trained)), None)
        if same is None:
            distinct.append(member)
        else:
            copies[name] = Copy(of=same.name, sha256=member.sha256)
    order = list(paths)
    if broken:
        once = {
            name if broken[name].whole else file_digest(paths[name]): name
            for name in reversed(list(broken))
        }
        names = sorted(once.values(), key=order.index)
        of = len(distinct) + len(names)
        raise DivergedError.of_group(str(broken[names[0]]), names, of) from broken[names[0]]
    distinct.sort(key=lambda member: order.index(member.name))
    counters = {member.name: member.counters for member in distinct}
    check_counters(task, counters)
    weights = {member.name: member.weights for member in distinct}

    def tensors(name: str) -> Sequence[LazyTensor]:
        is_merged = is_adapter(paths[name])
        return tensors_of(task, name) if is_merged else in_memory_tensors(weights[name])

    kin = kin_notes(task, list(counters), counters, tensors)
    labelled_notes = [f"{name}: {note}" for name in order for note in notes[name]]
    return Members(distinct, copies, [*labelled_notes, *kin])


def copies_of(task: GroupTask) -> dict[str, str]:
    """Find equal files among those of a group: name -> the name of the member."""
    if not task.at_hand:
        return {}
    paths = task.members
    return equal_files({name: paths[name] for name in plainest(paths)})


def _loaded(task: GroupTask, network: Network, name: str, path: Path) -> Checkpoint:
    return load_checkpoint(
        path,
        network.module,
        name=name,
        trust=task.trust.names,
        key=task.recipe.weights_key,
        within=home(task, path),
        base=named_base(task),
    )


def _are_same(first: Checkpoint, second: Checkpoint, trained: Iterable[str]) -> bool:
    """Compare what was trained: running statistics may be counted anew, the network is the same."""
    if first.sha256 == second.sha256:
        return True
    names = [name for name in trained if name in first.weights] or list(first.weights)
    return equal_tensors(first.weights, second.weights, names)


def _hold_equal_weights(task: GroupTask, pair: Iterable[str]) -> bool:
    first, second = (task.members[name] for name in pair)
    return task.at_hand and equal_weights(
        first, second, trust=task.trust.names, key=task.recipe.weights_key
    )


def read_unfinished(path: Path | None) -> UnfinishedWork:
    """Read what an earlier stage has left; nothing if it has left nothing."""
    work: UnfinishedWork = {}
    try:
        tensors = {} if path is None else load_file(path)
    except (OSError, SafetensorError):
        return {}
    for key, tensor in tensors.items():
        member, _, name = key.rpartition(_BETWEEN)
        work.setdefault(member, {})[name] = tensor
    return work


def write_unfinished(path: Path | None, work: UnfinishedWork | None) -> None:
    """Keep unfinished work, in the place of what was kept before, if there is room for it."""
    if path is None:
        return
    path.unlink(missing_ok=True)
    tensors = {
        f"{member}{_BETWEEN}{name}": tensor.contiguous()
        for member, parts in (work or {}).items()
        for name, tensor in parts.items()
    }
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        used = sum(file.stat().st_size for file in path.parent.iterdir())
        if 0 < size <= _MOST_UNFINISHED - used:
            save_file(tensors, path)
    except (OSError, SafetensorError):
        path.unlink(missing_ok=True)  # it is not needed, and half of it is of no use
