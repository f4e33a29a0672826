"""Small pickles of plain calls that make much of nothing, and honest ones that look alike."""

from __future__ import annotations

import io
from collections import Counter, OrderedDict

import pytest
import torch
from torch import nn
from torch._weights_only_unpickler import _get_allowed_globals

from mdtree.checkpoints import list_tensors, load_checkpoint, load_weights
from mdtree.checkpoints.safe_reading import check_held
from mdtree.exceptions import CheckpointError, UnreadableError, UnsafeError
from mdtree.scanning import pickle_fault
from tests.support.hostile import (
    WEIGHTS,
    archive,
    called,
    get,
    legacy,
    number,
    numbers,
    put,
    read_within,
    stored,
    tensor,
    text,
    weights,
)

MANY = 10**8
ONE = stored(1, view=b"N")
FOUR = {"0": bytes(4)}  # the bytes of one number


def viewed(key: str, start: int, count: int) -> bytes:
    return stored(1, view=b"(" + text(key) + number(start) + number(count) + b"t")


def with_attributes(made: bytes, attributes: bytes) -> bytes:
    """A tensor to which attributes are given as torch does."""
    given = made.split(b"_rebuild_tensor_v2\n")[1].removesuffix(b"R")
    rebuild, kind = b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch\nTensor\n"
    return called("torch._tensor._rebuild_from_type_v2", rebuild, kind, given, attributes)


EXPANDED = tensor(ONE, MANY, strides=(0,))
FROM_CPU = "torch._utils._rebuild_device_tensor_from_cpu_tensor"
QUANTIZED = b"(ctorch\nper_tensor_affine\n" + b"G" + bytes(8) + b"K\0t"

UNWRITTEN = {
    "a storage that is not filled": legacy(weights(tensor(stored(MANY, view=b"N"), MANY))),
    "a storage that is filled by less": legacy(weights(tensor(stored(MANY, view=b"N"), 9)), FOUR),
    "another storage is filled": legacy(weights(tensor(ONE, 1)), {"1": bytes(4)}),
    "a tensor beyond its storage": legacy(weights(tensor(ONE, MANY)), FOUR),
    "by its offset": legacy(weights(tensor(ONE, 1, offset=MANY)), FOUR),
    "by its strides": legacy(weights(tensor(ONE, 2, strides=(MANY,))), FOUR),
    "a tensor that repeats a number": legacy(weights(EXPANDED), FOUR),
    "many that do": legacy(
        weights(*[tensor(ONE, 1 << 20, strides=(0,))] * 20), FOUR
    ),
    "a storage that is made": legacy(called("torch.storage.UntypedStorage", number(MANY)), FOUR),
    "a tensor that is changed": legacy(
        weights(
            called("torch.FloatTensor") + b"(" + ONE + b"K\0" + numbers(MANY) + numbers(1) + b"tb"
        ),
        FOUR,
    ),
    "a parameter that is changed": legacy(
        weights(
            called("torch._utils._rebuild_parameter", tensor(ONE, 1), b"\x89", b"N")
            + b"(" + ONE + b"K\0" + numbers(MANY) + numbers(1) + b"tb"
        ),
        FOUR,
    ),
    "a tensor of another device": legacy(
        weights(called(FROM_CPU, EXPANDED, b"ctorch\nfloat64\n", text("cpu"), b"\x89")), FOUR
    ),
    "quantized numbers": legacy(
        weights(
            called(
                "torch._utils._rebuild_qtensor", stored(1, kind="QInt8", view=b"N"), b"K\0",
                numbers(MANY), numbers(0), QUANTIZED, b"\x89", b"N",
            )
        ),
        FOUR,
    ),
    "attributes that hold other numbers": legacy(
        weights(with_attributes(tensor(ONE, 1), b"}" + text("data") + tensor(ONE, 1) + b"s")), FOUR
    ),
    "a part outside of its storage": legacy(weights(tensor(viewed("1", 0, MANY), MANY)), FOUR),
    "a part that takes the place of another": legacy(
        weights(tensor(viewed("0", 0, 0), 0)), FOUR
    ),
    "in an archive: no storage": archive(weights(tensor(stored(1), 1))),
    "a shorter one": archive(weights(tensor(stored(MANY), MANY)), FOUR),
    "one under two names": archive(
        weights(tensor(stored(1, key="a"), 1), tensor(stored(1, key="A"), 1)), {"a": bytes(4)}
    ),
    "of two kinds": archive(
        weights(tensor(stored(1), 1), tensor(stored(1, kind="Char"), 1)), FOUR
    ),
    "many tensors of one storage": archive(
        weights(*[tensor(stored(1 << 18), 1 << 18)] * 200), {"0": bytes(1 << 20)}
    ),
}  # fmt: skip


def test_numbers_that_nobody_wrote_are_not_measured(tmp_path):
    paths = [tmp_path / f"{kind}.pt" for kind in UNWRITTEN]
    for path, content in zip(paths, UNWRITTEN.values(), strict=True):
        path.write_bytes(content)
    said = read_within(300, *paths)
    assert len(said) == 2 * len(paths)
    refused = (" was not loaded: it", " is a truncated or damaged torch.save file")
    kinds = [kind for kind in UNWRITTEN for _ in range(2)]
    answers = zip(kinds, said, strict=True)
    assert [kind for kind, line in answers if not any(words in line for words in refused)] == []


PAIRS = b"](" + b"".join(numbers(n, 1) for n in range(1_500)) + b"e"
LIST = b"](" + b"".join(map(number, range(6_000))) + b"e"
DICT = b"}(" + b"".join(number(n) + b"N" for n in range(3_000)) + b"u"
NAMES = b"}(" + b"".join(text(f"n{n}") + b"N" for n in range(2_000)) + b"u"
LATIN = text("latin1")
META = called(
    "torch._utils._rebuild_meta_tensor_no_storage",
    *(b"ctorch\nfloat32\n", numbers(1), numbers(1), b"\x89"),
)


def again(made: bytes, name: str, *more: bytes, after: bytes = b"", times: int = 3_000) -> bytes:
    """A list of what a call makes of one thing each time."""
    module, _, attribute = name.rpartition(".")
    kept = made + put(1) + f"c{module}\n{attribute}\n".encode() + put(2)
    call = get(2) + b"(" + get(1) + b"".join(more) + b"tR" + after
    return b"](" + kept + call * times + b"e"


HUNGRY = {
    "ordered": again(PAIRS, "collections.OrderedDict"),
    "sets": again(LIST, "builtins.set"),
    "counters": again(DICT, "collections.Counter"),
    "bytes": again(text("a" * 50_000), "_codecs.encode", LATIN),
    "arrays": again(text("a" * 50_000), "builtins.bytearray", LATIN),
    "sizes": again(numbers(*range(20_000)), "torch.Size"),
    "arguments": b"](" + numbers(*range(20_000)) + put(1) + b"cargparse\nNamespace\n" + put(2)
    + (get(2) + get(1) + b"R") * 3_000 + b"e",
    "attributes of two letters": b"](](" + b"".join(text(f"{chr(n)}a") for n in range(200, 5_200))
    + b"e" + put(1) + (called("collections.defaultdict") + get(1) + b"b") * 2_500 + b"e",
    "attributes in pairs": again(
        b"(" + b"".join(numbers(n, 1) for n in range(1_500)) + b"t",
        "collections.defaultdict", after=get(1) + b"b",
    ),
    "attributes": b"](" + NAMES + put(1)
    + (called("collections.OrderedDict") + get(1) + b"b") * 2_500 + b"e",
    "attributes of objects": again(DICT, "argparse.Namespace", after=get(1) + b"b"),
    "attributes of tensors": b"](" + NAMES + put(1) + META + put(2)
    + (called("torch._utils._rebuild_parameter_with_state", get(2), b"\x89", b"N", get(1))) * 2_000
    + b"e",
}  # fmt: skip


@pytest.mark.parametrize("kind", HUNGRY)
def test_one_list_does_not_become_thousands(tmp_path, kind):
    for write in (archive, legacy):
        content = write(HUNGRY[kind], FOUR)
        assert len(content) < 300_000
        (tmp_path / "x.pt").write_bytes(content)
        with pytest.raises(UnsafeError, match=r"was not loaded: it makes \d+ bytes of \d+"):
            load_weights(tmp_path / "x.pt")


def pairs_of_one_hash(count: int) -> list[tuple[int, int]]:
    """Tuples of two numbers that have one hash: Python mixes them in a way that can be undone."""
    one, two, five, bits = 11400714785074694791, 14029467366897019727, 2870177450012600261, 1 << 64
    wanted = ((five + 1 * two) % bits, 5)
    turned = lambda word: ((word << 31) | (word >> 33)) % bits  # noqa: E731
    first = lambda n: turned((five + n * two) % bits) * one % bits  # noqa: E731
    goal = first(wanted[1]) + 7 * two
    pairs = []
    for n in range(20 * count):
        second = (goal - first(n)) * pow(two, -1, bits) % bits
        second -= bits if second >> 63 else 0
        if abs(second) < (1 << 61) - 1:
            pairs.append((n, second))
    assert len({hash(pair) for pair in pairs}) == 1
    return pairs[:count]


ALIKE = {
    "numbers": [number(n * (2**61 - 1)) for n in range(300)],
    "pairs": [numbers(*pair) for pair in pairs_of_one_hash(300)],
    "pairs in tuples": [b"K\1" + numbers(*pair) + b"\x86" for pair in pairs_of_one_hash(300)],
    "empty bytes": [called("_codecs.encode", b"X\0\0\0\0", b"X\6\0\0\0latin1") for _ in range(300)],
    "complex": [called("builtins.complex", number(-1_000_003 * n), number(n)) for n in range(300)],
}
KEPT = {
    "a dictionary": lambda keys: b"}(" + b"N".join(keys) + b"Nu",
    "one by one": lambda keys: b"}" + b"".join(key + b"Ns" for key in keys),
    "a set": lambda keys: called("builtins.set", b"](" + b"".join(keys) + b"e"),
    "ordered": lambda keys: called(
        "collections.OrderedDict", b"](" + b"".join(key + b"N\x86" for key in keys) + b"e"
    ),
    "attributes": lambda keys: (
        called("collections.defaultdict") + b"".join(b"(" + key + b"N\x86tb" for key in keys)
    ),
    "attributes in a set": lambda keys: (
        called("collections.defaultdict")
        + called("builtins.set", b"](" + b"".join(key + b"N\x86" for key in keys) + b"e")
        + b"b"
    ),
    "of an object": lambda keys: called("collections.defaultdict") + b"(" + b"N".join(keys) + b"Nu",
}


@pytest.mark.parametrize("alike", ALIKE)
@pytest.mark.parametrize("kept", KEPT)
def test_keys_are_not_made_to_be_alike(tmp_path, alike, kept):
    (tmp_path / "x.pt").write_bytes(archive(KEPT[kept](ALIKE[alike])))
    with pytest.raises(UnsafeError, match="it has more than 100 keys with the same hash"):
        load_weights(tmp_path / "x.pt")


def test_a_key_is_not_one_long_text_a_thousand_times(tmp_path):
    text = b"X" + (5000).to_bytes(4, "little") + b"a" * 5000 + b"q\1"
    (tmp_path / "x.pt").write_bytes(archive(b"}(" + text + b"h\1" * 900 + b"tNs"))
    with pytest.raises(UnsafeError, match="it has a key of more than 100000 characters"):
        load_weights(tmp_path / "x.pt")


def astray() -> torch.Tensor:
    return torch.sparse_coo_tensor(
        torch.tensor([[10**12]]), torch.ones(1), (2,), check_invariants=False
    )


# the sparse rows and the nested tensors are said to be in beta
@pytest.mark.filterwarnings("ignore:Sparse:UserWarning", "ignore:The PyTorch API of nested")
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_that_are_no_plain_numbers_are_not_built(tmp_path, zipped):
    others = {
        "sparse": [torch.eye(3).to_sparse(), torch.eye(3).to_sparse_csr(), astray()],
        "nested": [
            torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=layout)
            for layout in (torch.strided, torch.jagged)
        ],
    }
    path = tmp_path / "x.pt"
    for name, tensors in others.items():
        for other in tensors:
            content = {"model": WEIGHTS, "other": other}
            torch.save(content, path, _use_new_zipfile_serialization=zipped)
            for read in (load_weights, list_tensors):
                with pytest.raises(UnsafeError, match=f"it contains a {name} tensor"):
                    read(path)


@pytest.mark.parametrize("name", sorted(_get_allowed_globals()))
def test_all_that_torch_admits_is_known(name):
    """Also where it is trusted: torch would call its own."""
    needs_nothing = {"OrderedDict", "Counter", "set", "bytearray"}
    for passed_over in ([], [name]):
        fault = pickle_fault(io.BytesIO(archive(called(name))), passed_over=passed_over)
        assert (fault is None) == (name.rpartition(".")[2] in needs_nothing)


def evil(*_: object) -> None:
    raise AssertionError


def test_what_other_packages_let_torch_read_is_not_read(tmp_path):
    path, before = tmp_path / "x.pt", torch.serialization.get_safe_globals()
    path.write_bytes(archive(called(f"{__name__}.evil")))
    torch.serialization.add_safe_globals([evil])
    try:
        with pytest.raises(UnsafeError, match="could run code"):
            load_weights(path)
        assert evil in torch.serialization.get_safe_globals()
    finally:
        torch.serialization.clear_safe_globals()
        torch.serialization.add_safe_globals(before)


class Plain(nn.Module):
    """Has all kinds of tensors that training leaves behind."""

    def __init__(self, *, is_new: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(3, 4))
        self.weight.rows = 3
        self.register_buffer("plain", torch.arange(3))
        self.buffer = nn.Buffer(torch.randn(2))
        self.register_buffer("turned", torch.randn(3, 2).t())
        self.register_buffer("mask", torch.ones(1, 1).expand(512, 512))
        self.register_buffer("part", torch.randn(9)[2:5])
        self.register_buffer("none", torch.zeros(0, 3))
        self.register_buffer("number", torch.tensor(3.0))
        self.register_buffer("conjugate", torch.randn(2, dtype=torch.complex64).conj())
        if is_new:  # torch does not read these in the older form
            self.register_buffer("short", torch.tensor([1, 2], dtype=torch.uint16))
            self.register_buffer("small", torch.randn(3).to(torch.float8_e5m2))
        self.layers = nn.ModuleList([nn.Linear(2, 2)] * 48)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_all_that_training_leaves_behind_is_read(tmp_path, zipped, keep):
    module = Plain(is_new=zipped)
    content = {
        "model": module.state_dict(keep_vars=keep),
        "optimizer": torch.optim.AdamW(module.layers.parameters()).state_dict(),
        "bytes": (b"\xff\x00", bytearray(b"\xff"), bytearray()),
        "keys": {(1, ("a", 2)): {1, 2}, torch.float32: torch.Size([2, 3]), 1j: None, 2**70: 1.5},
        "counts": Counter("aab"),
        "places": (torch.device("cuda", 1), torch.strided, torch.preserve_format is None),
        "many": dict.fromkeys(range(3_000)),
        "meta": torch.ones(9, device="meta"),
    }
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    tensors = load_weights(tmp_path / "x.pt").tensors
    for name, value in module.state_dict().items():
        assert torch.equal(value.to(torch.complex64), tensors[name].to(torch.complex64)), name
    other = load_checkpoint(tmp_path / "x.pt", Plain(is_new=zipped), name="x").weights
    assert torch.equal(module.turned, other["turned"])


# torch will lose them, and calls what it has deprecated
@pytest.mark.filterwarnings("ignore:torch.quantize_per:UserWarning", "ignore:TypedStorage is")
@pytest.mark.parametrize("zipped", [True, False])
def test_quantized_tensors_may_lie_beside_the_weights(tmp_path, zipped):
    matrix, scales = torch.randn(3, 4), torch.ones(3)
    content = {
        "model": WEIGHTS,
        "all": torch.quantize_per_tensor(matrix, 0.1, 0, torch.qint8),
        "rows": torch.quantize_per_channel(matrix, scales, torch.zeros(3), 0, torch.quint8),
    }
    torch.save(content, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
    assert load_weights(tmp_path / "x.pt").tensors.keys() == WEIGHTS.keys()


def test_a_state_dict_of_python_2_is_read(tmp_path):
    """It is called with its items, texts are bytes, and storages may be parts of others."""
    short = lambda word: b"U" + bytes([len(word)]) + word.encode()  # noqa: E731
    root = stored(4, view=b"N").replace(text("0"), short("0")).replace(text("cpu"), short("cpu"))
    part = stored(4, view=b"(" + short("1") + b"K\1K\2t")
    pairs = [
        b"](" + short(name) + tensor(storage, size) + b"e"
        for name, storage, size in (("a", root, 4), ("b", part, 2))
    ]
    pickled = called("collections.OrderedDict", b"](" + b"".join(pairs) + b"e")
    content = torch.tensor([1.0, 2.0, 3.0, 4.0])
    (tmp_path / "x.pt").write_bytes(legacy(pickled, {"0": content.numpy().tobytes()}))
    tensors = load_weights(tmp_path / "x.pt").tensors
    assert torch.equal(content, tensors["a"])
    assert torch.equal(content[1:3], tensors["b"])


def test_tensors_take_no_more_than_their_file_has(tmp_path):
    whole = torch.ones(100)
    content = OrderedDict(a=whole, b={"c": [whole[3:], (whole.t(), torch.ones(9, device="meta"))]})
    content["itself"] = content
    check_held(tmp_path, content, 400)
    with pytest.raises(UnreadableError, match="has 399 bytes, but its tensors take 400"):
        check_held(tmp_path, content, 399)


def test_what_is_damaged_is_never_handed_on(tmp_path):
    for pickled in (
        b"",
        b"}(K\1",
        b"h\x07",
        b"\x85",
        b"cno\x80\nname\n",
        b"K\1(b",
        b"U\1\xff",
        b"((ttR",
    ):
        for write in (archive, legacy):
            (tmp_path / "x.pt").write_bytes(write(pickled))
            with pytest.raises(CheckpointError):
                load_weights(tmp_path / "x.pt")
