"""The everyday words of headlines: what is wrong, what to do, and what is said of many groups."""

from __future__ import annotations

from mdtree.diagnosis.verdict_record import FROM_FILES, UNSURE

__all__ = [
    "AS_IT_IS",
    "BROKEN",
    "COUNTED",
    "DO",
    "DO_FACT",
    "HINTS",
    "NONE",
    "WRONG",
    "WRONG_FACT",
]

NONE = "none"
BROKEN = "broken"  # counted apart from other trainings that were too hasty
# check -> why a verdict is a hint only, where it has found something
HINTS = {
    "MD112": "other networks of the group diverged",
    FROM_FILES: "no network was run",
    "MD405": "the network does worse than chance (its labels may be wrong)",
}

# failure mode -> what is wrong
WRONG = {
    "temperature_high": "training was too hasty, in steps that were too large or saw too little",
    "temperature_low": "training was too cautious, in steps that were too small or saw too much",
    "model_small": "the network is too small for its task",
    "data_small": "the network was trained on too few examples",
    "temperature": "training took steps of the wrong size",
    NONE: "no single change would help much",
}
# failure mode, fact to change -> the same, where it is known which of the two it is
WRONG_FACT = {
    ("temperature_high", "learning_rate"): "training was too hasty, in steps that were too large",
    ("temperature_high", "batch_size"): (
        "training was too hasty, in steps that each saw too few examples"
    ),
    ("temperature_low", "learning_rate"): (
        "training was too cautious, in steps that were too small"
    ),
    ("temperature_low", "batch_size"): (
        "training was too cautious, in steps that each saw too many examples"
    ),
}
# failure mode -> what to do
DO = {
    "temperature_high": "train again with smaller steps, or with more examples in each of them",
    "temperature_low": "train again with larger steps, or with fewer examples in each of them",
    "model_small": "train a larger network",
    "data_small": "train again with more examples",
}
DO_FACT = {
    ("temperature_high", "learning_rate"): "train again with smaller steps",
    ("temperature_high", "batch_size"): "train again with more examples in each step",
    ("temperature_low", "learning_rate"): "train again with larger steps",
    ("temperature_low", "batch_size"): "train again with fewer examples in each step",
}
# verdict -> what is said of so many groups
COUNTED = {
    "temperature_high": "trained too hastily",
    "temperature_low": "trained too cautiously",
    "model_small": "too small for the task",
    "data_small": "trained on too few examples",
    NONE: "that no single change would help much",
    UNSURE: "still unclear",
    BROKEN: "whose training broke down",
}
AS_IT_IS = "leave the training as it is"
