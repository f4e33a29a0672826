"""The colours of the page: one for each failure mode, and grey for everything else."""

from __future__ import annotations

__all__ = ["COLOURS", "DARK_COLOURS", "kind"]

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


def kind(mode: str) -> str:
    """Return the CSS class of an answer; trees may have answers that are not failure modes."""
    return f"mode-{mode}" if mode in COLOURS else "mode-other"
