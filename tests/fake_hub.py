"""A small Hub on 127.0.0.1: it serves folders as model repositories, and can be as unhelpful as the real one."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

LARGE = (".safetensors", ".bin", ".ckpt", ".h5")
"""Files that the Hub keeps apart, by their SHA-256."""


@dataclass
class Answer:
    """A status with headers and a body, instead of what was asked for."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class FakeHub:
    """Repositories by id; `answers` are given, first come, to requests whose path holds the text."""

    url: str = ""
    repos: dict[str, dict[str, bytes]] = field(default_factory=dict)
    answers: list[tuple[str, Answer]] = field(default_factory=list)
    cut: int | None = None
    """Bytes of a large file after which the connection breaks."""
    promised: int = 0
    """Bytes by which the sizes that it lists are too large."""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Method, path and Range of every request."""

    def add(self, repo: str, folder: Path, **more: bytes) -> str:
        """Serve a folder, and further files; the commit it is."""
        self.repos[repo] = {path.name: path.read_bytes() for path in folder.iterdir()} | more
        return self.commit(repo)

    def commit(self, repo: str) -> str:
        """A digest of what is in the repository."""
        return hashlib.sha1(repr(sorted(self.repos[repo].items())).encode(), usedforsecurity=False).hexdigest()

    def sent(self, name: str) -> list[str]:
        """The Range of each request for a file, '' for all of it."""
        return [ranged for method, path, ranged in self.asked if method == "GET" and path.endswith(f"/{name}")]


def _entries(files: dict[str, bytes], more: int, tree: bool) -> list[dict[str, object]]:
    """Files as the Hub lists them, in one of its two manners."""
    rows: list[dict[str, object]] = []
    for name, content in sorted(files.items()):
        digest, size = hashlib.sha256(content).hexdigest(), len(content) + more
        blob = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        row: dict[str, object] = {"type": "file", "path": name, "oid": blob} if tree else {"rfilename": name, "blobId": blob}
        large = {"lfs": {"oid" if tree else "sha256": digest, "size": size, "pointerSize": 134}} if name.endswith(LARGE) else {}
        rows.append(row | {"size": size} | large)
    return rows


class _Handler(BaseHTTPRequestHandler):
    hub: FakeHub

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def log_message(self, *_: object) -> None:
        pass

    def _serve(self, *, body: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.asked.append((self.command, path, self.headers.get("Range", "")))
        for i, (part, answer) in enumerate(self.hub.answers):
            if part in f"{self.command} {path}":
                del self.hub.answers[i]
                self._answer(answer.status, answer.headers, answer.body)
                return
        if path.startswith("/api/models/"):
            self._api(path.removeprefix("/api/models/"))
        elif "/resolve/" in path:
            self._file(path.removeprefix("/"), body=body)
        else:
            self._answer(404, {})

    def _api(self, path: str) -> None:
        org, name, *rest = path.split("/")
        repo = f"{org}/{name}"
        if repo not in self.hub.repos:
            self._answer(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Repository not found"})
            return
        commit, revision = self.hub.commit(repo), rest[1] if len(rest) > 1 else "main"
        if revision not in ("main", commit):
            self._answer(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"})
            return
        tree = rest[:1] == ["tree"]
        entries = _entries(self.hub.repos[repo], self.hub.promised, tree)
        found = entries if tree else {"id": repo, "modelId": repo, "sha": commit, "siblings": entries, "private": False, "tags": []}
        self._answer(200, {"Content-Type": "application/json"}, json.dumps(found).encode())

    def _file(self, path: str, *, body: bool) -> None:
        org, name, _, _, file = path.split("/", 4)
        repo = f"{org}/{name}"
        content = self.hub.repos[repo].get(file)
        headers = {"X-Repo-Commit": self.hub.commit(repo), "Accept-Ranges": "bytes"}
        if content is None:
            self._answer(404, headers | {"X-Error-Code": "EntryNotFound"})
            return
        kind = hashlib.sha256 if file.endswith(LARGE) else hashlib.sha1
        headers |= {"ETag": f'"{kind(content).hexdigest()}"'}
        begin = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
        if begin:
            headers["Content-Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
        rest, cut = content[begin:], self.hub.cut if file.endswith(LARGE) else None
        self._answer(206 if begin else 200, headers, rest if body else b"", length=len(rest), cut=cut)

    def _answer(
        self, status: int, headers: dict[str, str], body: bytes = b"", *, length: int | None = None, cut: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body[:cut])
        if cut is not None:
            self.close_connection = True


@contextmanager
def running() -> Iterator[FakeHub]:
    """A Hub that answers until the end of the block."""
    hub = FakeHub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
