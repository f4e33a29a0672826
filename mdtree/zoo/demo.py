"""The demo zoo: two groups of two small networks on digits, one with a fault planted in it."""

from __future__ import annotations

from mdtree.config import ModelSpec, Zoo, ZooTraining

__all__ = ["DEMO"]

# A batch of 32 trains well here; a batch of 1,024 makes one step in each epoch: far too few, and
# far too little noise (a training temperature that is too low).
DEMO = Zoo(
    model=ModelSpec(factory="resnet18", kwargs={"width": 4, "classes": 10, "channels": 1}),
    training=ZooTraining(learning_rate=0.05, batch_size="$batch_size", epochs=25),
    grid={"batch_size": (32, 1024)},
    seeds=2,
    facts={"width": 4, "learning_rate": 0.05, "epochs": 25},
    name="batch-{batch_size}",
)
