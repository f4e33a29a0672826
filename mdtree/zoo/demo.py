"""The demo: two small networks on spirals, with a fault planted in their training."""

from __future__ import annotations

from mdtree.recipes import FactoryData, ModelSpec, Zoo, ZooTraining

__all__ = ["FAULTS", "demo_zoo"]

# failure mode -> (width, learning rate, training items) that bring it about.  A learning rate a
# hundred times too small does not come far in 3,000 steps, one eight times too large never comes to
# rest; three neurons in a layer cannot bend around four arms; 128 points leave gaps on them.
FAULTS: dict[str, tuple[int, float, int]] = {
    "temperature_low": (32, 0.0005, 4096),
    "temperature_high": (32, 0.4, 4096),
    "model_small": (3, 0.05, 4096),
    "data_small": (32, 0.05, 128),
    "none": (32, 0.05, 4096),
}


def demo_zoo(fault: str, *, seed: int = 0) -> Zoo:
    """Give the zoo of one group of two members; the seed chooses other members."""
    width, learning_rate, data_amount = FAULTS[fault]
    return Zoo(
        model=ModelSpec(
            factory="mlp", kwargs={"inputs": 4, "width": "$width", "depth": 2, "classes": 4}
        ),
        data=FactoryData(
            source="mdtree.datasets.spirals:spirals",
            kwargs={"train": 4096, "test": 4000},
            amount="$data_amount",
            subset="first",  # the data are shuffled already
        ),
        training=ZooTraining(
            learning_rate="$learning_rate", batch_size=32, steps=3000, schedule="cosine"
        ),
        grid={
            "width": (width,),
            "learning_rate": (learning_rate,),
            "data_amount": (data_amount,),
        },
        seeds=2,
        first_seed=2 * seed,
        facts={"batch_size": 32, "steps": 3000},
        name="w{width}-r{learning_rate}-d{data_amount}",
    )
