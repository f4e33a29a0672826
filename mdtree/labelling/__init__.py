"""Labelling: what is wrong with each group of a zoo, from what its neighbours on the grid reach."""

from typing import TYPE_CHECKING

from mdtree.late import late

if TYPE_CHECKING:
    from mdtree.labelling.grid import accuracy_of, number_of, room_for_improvement
    from mdtree.labelling.labels import Label, label_rows
else:
    __getattr__, __dir__ = late(
        __name__,
        {
            "grid": "accuracy_of number_of room_for_improvement",
            "labels": "Label label_rows",
        },
    )

__all__ = ["Label", "accuracy_of", "label_rows", "number_of", "room_for_improvement"]
