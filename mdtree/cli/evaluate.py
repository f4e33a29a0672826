"""`mdtree evaluate --train ROWS --test ROWS`, and `mdtree evaluate --benchmark`."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from mdtree.cli.notices import rows_of_zoos
from mdtree.cli.options import joined
from mdtree.cli.progress_bar import Bar
from mdtree.cli.screens import say, tell
from mdtree.exceptions import MdtreeError
from mdtree.render.terminal import table
from mdtree.rows import PROTOCOLS, Row

__all__ = ["command"]

_COLUMNS = ("accuracy", "sd", "log_loss", "ece", "regret", "gain_clipped", "gain")


@click.command()
@click.option("--train", type=click.Path(path_type=Path), help="Rows to learn from.")
@click.option("--test", type=click.Path(path_type=Path), help="Rows to test on.")
@click.option(
    "--benchmark",
    is_flag=True,
    help="Leave out each zoo of the reference collection in turn and test on it.",
)
@click.option(
    "--set-aside",
    is_flag=True,
    help="With --benchmark: test on the zoos that were never used to choose a method.",
)
@click.option(
    "--protocol", type=click.Choice(list(PROTOCOLS)), help="Use only rows of this protocol."
)
@click.option(
    "--cases",
    multiple=True,
    callback=joined,
    metavar="NAMES",
    help="Cases, separated by commas.  [default: all that have rows on both sides]",
)
@click.option(
    "--methods",
    multiple=True,
    callback=joined,
    metavar="NAMES",
    help="Methods, separated by commas.  [default: all]",
)
@click.option(
    "--allow-protocol-mismatch",
    is_flag=True,
    help="Compare rows of different protocols anyway; the result says so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    *,
    train: Path | None,
    test: Path | None,
    benchmark: bool,
    set_aside: bool,
    protocol: str | None,
    cases: tuple[str, ...] | None,
    methods: tuple[str, ...] | None,
    allow_protocol_mismatch: bool,
    as_json: bool,
) -> None:
    """Compare all methods on the transfer cases of the MD tree paper or on the benchmark.

    Accuracy and its standard deviation over five seeds are in percent; ece is the calibration
    error (0 to 1). Regret and gains are in points of test accuracy: regret relative to the best
    answer, gain from one grid step in the diagnosed direction (clipped: losses count as 0). Groups
    of different zoos that have the same name are told apart by the fact `zoo`.

    The benchmark fits each method to all zoos of the reference collection but one and tests it on
    that one. It reports the accuracy where the label is clear of the noise (five modes, direction
    of the temperature, data or model), the share of the possible gain that is lost by following
    the answers, the coverage and size of the prediction sets, and how many groups are flagged as
    out of distribution. Without --methods, the cases of the paper follow, fitted and tested inside
    its published table (accuracy in percent).

    \b
    Examples:
      mdtree evaluate --train clean.csv --test noisy.csv
      mdtree evaluate --benchmark
      mdtree evaluate --benchmark --methods majority,gains --json
      mdtree evaluate --benchmark --set-aside
    """
    if benchmark:
        if (train, test, cases, protocol) != (None,) * 4 or allow_protocol_mismatch:
            raise MdtreeError(
                "--benchmark has its own rows: use it without --train, --test, --cases, "
                "--protocol and --allow-protocol-mismatch"
            )
        _benchmark(methods, set_aside=set_aside, as_json=as_json)
        return
    if set_aside:
        raise MdtreeError("--set-aside is part of the benchmark: add --benchmark")
    if train is None or test is None:
        raise MdtreeError("no rows to compare: give both --train and --test, or --benchmark")
    from mdtree.evaluation import CASES, METHODS, evaluate

    train_rows, test_rows = (rows_of_zoos(path, protocol) for path in (train, test))
    with Bar("evaluating") as bar:
        results = evaluate(
            train_rows,
            test_rows,
            cases=_possible(train_rows, test_rows)
            if cases is None
            else _chosen(cases, CASES, "case"),
            methods=_chosen(methods, METHODS, "method"),
            progress=bar,
            allow_protocol_mismatch=allow_protocol_mismatch,
        )
    protocols = sorted({row.protocol for row in (*train_rows, *test_rows)})
    if len(protocols) > 1:
        tell(
            f"WARNING: rows of {' and '.join(protocols)} are compared, but are not comparable",
        )
    if as_json:
        cases_ = [_plain(result) for result in results]
        click.echo(json.dumps({"format": 1, "protocols": protocols, "cases": cases_}))
        return
    for result in results:
        rows = ", ".join(map(str, sorted(set(result.train_rows))))
        say(
            f"\ncase {result.case.name}: {result.case.task}, "
            f"fitted to {result.case.draw} ({rows} rows), tested on {result.test_rows}"
        )
        lines = [
            [name, *_numbers(method)]
            for name, method in result.methods.items()
            if not isinstance(method, str)
        ]
        say(table(["method", *_COLUMNS], lines))
        for name, method in result.methods.items():
            if isinstance(method, str):
                say(f"{name} did not run: {method}")


def _possible(train: Sequence[Row], test: Sequence[Row]) -> list[str]:
    """Return the cases in which rows take part, and say which are left out."""
    from mdtree.evaluation import CASES, possible_cases

    possible = possible_cases(train, test) or list(CASES)
    for name in set(CASES).difference(possible):
        tell(
            f"case {name} is left out: it needs networks of width {CASES[name].least_width} or "
            "more on both sides"
        )
    return possible


def _benchmark(methods: tuple[str, ...] | None, *, set_aside: bool, as_json: bool) -> None:
    from mdtree.evaluation import evaluate
    from mdtree.evaluation.left_out import judge_set_aside, leave_one_zoo_out, mean_scores
    from mdtree.evaluation.left_out_methods import LEFT_OUT_METHODS
    from mdtree.trees.bundled import published_rows, reference_collection

    usual = [name for name, m in LEFT_OUT_METHODS.items() if not m.on_request]
    names = _chosen(usual if methods is None else methods, LEFT_OUT_METHODS, "method")
    with Bar("evaluating") as bar:
        zoos = reference_collection()
        if set_aside:
            aside = reference_collection(held_out=True)
            results = judge_set_aside(zoos, aside, methods=names, progress=bar)
        else:
            results = leave_one_zoo_out(zoos, methods=names, progress=bar)
    cases = []
    if methods is None and not set_aside:
        published = published_rows()
        with Bar("published cases") as bar:
            cases = evaluate(published, published, progress=bar)
    means = {name: mean_scores(by_zoo) for name, by_zoo in results.items()}
    if as_json:
        content = {
            name: {
                "mean": _known(means[name]),
                "zoos": {zoo: _known(scores) for zoo, scores in by_zoo.items()},
            }
            for name, by_zoo in results.items()
        }
        plain = [_plain(result) for result in cases]
        click.echo(json.dumps({"format": 1, "methods": content, "published_cases": plain}))
        return
    columns = list(next(iter(means.values())).numbers())
    lines = [[name, *map(_number, scores.numbers().values())] for name, scores in means.items()]
    names_of_zoos = ", ".join(next(iter(results.values())))
    how = "set aside, fitted to all others" if set_aside else "each left out in turn"
    say(f"means over zoos, {how}: {names_of_zoos}\n")
    say(table(["method", *columns], lines))
    for name in names:
        say(f"{name}: {LEFT_OUT_METHODS[name].meaning}")
    if cases:
        say("\npublished cases, fitted to part of the published table, tested on all of it:")
        say(table(["case", "task", *cases[0].methods], [_accuracies(case) for case in cases]))


def _accuracies(result: Any) -> list[str]:
    numbers = (
        "" if isinstance(method, str) else f"{method.scores.accuracy:.2f}"
        for method in result.methods.values()
    )
    return [result.case.name, result.case.task, *numbers]


def _known(scores: Any) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in scores.numbers().items()}


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3g}"


def _chosen(named: Iterable[str] | None, choices: dict[str, Any], kind: str) -> list[str]:
    from mdtree.messages import nearest

    names = list(choices if named is None else named)
    if not names:
        raise MdtreeError(f"name a {kind}: {', '.join(choices)}")
    for name in names:
        if name not in choices:
            raise MdtreeError(
                f"{kind} {name!r} is unknown{nearest(name, choices)} (known: {', '.join(choices)})"
            )
    return names


def _numbers(method: Any) -> list[str]:
    scores = {**dataclasses.asdict(method.scores), "sd": method.sd}
    return [
        f"{scores[name]:.2f}" if name in ("accuracy", "sd") else f"{scores[name]:.3f}"
        for name in _COLUMNS
    ]


def _plain(result: Any) -> dict[str, Any]:
    return {
        "case": result.case.name,
        "task": result.case.task,
        "train_rows": list(result.train_rows),
        "test_rows": result.test_rows,
        "methods": {
            name: {"missing": method}
            if isinstance(method, str)
            else {**dataclasses.asdict(method.scores), "sd": method.sd}
            for name, method in result.methods.items()
        },
    }
