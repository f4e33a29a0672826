"""A small Hub of Hugging Face on this machine: the few answers that its file system asks for.

It serves folders as repositories: `root/someone/net` at every revision that it is told of, and
`root/datasets/someone/runs`, a repository of data.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" * 6 + "c0ff"


@dataclass
class Hub:
    """A server and what it was asked."""

    root: Path
    url: str = ""
    token: str = "hf_secret"  # that private repositories ask for
    private: set[str] = field(default_factory=set)  # repositories that need the token
    asked: list[str] = field(default_factory=list)  # files that were fetched

    def folder(self, kind: str, repo: str) -> Path:
        """Return the folder of a repository."""
        return self.root / ("" if kind == "models" else kind) / repo


@contextlib.contextmanager
def running_hub(root: Path) -> Iterator[Hub]:
    """Serve the folders below `root` for the context."""
    hub = Hub(root)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _answer(self, hub)

        def do_HEAD(self) -> None:
            _answer(self, hub)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _answer(handler: BaseHTTPRequestHandler, hub: Hub) -> None:
    parts = [unquote(part) for part in urlsplit(handler.path).path.strip("/").split("/")]
    is_api = parts[0] == "api"
    parts = parts[1:] if is_api else parts
    kind = parts.pop(0) if is_api or parts[0] == "datasets" else "models"
    repo, (what, revision, *inner) = "/".join(parts[:2]), [*parts[2:], "", ""][: max(len(parts), 4)]
    folder = hub.folder(kind, repo)
    is_hidden = (
        repo in hub.private and handler.headers.get("Authorization") != f"Bearer {hub.token}"
    )
    if is_hidden or not folder.is_dir():
        return _refuse(handler, 401, "RepoNotFound", "Repository Not Found")
    if revision not in ("", "main", "refs/pr/1", COMMIT):
        return _refuse(handler, 404, "RevisionNotFound", f"Invalid rev id: {revision}")
    path = folder / "/".join(part for part in inner if part)
    if not path.exists():
        return _refuse(handler, 404, "EntryNotFound", "Entry not found")
    if what == "resolve":
        hub.asked.append(f"{repo}/{path.relative_to(folder).as_posix()}")
        return _send(handler, path.read_bytes(), "application/octet-stream")
    if what == "tree":
        entries = [_entry(each, folder) for each in sorted(path.iterdir())]
        return _send(handler, json.dumps(entries).encode(), "application/json")
    info = {"_id": "1", "id": repo, "sha": COMMIT, "private": False, "tags": [], "siblings": []}
    return _send(handler, json.dumps(info).encode(), "application/json")


def _entry(path: Path, folder: Path) -> dict[str, object]:
    name = path.relative_to(folder).as_posix()
    if path.is_dir():
        return {"type": "directory", "oid": COMMIT, "size": 0, "path": name}
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    return {"type": "file", "oid": blob, "size": len(content), "path": name}


def _refuse(handler: BaseHTTPRequestHandler, status: int, code: str, message: str) -> None:
    _send(
        handler,
        json.dumps({"error": message}).encode(),
        "application/json",
        status=status,
        headers={"X-Error-Code": code, "X-Error-Message": message},
    )


def _send(
    handler: BaseHTTPRequestHandler,
    content: bytes,
    form: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    handler.send_response(status)
    for name, value in (headers or {}).items():
        handler.send_header(name, value)
    handler.send_header("Content-Type", form)
    handler.send_header("Content-Length", str(len(content)))
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(content)
