"""The looks of the page: one colour for each failure mode, and everything else in grey."""

from __future__ import annotations

from importlib import resources

from mdtree.render.markup import Markup

__all__ = ["COLOURS", "kind", "style"]

# failure mode -> its colour on light paper
COLOURS: dict[str, str] = {
    "temperature_high": "#d1495b",
    "temperature_low": "#4c78c4",
    "model_small": "#e5a13a",
    "data_small": "#7b5ea7",
    "none": "#8fbf9f",
}
# on dark paper
_DARK = {
    "temperature_high": "#ea6d7d",
    "temperature_low": "#7aa2e8",
    "model_small": "#e9b45c",
    "data_small": "#a98bd6",
    "none": "#8fbf9f",
}
_OTHER = "#8b949e"  # unsure, and answers of trees that do not tell the direction


def kind(mode: str) -> str:
    """Name the class of the page's style for a mode."""
    return f"mode-{mode}" if mode in COLOURS else "mode-other"


def style() -> Markup:
    """Give the style sheet."""
    sheet = resources.files("mdtree").joinpath("render", "page.css").read_text(encoding="utf-8")
    light = _modes(COLOURS)
    dark = _modes(_DARK)
    return Markup(
        f"{sheet}\n.mode-other{{--mode:{_OTHER}}}\n{light}\n"
        f"@media screen and (prefers-color-scheme:dark){{{dark}}}\n"
    )


def _modes(colours: dict[str, str]) -> str:
    return "".join(f".mode-{mode}{{--mode:{colour}}}" for mode, colour in colours.items())
