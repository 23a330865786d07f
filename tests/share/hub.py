"""A stand-in for the Hugging Face Hub on 127.0.0.1, as far as huggingface_hub's own API needs it to push and pull a data set repository.

It is no proof that the real Hub agrees: what it answers was written after the client's code (huggingface_hub 2.4).
"""

import base64
import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class Hub:
    """Commits of one repository, oldest first, by their ids; what was uploaded and is in none yet; every request."""

    repo: str
    token: str
    url: str = ""
    commits: dict[str, Files] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    before_commit: list[Callable[["Hub"], None]] = field(default_factory=list)
    """Done once, in the moment when somebody commits: somebody else's push."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def head(self) -> str:
        """The newest commit."""
        return list(self.commits)[-1]

    def add(self, files: Files) -> str:
        """One commit more."""
        there = {**(self.commits[self.head] if self.commits else {}), **files}
        name = hashlib.sha1(repr((len(self.commits), sorted(there))).encode(), usedforsecurity=False).hexdigest()
        self.commits[name] = there
        return name

    def commit_of(self, revision: str) -> str | None:
        """The commit of a branch, tag or commit."""
        return self.head if revision == "main" else self.tags.get(revision, revision if revision in self.commits else None)


class _Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        hub = self.hub
        hub.asked.append((self.command, path, self.headers.get("Range", "")))
        if path.startswith("/lfs/"):  # another server's address in truth: no token goes there
            hub.blobs[path.removeprefix("/lfs/")] = body
            self._json({})
        elif self.headers.get("Authorization") != f"Bearer {hub.token}":
            self._json({}, 401, **{"X-Error-Message": "Invalid credentials"})
        elif path == "/api/repos/create":
            if not hub.commits:
                hub.add({".gitattributes": b""})
            self._json({"url": f"{hub.url}/datasets/{hub.repo}"})
        elif path == "/api/validate-yaml":
            self._json({"errors": [], "warnings": []})
        elif not hub.commits:
            self._json({}, 404, **{"X-Error-Code": "RepoNotFound"})
        elif path.startswith(f"/api/datasets/{hub.repo}"):
            self._api(path.removeprefix(f"/api/datasets/{hub.repo}").strip("/").split("/"), body)
        elif path.endswith("/info/lfs/objects/batch"):
            self._batch(json.loads(body)["objects"])
        else:
            self._file(path.removeprefix(f"/datasets/{hub.repo}/resolve/"))

    def _body(self) -> bytes:
        """What was sent, in one piece or in chunks."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", "0")))
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found

    def _api(self, parts: list[str], body: bytes) -> None:
        hub, kind = self.hub, parts[0]
        if kind == "preupload":
            named = [one["path"] for one in json.loads(body)["files"]]
            mode = {True: "lfs", False: "regular"}
            self._json({"files": [{"path": one, "uploadMode": mode[one.startswith("objects/")], "shouldIgnore": False} for one in named]})
        elif kind == "commit":
            self._commit([json.loads(line) for line in body.splitlines()])
        elif kind == "tag":
            hub.tags.setdefault(json.loads(body)["tag"], hub.commit_of(parts[1]) or "")
            self._json({})
        elif kind == "tree":
            self._tree(parts)
        elif (commit := hub.commit_of(parts[1] if kind == "revision" else "main")) is None:
            self._json({}, 404, **{"X-Error-Code": "RevisionNotFound"})
        else:
            self._json({"id": hub.repo, "sha": commit, "siblings": [], "private": True, "tags": [], "downloads": 0, "likes": 0})

    def _tree(self, parts: list[str]) -> None:
        files = self.hub.commits[self.hub.commit_of(parts[1]) or ""]
        found = {name: data for name, data in files.items() if name.startswith("/".join(parts[2:]) + "/")}
        if not found:
            self._json({}, 404, **{"X-Error-Code": "EntryNotFound"})
            return
        self._json([{"type": "file", "path": name, "size": len(data), "oid": "0" * 40} for name, data in found.items()])

    def _batch(self, objects: list[dict[str, str]]) -> None:
        known = self.hub.blobs
        upload = [
            {**one, **({} if one["oid"] in known else {"actions": {"upload": {"href": f"{self.hub.url}/lfs/{one['oid']}"}}})}
            for one in objects
        ]
        self._json({"objects": upload, "transfer": "basic"})

    def _commit(self, lines: list[dict[str, dict[str, str]]]) -> None:
        hub = self.hub
        while hub.before_commit:
            hub.before_commit.pop()(hub)
        with hub.lock:
            header = next(one["value"] for one in lines if one["key"] == "header")  # type: ignore[comparison-overlap]
            if header.get("parentCommit") not in {None, hub.head}:
                self._json({"error": "A commit has happened since"}, 412)
                return
            values = [(one["key"], one["value"]) for one in lines]
            files = {value["path"]: base64.b64decode(value["content"]) for key, value in values if key == "file"}  # type: ignore[comparison-overlap]
            files |= {value["path"]: hub.blobs[value["oid"]] for key, value in values if key == "lfsFile"}  # type: ignore[comparison-overlap]
            name = hub.add(files)
        self._json({"commitUrl": f"{hub.url}/datasets/{hub.repo}/commit/{name}", "commitOid": name})

    def _file(self, path: str) -> None:
        revision, _, name = path.partition("/")
        data = self.hub.commits.get(self.hub.commit_of(revision) or "", {}).get(name)
        if data is None:
            self._json({}, 404, **{"X-Error-Code": "EntryNotFound"})
            return
        ranged = self.headers.get("Range", "").removeprefix("bytes=")
        begin, _, end = ranged.partition("-")
        first, stop = int(begin or 0), int(end) + 1 if end else len(data)
        self.send_response(206 if ranged else 200)
        self.send_header("Content-Length", str(len(data[first:stop])))
        if ranged:
            self.send_header("Content-Range", f"bytes {first}-{stop - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first:stop])

    def _json(self, value: object, status: int = 200, **headers: str) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def running(repo: str, token: str) -> Iterator[Hub]:
    """A Hub with one repository, which is not there before it is made."""
    hub = Hub(repo, token)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": hub}))
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a client that has enough hangs up
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
