"""Damaged and hostile variants of honest files, and the readers that must tell what is wrong.

    python -m tests.support.fuzzing READER COUNT [SEED]

reads COUNT variants of the honest files of one reader, and ends with 1 at the first that brings
anything but a value or an MdtreeError, that takes more than a minute, or that fills the memory.
The failing variant is kept in the folder `fuzzing-failed` of the directory for temporary files.
"""

from __future__ import annotations

import copy
import io
import json
import random
import signal
import sys
import tempfile
import traceback
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

from mdtree.checkpoints import list_tensors
from mdtree.checkpoints.parts import file_digest
from mdtree.checkpoints.safe_reading import read
from mdtree.datasets.files import from_file
from mdtree.exceptions import MdtreeError
from mdtree.models import cnn
from mdtree.recipes import read_recipe, read_zoo
from mdtree.rows import read_rows, rows_from_csv, write_rows
from mdtree.trees import read_tree
from mdtree.trees.bundled import shipped_rows
from tests.support.paths import ROOT
from tests.support.rows import csv_text

MOST = 1 << 30  # bytes that reading may add to what the process has
LONG = 60  # seconds for one variant: only what would never end takes so long

NUMBERS = [0, -1, 1, 255, 2**31, -(2**31), 2**63, 2**64, 10**30, 1e308, 5e-324, 1.5]
VALUES = [*NUMBERS, None, True, "", "x", "../x", "\0", "ü" * 300, [], {}, [[]], {"x": {}}, "1e999"]


def weights() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return dict(cnn(width=1).state_dict())


def checkpoint() -> dict[str, object]:
    network = nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}


def honest_zip(folder: Path) -> list[Path]:
    torch.save(weights(), folder / "a.pt")
    torch.save(checkpoint(), folder / "b.pt")
    return [folder / "a.pt", folder / "b.pt"]


def honest_legacy(folder: Path) -> list[Path]:
    for name, content in {"a.pt": weights(), "b.pt": checkpoint()}.items():
        torch.save(content, folder / name, _use_new_zipfile_serialization=False)
    return [folder / "a.pt", folder / "b.pt"]


def honest_safetensors(folder: Path) -> list[Path]:
    save_file(weights(), folder / "a.safetensors", metadata={"format": "pt"})
    return [folder / "a.safetensors"]


def honest_index(folder: Path) -> list[Path]:
    parts: dict[str, dict[str, torch.Tensor]] = {"p-1.safetensors": {}, "p-2.safetensors": {}}
    for number, (name, tensor) in enumerate(weights().items()):
        parts[f"p-{number % 2 + 1}.safetensors"][name] = tensor
    for name, tensors in parts.items():
        save_file(tensors, folder / name)
    where = {name: part for part, tensors in parts.items() for name in tensors}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / "m.safetensors.index.json").write_text(json.dumps(index))
    return [folder / "m.safetensors.index.json"]


def honest_data(folder: Path) -> list[Path]:
    x, y = torch.rand(6, 1, 3, 3), torch.arange(6) % 2
    torch.save((x, y), folder / "a.pt")
    np.savez(folder / "b.npz", x=x.numpy(), y=y.numpy())
    np.savez_compressed(folder / "c.npz", x=x.numpy(), y=y.numpy())
    return [folder / "a.pt", folder / "b.npz", folder / "c.npz"]


def honest_rows(folder: Path) -> list[Path]:
    write_rows(folder / "a.jsonl", shipped_rows("digits-paper-1")[:2])
    return [folder / "a.jsonl"]


def honest_table(folder: Path) -> list[Path]:
    (folder / "a.csv").write_text(csv_text(shipped_rows("digits-paper-1")[:3]))
    return [folder / "a.csv"]


def honest_tree(folder: Path) -> list[Path]:
    saved = ROOT / "mdtree" / "data" / "trees" / "published-cifar10-resnet18-width.json"
    (folder / "a.json").write_bytes(saved.read_bytes())
    return [folder / "a.json"]


def honest_recipe(folder: Path) -> list[Path]:
    configs = sorted((ROOT / "configs").glob("*.yaml"))
    for path in configs:
        (folder / path.name).write_bytes(path.read_bytes())
    return [folder / path.name for path in configs]


def honest_config(folder: Path) -> list[Path]:
    import transformers

    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    sizes = {"intermediate_size": 8, "vocab_size": 11, "max_position_embeddings": 8}
    config = transformers.BertConfig(**small, **sizes, architectures=["BertModel"])
    (folder / "config.json").write_text(config.to_json_string())
    return [folder / "config.json"]


def read_weights(path: Path) -> None:
    """Read weights in the three ways in which commands do, also where the first refuses them."""
    refusal = None
    for way in (read, list_tensors, file_digest):
        try:
            content = way(path)
            for stored in getattr(content, "tensors", ()):
                if stored.fault is None:
                    stored.load().sum()
        except MdtreeError as error:
            refusal = error
    if refusal is not None:
        raise refusal


def read_config(path: Path) -> None:
    from mdtree.models.huggingface import from_folder

    from_folder(path.parent)


def read_any_recipe(path: Path) -> None:
    (read_zoo if path.name.startswith("zoo") else read_recipe)(path)


Maker, Reader = Callable[[Path], list[Path]], Callable[[Path], object]

READERS: dict[str, tuple[Maker, Reader]] = {
    "torch": (honest_zip, read_weights),
    "legacy": (honest_legacy, read_weights),
    "safetensors": (honest_safetensors, read_weights),
    "index": (honest_index, read_weights),
    "data": (honest_data, from_file),
    "rows": (honest_rows, read_rows),
    "table": (honest_table, lambda path: rows_from_csv(path, protocol="paper-1")),
    "tree": (honest_tree, read_tree),
    "recipe": (honest_recipe, read_any_recipe),
    "config": (honest_config, read_config),
}


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Change bytes here and there: flipped, cut out, doubled, put in, or cut off."""
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 2, 5))):
        place, length = rng.randrange(len(changed) + 1), rng.choice((1, 1, 2, 4, 8, 40))
        how = rng.randrange(6)
        if how == 0 and place < len(changed):
            changed[place] ^= 1 << rng.randrange(8)
        elif how == 1:
            changed[place : place + length] = rng.randbytes(length)
        elif how == 2:
            del changed[place : place + length]
        elif how == 3:
            changed[place:place] = changed[place : place + length] * rng.choice((1, 2, 50))
        elif how == 4:
            changed[place : place + 8] = rng.choice((0, 1, 2**31, 2**63, 2**64 - 1)).to_bytes(
                8, "little"
            )
        elif rng.random() < 0.2:
            del changed[place:]
    return bytes(changed)


def rewritten(content: bytes, rng: random.Random) -> bytes:
    """Damage one entry of an archive, and write the archive anew: its sums are right."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(written, "w") as new:
        entries = old.infolist()
        chosen = rng.randrange(len(entries))
        if rng.random() < 0.7:  # the pickle says what the others are
            names = [entry.filename for entry in entries]
            chosen = next((n for n, name in enumerate(names) if name.endswith("data.pkl")), chosen)
        for number, entry in enumerate(entries):
            inside = old.read(entry)
            new.writestr(entry.filename, damaged(inside, rng) if number == chosen else inside)
    return written.getvalue()


def replaced(text: str, rng: random.Random) -> str:
    """Put other values into one line of JSON."""
    content = json.loads(text)
    for _ in range(rng.choice((1, 1, 2))):
        place, key = content, None
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else range(len(place))
            above, key = place, rng.choice(keys)
            place = above[key]
            if rng.random() < 0.25:
                break
        if key is None:
            continue
        if isinstance(above, dict) and rng.random() < 0.2:
            above[str(rng.choice(VALUES))] = above.pop(key)
        else:
            above[key] = copy.deepcopy(rng.choice(VALUES))
    return json.dumps(content)


def variant(path: Path, content: bytes, rng: random.Random) -> bytes:
    """Make one variant of a file."""
    if content.startswith(b"PK") and rng.random() < 0.6:
        return rewritten(content, rng)
    if content.startswith(b"{") and rng.random() < 0.7:
        lines = content.decode().splitlines() if path.suffix == ".jsonl" else [content.decode()]
        lines[0] = replaced(lines[0], rng)
        return "\n".join(lines).encode()
    return damaged(content, rng)


def stop_what_never_ends(_: int, __: object) -> None:
    raise TimeoutError(f"no answer in {LONG} seconds")


def limit_memory() -> None:
    """Let reading add no more than MOST to the memory that this process has now."""
    import resource

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + MOST, size + MOST))


def main(name: str, count: int, seed: int) -> int:
    """Read variants; say which is the first that fails."""
    make, way = READERS[name]
    rng = random.Random(seed)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, stop_what_never_ends)
    with tempfile.TemporaryDirectory() as place:
        files = make(Path(place))
        honest = [path.read_bytes() for path in files]
        for path in files:
            way(path)  # which also loads all that reading needs
        if sys.platform == "linux":
            limit_memory()
        refused = 0
        for number in range(count):
            chosen = rng.randrange(len(files))
            content = variant(files[chosen], honest[chosen], rng)
            files[chosen].write_bytes(content)
            try:
                if hasattr(signal, "SIGALRM"):
                    signal.alarm(LONG)
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    way(files[chosen])
            except MdtreeError:
                refused += 1
            except BaseException:  # noqa: BLE001 - whatever it is, it is a finding
                kept = Path(tempfile.gettempdir()) / "fuzzing-failed"
                kept.mkdir(exist_ok=True)
                (kept / f"{name}-{seed}-{number}{files[chosen].suffix}").write_bytes(content)
                traceback.print_exc()
                print(f"{name}: variant {number} of seed {seed} fails; it is kept in {kept}")
                return 1
            finally:
                if hasattr(signal, "SIGALRM"):
                    signal.alarm(0)
            files[chosen].write_bytes(honest[chosen])
    print(f"{name}: {count} variants, {refused} refused")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2]), int(*sys.argv[3:4] or ("0",))))
