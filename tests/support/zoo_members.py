"""Members of a zoo, and the files that they leave."""

from __future__ import annotations

from mdtree.recipes import Trust, Zoo
from mdtree.zoo.member import ZooMember


def zoo(model="cnn", data=None, **training):
    return Zoo.model_validate(
        {
            "model": {"factory": model, "kwargs": {"width": "$width"}},
            "data": {"source": "digits", "amount": 50, **(data or {})},
            "training": {"learning_rate": 0.05, "batch_size": 16, "epochs": 2, **training},
            "grid": {"width": [2, 3]},
            "facts": {"epochs": 2},
        }
    )


def make_member(out, model="cnn", *, seed=1, width=2, **parts) -> ZooMember:
    return ZooMember(
        zoo=zoo(model, **parts),
        trust=Trust(any_factory=True),
        out=out,
        group=f"width-{width}",
        facts={"epochs": 2, "width": width},
        seed=seed,
        device="cpu",
    )


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def files_below(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
