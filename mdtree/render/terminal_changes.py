"""Weights compared with weights, as text: what changed between two, and ranks of a family."""

from __future__ import annotations

from collections.abc import Sequence

from mdtree.messages import plural
from mdtree.render.formatting import percent
from mdtree.render.terminal import name_text, table
from mdtree.spectra import EXAMINED, INTRUDING, Change, Ranking, Update

__all__ = ["changes_text", "rankings_text", "share_text", "short", "updates_text"]


def changes_text(changes: Sequence[Change]) -> str:
    """Write how the layers changed, collapsed layers first."""
    ordered = sorted(changes, key=lambda change: not change.collapsed)
    rows = [
        [
            change.name,
            short(change.log_norm, "+.3f"),
            f"{change.z_norm:+.1f}",
            short(change.log_spectral_norm, "+.3f"),
            f"{change.z_spectral:+.1f}",
            short(change.alpha, "+.3f"),
            "SCALE COLLAPSE" if change.collapsed else "",
        ]
        for change in ordered
    ]
    header = ["layer", "d log norm", "z", "d log spectral", "z", "d alpha", ""]
    count = sum(change.collapsed for change in changes)
    layers, changed = plural(len(changes), "layer"), sum(change.changed for change in changes)
    if count:
        summary = (
            f"{count} of {layers} changed in scale unlike the others: norms and alpha-hat mislead "
            "there, alpha does not"
        )
    elif changed:
        summary = f"no scale collapse: no layer stands out ({changed} of {layers} changed)"
    else:
        summary = f"no scale collapse: the spectrum of no layer changed ({layers} compared)"
    return f"{table(header, rows)}\n\n{summary}"


def updates_text(updates: Sequence[Update], *, everything: bool) -> str:
    """Write what was added to each matrix that changed."""
    changed = [update for update in updates if update.changed]
    rows = [
        [
            update.name,
            f"{update.sizes[0]}x{update.sizes[1]}",
            short(update.relative_norm, ".3g"),
            share_text(update.share),
            short(update.rank, "d"),
            short(update.effective_rank, ".1f"),
            "" if update.intruders is None else f"{update.intruders} of {update.examined}",
            short(update.least_cosine, ".2f"),
            update.reason or "",
        ]
        for update in (updates if everything else changed)
    ]
    header = [
        *("layer", "size", "norm of update", "share", "rank", "effective rank", "intruders"),
        *("least cosine", ""),
    ]
    intruded = [update for update in changed if update.intruders]
    count = sum(update.intruders or 0 for update in intruded)
    same = len(updates) - len(changed)
    summary = f"{plural(len(changed), 'layer')} changed" + (f", {same} did not" if same else "")
    found = f"{plural(count, 'intruder dimension')} in {plural(len(intruded), 'layer')}"
    lines = [
        f"{summary}; {found if count else 'no intruder dimensions'}",
        "norm of update: of that of the weights before; share: of the squares of all updates",
        (
            f"intruder: one of the first {EXAMINED} left singular vectors after, whose |cosine| "
            f"with each one before is below {INTRUDING}"
        ),
    ]
    return "\n\n".join([*([table(header, rows)] if rows else []), "\n".join(lines)])


def rankings_text(rankings: Sequence[Ranking]) -> str:
    """Write how well each number ranks the models of each family."""
    rows = [
        [
            ranking.number,
            ranking.family,
            str(ranking.models),
            short(ranking.tau, "+.2f"),
            short(ranking.p_value, ".2g"),
            short(ranking.r2, ".2f"),
            short(ranking.rmse, ".3g"),
            ranking.reason or ("few models" if ranking.few else ""),
        ]
        for ranking in rankings
    ]
    header = ["number", "family", "models", "Kendall tau", "p", "R2", "RMSE", ""]
    few = sorted({name_text(ranking.family) for ranking in rankings if ranking.few})
    warning = (
        f"\n\nfewer than five models: {', '.join(few)}. So few may rank well by chance."
        if few
        else ""
    )
    return (
        f"{table(header, rows)}\n\ntau > 0: a smaller number goes with a smaller error. "
        f"Families are never compared with each other.{warning}"
    )


def short(value: float | None, form: str = "") -> str:
    """Write a number with three digits, or nothing where there is none."""
    return "" if value is None else format(value, form or ".3g")


def share_text(share: float | None) -> str:
    """Write a share in percent, or nothing where there is none."""
    return "" if share is None else percent(share)
