"""The colours of the page and of its pictures: one for each failure mode, grey for the rest."""

from __future__ import annotations

__all__ = ["COLOURS", "DARK_COLOURS", "DARK_SHADES", "SHADES", "kind"]

# failure mode -> its colour on light paper
COLOURS = {
    "temperature_high": "#d1495b",
    "temperature_low": "#4c78c4",
    "model_small": "#e5a13a",
    "data_small": "#7b5ea7",
    "none": "#8fbf9f",
}
# and on dark paper
DARK_COLOURS = {
    "temperature_high": "#ea6d7d",
    "temperature_low": "#7aa2e8",
    "model_small": "#e9b45c",
    "data_small": "#a98bd6",
    "none": "#8fbf9f",
}

# name of a shade, which the style sheets use as `var(--name)` -> on light paper
SHADES = {
    "paper": "#ffffff",
    "sheet": "#f6f7f9",
    "ink": "#1d232a",
    "soft": "#59636e",
    "line": "#dce1e6",
    "band-all": "#eceff2",
    "band-most": "#d8dee4",
    "band-half": "#bcc5ce",
    "cut": "#bf3989",
    "link": "#0b5cad",
    "cell": "#1f5673",
    "alarm": "#9a3412",
    "alarm-sheet": "#fff4ed",
}
# and on dark paper
DARK_SHADES = {
    "paper": "#12161b",
    "sheet": "#1a2027",
    "ink": "#e3e8ed",
    "soft": "#9da8b3",
    "line": "#303943",
    "band-all": "#232a32",
    "band-most": "#333d47",
    "band-half": "#4b5865",
    "cut": "#f778ba",
    "link": "#79b8ff",
    "cell": "#4c9cc0",
    "alarm": "#ffb28a",
    "alarm-sheet": "#33211a",
}


def kind(mode: str) -> str:
    """Return the CSS class of an answer; trees may have answers that are not failure modes."""
    return f"mode-{mode}" if mode in COLOURS else "mode-other"
