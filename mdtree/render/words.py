"""The ten words of the page, for people who do not train networks."""

from __future__ import annotations

__all__ = ["WORDS"]

# word -> what it means, in one or two sentences
WORDS: dict[str, str] = {
    "group": (
        "Networks that were trained alike and differ only by their seed, the number from which "
        "chance starts. A verdict is about a group."
    ),
    "point": (
        "One right answer in every 100 test examples. A gain of 2 points turns an accuracy of 90 % "
        "into 92 %."
    ),
    "learning rate": "How far one step of training changes the network.",
    "batch size": "How many examples one step of training looks at.",
    "temperature": (
        "How much noise (chance) there is in training. A large learning rate or a small batch "
        "makes it high, a small learning rate or a large batch makes it low."
    ),
    "width": "How many units a layer of the network has. A wider network is a larger network.",
    "loss": (
        "What training makes small: how wrong the answers of the network are, and how sure it was "
        "of the wrong ones."
    ),
    "tree": (
        "Questions about the measurements, one after another, that lead to a verdict. It has "
        "learnt them from its training groups, of which it is known what helped."
    ),
    "standard error": (
        "How far chance alone moves a number: what stands behind ±, and the bars of the pictures."
    ),
    "prediction set": (
        "The verdicts that cannot be ruled out. In nine groups of ten, one of those in the 90 % "
        "prediction set is right."
    ),
}
