"""Snapshots: files of one run that could be mistaken for seeds, recognised by their names.

The networks of a group differ only by seed.  Snapshots of one run (epoch 1, epoch 2; the best, the
last) are close together: averaged like seeds, they would give error bars that are too small.

A name says who a network is and when it was saved.  `seed_0_epoch_10` is (seed 0) at (epoch 10):

    same who, different when                   snapshots of one run
    only when, beside names that say who       `best.pt` is not a seed beside `0.pt` and `1.pt`

Names alone cannot tell whether `model_0` and `model_1` are seeds or epochs.  There the counters
decide that trainers write into their checkpoints (`counters`); and numbers that grow in hundreds,
`500.pt` and `1000.pt`, are steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mdtree.checkpoints.names import ParsedName, natural, parse_name, plain_numbers

__all__ = ["Pair", "are_distances", "snapshots", "undecided"]

Pair = tuple[str, str]  # names of two snapshots of one run

_FEWEST_STEPS = 100  # between two files; smaller numbers may well be seeds


def snapshots(
    names: Iterable[str], counters: Mapping[str, Mapping[str, float]] | None = None
) -> Pair | None:
    """Find two names of a group that are snapshots of one run; None if all may be seeds.

    `counters` are those stored in the files, where known: name -> counter -> value.

    >>> snapshots(["epoch_1.pt", "epoch_2.pt"])
    ('epoch_1.pt', 'epoch_2.pt')
    >>> snapshots(["seed_0_epoch_10.pt", "seed_1_epoch_10.pt"])
    >>> snapshots(["m_8.pt", "m_9.pt"], {"m_8.pt": {"epoch": 8}, "m_9.pt": {"epoch": 9}})
    ('m_8.pt', 'm_9.pt')
    """
    parsed_names = {name: parse_name(name) for name in names}
    return (
        _by_names(parsed_names)
        or _by_counters(parsed_names, counters or {})
        or _by_distances(parsed_names)
    )


def undecided(
    names: Iterable[str], counters: Mapping[str, Mapping[str, float]] | None = None
) -> list[list[str]]:
    """List names that differ in one whole number alone, which no word explains, in its order.

    They may be seeds as well as epochs.  Files that have counted the same are seeds.

    >>> undecided(["model_10.pt", "model_9.pt", "seed_1.pt", "seed_2.pt"])
    [['model_9.pt', 'model_10.pt']]
    """
    counted = counters or {}
    alike: dict[tuple[bool, tuple[str, ...]], dict[str, tuple[str, ...]]] = {}
    for name in names:
        parsed = parse_name(name)
        if not (parsed.is_seed or parsed.when):
            alike.setdefault((parsed.is_number, parsed.stem), {})[name] = parsed.who
    found = []
    for same in alike.values():
        varying = [place for place in zip(*same.values(), strict=True) if len(set(place)) > 1]
        if len(varying) != 1 or not all(part.isdecimal() for part in varying[0]):
            continue
        if not _count_the_same([counted.get(name, {}) for name in same]):
            ordered = sorted(zip(map(natural, varying[0]), same, strict=True))
            found.append([name for _, name in ordered])
    return found


def _count_the_same(counters: Sequence[Mapping[str, float]]) -> bool:
    first, *others = counters
    return bool(first) and all(each == first for each in others)


def are_distances(parsed_names: Mapping[str, ParsedName]) -> bool:
    """Return whether names are numbers that only their distances show to be steps."""
    return _by_names(parsed_names) is None and _by_distances(parsed_names) is not None


def _by_names(parsed_names: Mapping[str, ParsedName]) -> Pair | None:
    first: dict[tuple[str, ...], str] = {}
    for name, parsed in parsed_names.items():
        other = first.setdefault(parsed.who, name)
        if parsed.when != parsed_names[other].when:
            return other, name
    identified = next((name for name, parsed in parsed_names.items() if parsed.who), None)
    unidentified = next(
        (name for name, parsed in parsed_names.items() if parsed.when and not parsed.who), None
    )
    return None if identified is None or unidentified is None else (unidentified, identified)


def _by_counters(
    parsed_names: Mapping[str, ParsedName], counters: Mapping[str, Mapping[str, float]]
) -> Pair | None:
    """Compare the counters of names that differ only in a number without a word before it."""
    alike: dict[tuple[bool, tuple[str, ...]], list[str]] = {}
    for name, parsed in parsed_names.items():
        if not (parsed.is_seed or parsed.when):  # early stopping may save each seed at another time
            alike.setdefault((parsed.is_number, parsed.stem), []).append(name)
    for (is_number, _), names in alike.items():
        known = [name for name in names if counters.get(name)]
        if is_number:  # 0.pt, 1.pt: usually seeds, unless the counters equal the names
            known = [name for name in known if _counts(parsed_names[name], counters[name])]
        for name in known[1:]:
            if _differ(counters[known[0]], counters[name]):
                return known[0], name
    return None


def _by_distances(parsed_names: Mapping[str, ParsedName]) -> Pair | None:
    """Check names that are only a number: multiples of a large smallest number are steps."""
    numbers = {
        name: plain_numbers(parsed.who)[0]
        for name, parsed in parsed_names.items()
        if len(parsed.who) == len(plain_numbers(parsed.who)) == 1 and not parsed.when
    }
    least = min(numbers.values(), default=0.0)
    if len(numbers) < 2 or least < _FEWEST_STEPS:  # noqa: PLR2004 - a pair
        return None
    if any(number % least for number in numbers.values()):
        return None
    first, second, *_ = sorted(numbers, key=numbers.__getitem__)
    return first, second


def _counts(parsed: ParsedName, counters: Mapping[str, float]) -> bool:
    """Return whether the number in a name equals a counter, counted from 0 or from 1."""
    return any(
        abs(number - n) <= 1 for number in plain_numbers(parsed.who) for n in counters.values()
    )


def _differ(some: Mapping[str, float], others: Mapping[str, float]) -> bool:
    return any(some[key] != others[key] for key in some.keys() & others.keys())
