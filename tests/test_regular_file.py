"""Files of a stranger: JSON within bounds, and no pipe."""

from __future__ import annotations

import os

import pytest

from mdtree.regular_file import TooLargeError, read_json


def test_json_of_as_many_bytes_as_allowed_is_read(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')  # with the mark that editors of Windows write
    assert read_json(path, 11) == {"a": 1}
    with pytest.raises(TooLargeError):
        read_json(path, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"{", "Expecting property name"),
        (b"", "Expecting value"),
        (b"[" * 100_000, "nested too deeply"),
        (b'"\xff"', "can't decode"),
    ],
)
def test_what_is_not_json_is_one_kind_of_error(tmp_path, content, words):
    path = tmp_path / "config.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        read_json(path, 1 << 20)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(OSError, match="pipe"):
        read_json(tmp_path / "config.json", 10)
