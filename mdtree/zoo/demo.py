"""The demo: two small networks on digits, with a fault planted in their training."""

from __future__ import annotations

from mdtree.recipes import Digits, ModelSpec, Zoo, ZooTraining

__all__ = ["FAULTS", "demo_zoo"]

# failure mode -> (width, batch size, training items) that bring it about; the rest is as in
# configs/zoo-digits.yaml.  A batch of 1,024 makes two steps in an epoch: far too few, and far too
# little noise.  One of 4 never comes to rest.  A network of width 1 has 3,000 weights.
FAULTS: dict[str, tuple[int, int, int]] = {
    "temperature_low": (4, 1024, 1200),
    "temperature_high": (4, 4, 1200),
    "model_small": (1, 64, 1200),
    "data_small": (8, 64, 150),
    "none": (8, 64, 1200),
}


def demo_zoo(fault: str, *, seed: int = 0) -> Zoo:
    """Give the zoo of one group of two members; the seed chooses other members."""
    width, batch_size, data_amount = FAULTS[fault]
    return Zoo(
        model=ModelSpec(
            factory="resnet18", kwargs={"width": "$width", "classes": 10, "channels": 1}
        ),
        data=Digits(amount="$data_amount"),
        training=ZooTraining(
            learning_rate=0.05, batch_size="$batch_size", epochs=15, weight_decay=5e-4
        ),
        grid={"batch_size": (batch_size,), "width": (width,), "data_amount": (data_amount,)},
        seeds=2,
        first_seed=2 * (seed + 1),  # those of the reference zoo are 0 and 1
        facts={"learning_rate": 0.05, "epochs": 15},
        name="b{batch_size}-w{width}-d{data_amount}",
    )
