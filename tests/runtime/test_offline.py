"""No network: whatever library asks for it, and for as long as it takes."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import urllib.request

import pytest

from mdtree.exceptions import DataError, RecipeError
from mdtree.runtime.offline import offline

ASKS = r"^the recipe needs network access, which is not allowed"


def by_name():
    socket.getaddrinfo("localhost", 9)


def by_address():
    with socket.socket() as made:
        made.connect(("127.0.0.1", 9))


def by_datagram():
    with socket.socket(type=socket.SOCK_DGRAM) as made:
        made.sendto(b"x", ("127.0.0.1", 9))


def by_url():
    urllib.request.urlopen("file:///etc/hostname")


@pytest.mark.parametrize("ask", [by_name, by_address, by_datagram, by_url])
def test_a_connection_is_refused_inside_and_not_after(ask):
    with pytest.raises(RecipeError, match=ASKS), offline("the recipe"):
        ask()
    with contextlib.suppress(OSError):  # nobody listens there
        ask()


def test_other_threads_are_left_alone():
    faults = []

    def ask():
        try:
            by_name()
        except RecipeError as error:
            faults.append(error)

    with offline("the recipe"):
        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()
    assert faults == []


def test_inside_of_inside_it_is_still_refused():
    with offline("the recipe"):
        with offline("another"):
            pass
        with pytest.raises(RecipeError, match=ASKS):
            by_name()


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this system has no sockets in files")
def test_processes_of_this_machine_may_talk(tmp_path):
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(str(tmp_path / "s"))
        server.listen()
        with offline("the recipe"):
            client.connect(str(tmp_path / "s"))


def test_the_library_of_hugging_face_is_told_and_its_advice_to_go_online_is_not_passed_on(
    monkeypatch,
):
    hub = pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with offline("the recipe"):
        assert os.environ["TRANSFORMERS_OFFLINE"] == "1"
        assert hub.is_offline_mode()
    with pytest.raises(RecipeError, match=ASKS), offline("the recipe"):
        hub.HfApi().repo_exists("somebody/something")
    assert os.environ["HF_HUB_OFFLINE"] == "0"
    assert "TRANSFORMERS_OFFLINE" not in os.environ
    assert not hub.is_offline_mode()


def test_other_errors_are_what_they_are():
    with pytest.raises(ZeroDivisionError), offline("the recipe"):
        1 / 0  # noqa: B018
    with pytest.raises(DataError), offline("the recipe"):
        raise DataError("no data")
