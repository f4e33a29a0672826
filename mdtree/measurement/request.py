"""The request: what is to be measured and how, made in one place for Python and commands alike.

And the folders that it means: those below one directory, or of runs that differ by seed, joined.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mdtree.checkpoints import INNER, Folder, StepChoice, check_place, find_folders
from mdtree.exceptions import MdtreeError
from mdtree.measurement.task import MeasurementSettings, as_text
from mdtree.messages import nearest
from mdtree.metrics import METRICS
from mdtree.recipes import Recipe, Tensors, find_recipe
from mdtree.rows import DEFAULT_PROTOCOL, Fact, check_protocol, check_seed, joined_names
from mdtree.runtime.device import pick_device
from mdtree.zoo import diverged_training

__all__ = [
    "Request",
    "check_metrics",
    "check_quantities",
    "folders_of",
    "make_request",
    "root_of",
]


@dataclass(frozen=True, kw_only=True)
class Request(MeasurementSettings):
    """What the user wants to measure."""

    root: Path  # a directory, or one weights file; not looked at where there is a storage
    groups: frozenset[str] | None = None  # None: all that there are
    steps: StepChoice | None = None  # None: the last, where a run saved several


def make_request(
    directory: str | Path,
    *,
    recipe: str | Path | Recipe | None = None,  # None: the one in the directory
    metrics: Iterable[str] = (),  # none: the usual ones
    quantities: Iterable[str] = (),  # none: all of the metrics
    protocol: str = DEFAULT_PROTOCOL,
    seed: int = 0,
    device: str = "auto",
    elsewhere: bool = False,  # other machines measure, which need not have our devices
    dtype: str | None = None,
    trust: Iterable[str] = (),
    allow_download: bool = False,
    facts: Mapping[str, Fact] | None = None,
    batch_size: int | None = None,
    weights_key: str | None = None,
    hessian_limit: int | None = None,
    groups: Iterable[str] = (),  # none: all that there are
    others: Iterable[str | Path] = (),  # directories of the same configuration, other seeds
    steps: str | None = None,  # last, best, all, every:N
) -> Request:
    """Check what was asked for, and find the recipe, the device and what may run."""
    metrics, quantities = check_quantities(tuple(quantities), tuple(metrics))
    protocol = check_protocol(protocol)
    seed = check_seed(seed)
    storage = check_place(directory)
    source = find_recipe(
        directory,
        recipe,
        trusted=trust,
        facts=facts,
        changes={
            "batch_size": batch_size,
            "weights_key": weights_key,
            "hessian_limit": hessian_limit,
        },
    )
    return Request(
        root=Path(directory),
        storage=storage,
        recipe=source.recipe,
        folder=source.folder,
        trust=source.trust,
        protocol=protocol,
        metrics=metrics,
        quantities=quantities,
        seed=seed,
        device=pick_device(device, elsewhere=elsewhere),
        allow_download=allow_download,
        dtype=dtype,
        groups=frozenset(groups) or None,
        others=_others(directory, tuple(others)),
        steps=None if steps is None else StepChoice.parse(steps),
    )


def _others(directory: str | Path, others: tuple[str | Path, ...]) -> tuple[Path, ...]:
    """Refuse directories that cannot be one group together with the first."""
    if not others:
        return ()
    for place in (directory, *others):
        if check_place(place) is not None:
            raise MdtreeError(
                f"{place}: only directories of this machine can be joined to one group"
            )
    roots = [Path(place) for place in (directory, *others)]
    real = [root.resolve() for root in roots]
    for number, root in enumerate(real):
        for earlier, other in enumerate(real[:number]):
            if root == other or root in other.parents or other in root.parents:
                raise MdtreeError(
                    f"{roots[earlier]} and {roots[number]} overlap: name directories that hold "
                    "the runs of one configuration, one for each seed"
                )
    return tuple(roots[1:])


def check_metrics(names: tuple[str, ...]) -> tuple[str, ...]:
    """Hold names to the table of metrics; no names are all that need not be asked for."""
    for name in names:
        if name not in METRICS:
            raise MdtreeError(
                f"metric {name!r} is unknown{nearest(name, METRICS)} (known: {', '.join(METRICS)})"
            )
    usual = (name for name, metric in METRICS.items() if not metric.on_request)
    return tuple(dict.fromkeys(names or usual))


def check_quantities(
    names: tuple[str, ...], metrics: tuple[str, ...] = ()
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the metrics, and the quantities that are wanted of them; no names are all.

    Without metrics, those are taken that the quantities belong to.

    Raises:
        MdtreeError: A name is not known, or belongs to none of the metrics.
    """
    if not names:
        return check_metrics(metrics), ()
    owners = {q: name for name, metric in METRICS.items() for q in metric.quantities}
    for name in names:
        if name not in owners:
            raise MdtreeError(
                f"quantity {name!r} is unknown{nearest(name, owners)} (known: {', '.join(owners)})"
            )
        if metrics and owners[name] not in metrics:
            raise MdtreeError(
                f"quantity {name!r} is measured by the metric {owners[name]!r}, which is not among "
                f"{', '.join(metrics)}: add it to the metrics, or leave the quantity out"
            )
    used = tuple(dict.fromkeys(owners[name] for name in names))
    return check_metrics(metrics or used), tuple(dict.fromkeys(names))


def folders_of(request: Request) -> Iterator[Folder]:
    """Join the folders of several directories that differ by seed, by their places in them."""
    roots = sorted((request.root, *request.others), key=_by_name)  # whatever came first
    joined: dict[str, list[Path]] = {}
    for root in roots:
        if len(roots) == 1:
            yield from _folders(request, root, lost=diverged_training)
            return
        for folder in _folders(request, root):
            place = "." if root.is_file() else _place(folder, root)
            joined.setdefault(place, []).extend(folder.files)
    runs = [root.parent if root.name == INNER else root for root in roots]
    names = as_text(joined_names(runs))
    whole = "." if "." in joined else INNER
    for place, files in joined.items():
        yield Folder(name=names if place == whole else place, files=tuple(files))


def _by_name(root: Path) -> tuple[str, Path]:
    whole = root.absolute()
    return whole.name, whole


def _folders(
    request: Request, root: Path, *, lost: Callable[[Path], str | None] = lambda _: None
) -> Iterator[Folder]:
    if root.is_file():
        yield Folder(name=as_text(root.stem), files=(root,))
    else:
        yield from find_folders(root, leave_out=_data_files(request), lost=lost)


def _place(folder: Folder, root: Path) -> str:
    """Return where the files of a folder share a place below the root."""
    shared = os.path.commonpath([path.absolute().parent for path in folder.files])
    place = os.path.relpath(shared, root.absolute())
    return as_text(Path(place).as_posix())


def root_of(path: Path, roots: Sequence[Path]) -> Path:
    """Return the directory that was asked for and holds a file, or the file's own folder."""
    return next((root for root in roots if root in path.parents), path.parent)


def _data_files(request: Request) -> list[Path]:
    data = request.recipe.data
    if not isinstance(data, Tensors):
        return []
    return [request.folder / path for path in (data.train, data.test) if path is not None]
