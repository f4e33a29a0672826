"""Zoos that were not seen: each method is fitted on other zoos, and answers for one.

Each zoo of a collection is left out in turn, or zoos that were set aside are answered for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from threadpoolctl import threadpool_limits

from mdtree.evaluation.left_out_methods import LEFT_OUT_METHODS, Answerer, Fitted, LabelledZoo
from mdtree.evaluation.left_out_scores import LeftOutScores, left_out_scores
from mdtree.exceptions import RowsError
from mdtree.progress import Progress, Silent
from mdtree.rows import Row
from mdtree.runtime.cores import cores

__all__ = ["judge_set_aside", "leave_one_zoo_out"]


def leave_one_zoo_out(
    zoos: Mapping[str, Sequence[Row]],
    *,
    methods: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score every method on every zoo: method -> zoo -> scores."""
    if len(zoos) < 2:  # noqa: PLR2004 - one to learn from
        raise RowsError(f"leaving one zoo out takes two or more, got {', '.join(zoos) or 'none'}")

    known = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    return _all_scores(known, known, methods, progress)


def judge_set_aside(
    zoos: Mapping[str, Sequence[Row]],
    set_aside: Mapping[str, Sequence[Row]],
    *,
    methods: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score every method, fitted on all zoos, on others: method -> zoo -> scores."""
    seen = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    judged = {name: LabelledZoo(rows=rows) for name, rows in set_aside.items()}
    return _all_scores(seen, judged, methods, progress)


def _all_scores(
    seen: Mapping[str, LabelledZoo],
    judged: Mapping[str, LabelledZoo],
    methods: Iterable[str] | None,
    progress: Progress | None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Judge zoos; those that are among the ones seen are left out in turn."""
    chosen = [LEFT_OUT_METHODS[name] for name in methods or LEFT_OUT_METHODS]
    watch = progress or Silent()
    watch.start(len(chosen) * len(judged))
    results: dict[str, dict[str, LeftOutScores]] = {}

    def score(name: str, answerer: Callable[[str], Answerer]) -> LeftOutScores:
        try:
            return left_out_scores(answerer(name)(judged[name]), judged[name].labels)
        except ValueError as error:
            raise RowsError(f"zoo {name} cannot be answered for: {error}") from error

    for method in chosen:
        try:
            answerer = _answerer(method.fit(seen), left_out=judged is seen)
        except ValueError as error:
            raise RowsError(f"{method.name} cannot learn from these zoos: {error}") from error
        scores = results[method.name] = {}
        # zoos are judged side by side: inside of one, threads of linear algebra would be in the way
        with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
            tasks = {name: pool.submit(score, name, answerer) for name in judged}
            try:
                for name, task in tasks.items():
                    scores[name] = task.result()
                    watch.step(f"{name}, {method.name}")
            except BaseException:
                pool.shutdown(cancel_futures=True)  # do not work off what nobody waits for
                raise
    return results


def _answerer(fitted: Fitted, *, left_out: bool) -> Callable[[str], Answerer]:
    """Say who answers for a zoo: who learnt without it, or who learnt from all, once."""
    if left_out:
        return fitted
    whole = fitted(None)
    return lambda _: whole
