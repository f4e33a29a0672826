"""Hostile checkpoints made by hand, and a program that reads them with little memory."""

from __future__ import annotations

import io
import pickle
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import torch
from torch import nn

WEIGHTS = nn.Linear(3, 2).state_dict()
HUGE = b"J\x00\x00\x00\x7f"  # 2**31 - 2**24


def text(word: str) -> bytes:
    return b"X" + struct.pack("<I", len(word.encode())) + word.encode()


def number(value: int) -> bytes:
    packed = pickle.encode_long(value)
    return b"\x8a" + bytes([len(packed)]) + packed


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def called(name: str, *arguments: bytes) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n(".encode() + b"".join(arguments) + b"tR"


def put(place: int) -> bytes:
    return b"r" + struct.pack("<I", place)


def get(place: int) -> bytes:
    return b"j" + struct.pack("<I", place)


def stored(count: int, *, key: str = "0", kind: str = "Float", view: bytes = b"") -> bytes:
    """A storage; `view` is what the older form has in addition."""
    named = f"ctorch\n{kind}Storage\n".encode()
    parts = text("storage") + named + text(key) + text("cpu") + number(count)
    return b"(" + parts + view + b"tQ"


def tensor(storage: bytes, *sizes: int, strides: tuple[int, ...] = (1,), offset: int = 0) -> bytes:
    where = (number(offset), numbers(*sizes), numbers(*strides))
    hooks = called("collections.OrderedDict")
    return called("torch._utils._rebuild_tensor_v2", storage, *where, b"\x89", hooks)


def weights(*values: bytes) -> bytes:
    """A dictionary that has these under names."""
    return b"}(" + b"".join(text(f"w{n}") + value for n, value in enumerate(values)) + b"u"


def archive(pickled: bytes, records: dict[str, bytes] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a/data.pkl", b"\x80\x02" + pickled + b".")
        file.writestr("a/version", "3\n")
        for key, content in (records or {}).items():
            file.writestr(f"a/data/{key}", content)
    return buffer.getvalue()


def legacy(pickled: bytes, records: dict[str, bytes] | None = None) -> bytes:
    """A file of the form before archives, whose storages follow the pickles."""
    buffer = io.BytesIO()
    torch.save({}, buffer, _use_new_zipfile_serialization=False)
    buffer.seek(0)
    for _ in range(3):  # magic number, version, machine
        pickle.load(buffer)
    keys = pickle.dumps(list(records or {}), protocol=2)
    behind = b"".join(
        struct.pack("<q", len(content) // 4) + content for content in (records or {}).values()
    )
    return buffer.getvalue()[: buffer.tell()] + b"\x80\x02" + pickled + b"." + keys + behind


_PROGRAM = """
import resource, sys
from pathlib import Path
from mdtree.checkpoints import list_tensors, load_weights
from mdtree.exceptions import MdtreeError

used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (int(sys.argv[1]) << 20),) * 2)
for name in sys.argv[2:]:
    for read in (load_weights, list_tensors):
        try:
            read(Path(name))
            print("read")
        except MdtreeError as error:
            print(type(error).__name__, error)
"""


def read_within(megabytes: int, *paths: Path) -> list[str]:
    """Read files in a process that may take so much more; give what it says, two lines for each."""
    command = [sys.executable, "-c", _PROGRAM, str(megabytes), *map(str, paths)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)
    return ran.stdout.splitlines()
