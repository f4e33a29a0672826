"""Unseen zoos: each method is fitted to other zoos and tested on one.

Each zoo of a collection is left out in turn, or methods are tested on zoos that were set aside.
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
    """Score every method on every zoo, fitted to the others: method -> zoo -> scores.

    Raises:
        RowsError: If there are fewer than two zoos, or one of them cannot be labelled.

    """
    if len(zoos) < 2:  # noqa: PLR2004 - one to learn from
        names = ", ".join(zoos) or "none"
        raise RowsError(f"leaving one zoo out takes two or more zoos, got {names}")

    known = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    return _all_scores(known, known, methods, progress)


def judge_set_aside(
    zoos: Mapping[str, Sequence[Row]],
    set_aside: Mapping[str, Sequence[Row]],
    *,
    methods: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score every method, fitted to all zoos, on those set aside: method -> zoo -> scores.

    Raises:
        RowsError: If a zoo cannot be labelled.

    """
    seen = {name: LabelledZoo(rows=rows) for name, rows in zoos.items()}
    judged = {name: LabelledZoo(rows=rows) for name, rows in set_aside.items()}
    return _all_scores(seen, judged, methods, progress)


def _all_scores(
    seen: Mapping[str, LabelledZoo],
    judged: Mapping[str, LabelledZoo],
    methods: Iterable[str] | None,
    progress: Progress | None,
) -> dict[str, dict[str, LeftOutScores]]:
    """Score methods on zoos; if these are the zoos that were seen, each is left out in turn."""
    chosen = [LEFT_OUT_METHODS[name] for name in methods or LEFT_OUT_METHODS]
    watch = progress or Silent()
    watch.start(len(chosen) * len(judged))
    results: dict[str, dict[str, LeftOutScores]] = {}

    def score(name: str, answerer: Callable[[str], Answerer]) -> LeftOutScores:
        try:
            return left_out_scores(answerer(name)(judged[name]), judged[name].labels)
        except ValueError as error:
            raise RowsError(f"zoo {name} cannot be tested: {error}") from error

    for method in chosen:
        try:
            answerer = _answerer(method.fit(seen), left_out=judged is seen)
        except ValueError as error:
            raise RowsError(f"{method.name} cannot learn from these zoos: {error}") from error
        scores = results[method.name] = {}
        # zoos run in parallel, so linear algebra inside each must use a single thread
        with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
            tasks = {name: pool.submit(score, name, answerer) for name in judged}
            try:
                for name, task in tasks.items():
                    scores[name] = task.result()
                    watch.step(f"{name}, {method.name}")
            except BaseException:
                pool.shutdown(cancel_futures=True)  # drop tasks that nobody waits for
                raise
    return results


def _answerer(fitted: Fitted, *, left_out: bool) -> Callable[[str], Answerer]:
    """Return what answers for a zoo: a model fitted without it, or one fitted once to all."""
    if left_out:
        return fitted
    whole = fitted(None)
    return lambda _: whole
