"""Zoos: networks that are trained on purpose, on a grid of facts."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.zoo.demo import FAULTS, demo_zoo
    from mdtree.zoo.diverged import diverged_records, diverged_row, diverged_training
    from mdtree.zoo.member import (
        OUT_OF_TIME,
        ZooMember,
        member_data,
        member_training,
        training_outcome,
    )
    from mdtree.zoo.plan import (
        AxisPrice,
        Price,
        TimeEstimate,
        by_axis,
        members,
        placed,
        prices,
        total,
    )
    from mdtree.zoo.train import (
        CONFIG_NAME,
        ZooTrainingSummary,
        names_in_recipe,
        names_to_trust,
        pending,
        train_zoo,
    )
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "demo": "FAULTS demo_zoo",
            "diverged": "diverged_records diverged_row diverged_training",
            "member": "OUT_OF_TIME ZooMember member_data member_training training_outcome",
            "plan": "AxisPrice Price TimeEstimate by_axis members placed prices total",
            "train": (
                "CONFIG_NAME ZooTrainingSummary names_in_recipe names_to_trust pending train_zoo"
            ),
        },
    )

__all__ = [
    "CONFIG_NAME",
    "FAULTS",
    "OUT_OF_TIME",
    "AxisPrice",
    "Price",
    "TimeEstimate",
    "ZooMember",
    "ZooTrainingSummary",
    "by_axis",
    "demo_zoo",
    "diverged_records",
    "diverged_row",
    "diverged_training",
    "member_data",
    "member_training",
    "members",
    "names_in_recipe",
    "names_to_trust",
    "pending",
    "placed",
    "prices",
    "total",
    "train_zoo",
    "training_outcome",
]
