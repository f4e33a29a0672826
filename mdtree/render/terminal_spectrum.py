"""Spectra as text for people, and as JSON."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from mdtree.messages import plural, printable
from mdtree.render.screen import screen
from mdtree.render.terminal import name_text, table
from mdtree.render.terminal_changes import (
    changes_text,
    rankings_text,
    share_text,
    short,
    updates_text,
)
from mdtree.spectra import (
    AVERAGED,
    CONVENTIONS,
    FIGURES,
    Analysis,
    Layer,
    Skipped,
    State,
    WeightsReport,
    flow_of,
    hints,
)

__all__ = ["report_json", "report_text"]

_COLUMNS = {
    "alpha": "alpha",
    "distance": "D",
    "tail": "tail",
    "alpha_hat": "alpha-hat",
    "log_norm": "log norm",
    "log_spectral_norm": "log spectral",
    "log_alpha_norm": "log alpha-norm",
    "stable_rank": "stable rank",
    "soft_rank": "soft rank",
    "spikes": "spikes",
    "rank_loss": "rank loss",
}
_NAMED = 6  # tensors that are named beside a reason
_WIDTH, _NARROWEST = 48, 12  # of the picture
_FRAME = 5  # columns around names and picture
_FAR = 12.0  # alpha at its right end


def report_text(report: WeightsReport, *, everything: bool = False) -> str:
    """Write a report: the tables that were asked for, then notes."""
    parts = []
    if report.rankings:
        parts.append(rankings_text(report.rankings))
    if report.changes:
        parts.append(changes_text(report.changes))
    if report.updates:
        parts.append(updates_text(report.updates, everything=everything))
    if len(report.checkpoints) + len(report.failures) > 1:
        parts.append(_models(list(report.checkpoints.items())))
    elif report.checkpoints:
        parts.append(_analysis(report.analysis, everything=everything))
    failures = [f"{name}: {reason}" for name, reason in report.failures.items()]
    notes = [f"note: {printable(note)}" for note in (*failures, *report.notes)]
    return "\n".join(["\n\n".join(parts), *notes])


def report_json(report: WeightsReport) -> dict[str, Any]:
    """Return a report as plain values; parts that were not asked for are left out."""
    failures = [f"{name}: {reason}" for name, reason in report.failures.items()]
    content: dict[str, Any] = {"format": 1}
    if report.rankings:
        content["models"] = [dataclasses.asdict(member) for member in report.models]
        content["rankings"] = [dataclasses.asdict(ranking) for ranking in report.rankings]
    elif report.changes or report.updates:
        content["changes"] = [
            dataclasses.asdict(change) | {"collapsed": change.collapsed}
            for change in report.changes
        ]
        content["updates"] = [dataclasses.asdict(update) for update in report.updates]
        content["notes"] = list(report.notes)
    else:
        content["checkpoints"] = [
            {"checkpoint": name, **_analysis_json(analysis)}
            for name, analysis in report.checkpoints.items()
        ]
        content["notes"] = [*failures, *report.notes]
    return content


def _analysis(analysis: Analysis, *, everything: bool) -> str:
    """Write layers, what was not analysed, means, states, the flow and hints of collapse."""
    parts = [
        _layers(analysis.layers),
        _skipped(analysis.skipped, everything=everything),
        _model(analysis),
        _flow(analysis),
        _hints(analysis),
        _convention(analysis),
    ]
    return "\n\n".join(part for part in parts if part)


def _analysis_json(analysis: Analysis) -> dict[str, Any]:
    """Return an analysis as plain values."""
    flow = flow_of(analysis.averaged)
    return {
        "rules": dataclasses.asdict(analysis.rules) | {"embeddings": analysis.embeddings},
        "layers": [_layer_json(layer) for layer in analysis.layers],
        "skipped": [dataclasses.asdict(skipped) for skipped in analysis.skipped],
        "mean": {name: analysis.mean(name) for name in AVERAGED},
        "median": {name: analysis.median(name) for name in AVERAGED},
        "states": {state.value: count for state, count in analysis.states().items()},
        "flow": None if flow is None else dataclasses.asdict(flow) | {"shape": flow.shape},
        "collapse_hints": [dataclasses.asdict(hint) for hint in hints(analysis.averaged)],
    }


def _models(models: Sequence[tuple[str, Analysis]]) -> str:
    """Write a line for each checkpoint."""
    rows = [
        [
            name,
            str(len(analysis.averaged)),
            *(short(analysis.mean(figure)) for figure in AVERAGED),
            share_text(analysis.random_like),
            share_text(analysis.traps),
        ]
        for name, analysis in models
    ]
    header = ["checkpoint", "layers", *(_COLUMNS[name] for name in AVERAGED), "random", "traps"]
    text = table(header, rows)
    return f"{text}\n\nmeans over layers; {CONVENTIONS[models[0][1].rules.convention]}"


def _layers(layers: Sequence[Layer]) -> str:
    rows = [
        [
            layer.name,
            layer.kind,
            _size(layer),
            *(_figure(layer, name) for name in _COLUMNS),
            layer.state.value + (", trap" if layer.trap and layer.state is not State.TRAP else ""),
        ]
        for layer in layers
    ]
    lines = [table(["layer", "kind", "size", *_COLUMNS.values(), "state"], rows)]
    reasons = [
        f"  {name_text(layer.name)}: {printable(layer.reason)}" for layer in layers if layer.reason
    ]
    return "\n".join([*lines, *(["", "no alpha:", *reasons] if reasons else [])])


def _figure(layer: Layer, name: str) -> str:
    figures = layer.figures
    if name == "alpha" and figures.alpha is not None and figures.alpha_stderr is not None:
        return f"{figures.alpha:.2f} ± {figures.alpha_stderr:.2f}"
    return short(getattr(figures, name), ".0f" if name in ("spikes", "tail", "rank_loss") else "")


def _skipped(skipped: Sequence[Skipped], *, everything: bool) -> str:
    if not skipped:
        return ""
    lines = [f"not analysed: {plural(len(skipped), 'tensor')}"]
    for reason in dict.fromkeys(tensor.reason for tensor in skipped):
        names = [name_text(tensor.name) for tensor in skipped if tensor.reason == reason]
        shown = names if everything else names[:_NAMED]
        more = f", ... ({len(names) - len(shown)} more)" if len(names) > len(shown) else ""
        lines.append(f"  {printable(reason)}: {', '.join(shown)}{more}")
    return "\n".join(lines)


def _model(analysis: Analysis) -> str:
    rows = [
        [
            _COLUMNS[name],
            short(analysis.mean(name)),
            short(analysis.median(name)),
            str(len(analysis.values(name))),
        ]
        for name in AVERAGED
    ]
    states = ", ".join(f"{count} {state.value}" for state, count in analysis.states().items())
    left_out = "" if analysis.embeddings else " (embeddings left out)"
    counted = plural(len(analysis.averaged), "layer")
    return (
        f"{table(['the model', 'mean', 'median', 'layers'], rows)}\n\n"
        f"{counted}{left_out}: {states or 'none'}"
    )


def _flow(analysis: Analysis) -> str:
    flow = flow_of(analysis.averaged)
    if flow is None:
        return ""
    layers = [layer for layer in analysis.averaged if layer.figures.alpha is not None]
    names = [name_text(layer.name) for layer in layers]
    width, length = _sizes(names)
    picture = [
        f"  {_end_of(name, width).ljust(width)}  {_mark(layer, length)}"
        for name, layer in zip(names, layers, strict=True)
    ]
    heading = (
        f"Correlation Flow, alpha against depth: {flow.shape} "
        f"(slope {flow.slope:+.2f} from first to last, 90 % interval {flow.low:+.2f} to "
        f"{flow.high:+.2f}), spread {flow.spread:.2f}, {share_text(flow.above)} above 6"
    )
    scale = " " * (width + 4) + "".join(
        str(value).ljust(length // 6) for value in range(0, int(_FAR), 2)
    )
    return "\n".join([heading, *picture, scale.rstrip()])


def _sizes(names: Sequence[str]) -> tuple[int, int]:
    """Return the columns of the names and of the picture, which is shorter on narrow screens."""
    widest, most = max(map(len, names)), screen().width
    if most is None:
        return widest, _WIDTH
    room = most - _FRAME - min(widest, most // 3)
    length = min(_WIDTH, max(room // 6 * 6, _NARROWEST))  # 0, 2, 4, ... stand below it
    return min(widest, max(most - _FRAME - length, 1)), length


def _end_of(name: str, most: int) -> str:
    return name if len(name) <= most else f"…{name[len(name) - most + 1 :]}"


def _mark(layer: Layer, length: int) -> str:
    """Draw alpha on a line from 0 to 12, with ticks at 2 and 6."""
    cells = ["·"] * (length + 1)
    for tick in (2.0, 6.0):
        cells[round(tick / _FAR * length)] = "|"
    alpha = layer.figures.alpha or 0.0
    is_far = alpha > _FAR
    cells[length if is_far else round(alpha / _FAR * length)] = ">" if is_far else "o"
    return "".join(cells)


def _hints(analysis: Analysis) -> str:
    layer_hints = hints(analysis.averaged)
    if not layer_hints:
        return ""
    lines = [
        f"  {name_text(hint.name)}: log spectral norm {hint.log_spectral_norm:.2f}, "
        f"{-hint.z:.1f} spreads below other layers of kind {hint.kind}"
        for hint in layer_hints
    ]
    return "\n".join(
        ["possible scale collapse (compare with an earlier checkpoint: --against):", *lines]
    )


def _convention(analysis: Analysis) -> str:
    compatible = "; cut and scales as in WeightWatcher" if analysis.rules.compatible else ""
    return f"convention: {CONVENTIONS[analysis.rules.convention]}{compatible}; log is log10"


def _layer_json(layer: Layer) -> dict[str, Any]:
    figures = {name: getattr(layer.figures, name) for name in FIGURES}
    return {
        "name": layer.name,
        "kind": layer.kind,
        "sizes": list(layer.sizes),
        "slices": layer.slices,
        **figures,
        "state": layer.state.value,
        "trap": layer.trap,
        "reason": layer.reason,
    }


def _size(layer: Layer) -> str:
    rows, columns = layer.sizes
    return f"{rows}x{columns}" + (f" x {layer.slices}" if layer.slices > 1 else "")
