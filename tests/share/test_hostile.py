"""Whatever lies at a source, a pull that cannot be right is one line and exit 2, and the cache is as it was."""

import http.server
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from emocache.share.address import parse_address
from tests import toy_store
from tests.share import hostile, servers, small
from tests.shell import Shell


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound shared cache."""
    from emocache.share.address import parse_address
    from emocache.share.push import Consent, push
    from emocache.store.layout import Paths

    root = tmp_path_factory.mktemp("sound")
    small.make(root / "cache")
    push(parse_address(f"{root / 'remote'}@v1"), [Paths(root / "cache/corpus/toy")], root / "data", Consent())
    return root / "remote"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A cache of one's own, which nothing may happen to."""
    small.make(tmp_path / "cache", name="mine")
    return tmp_path / "cache"


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("what", hostile.REMOTES)
@pytest.mark.parametrize("command", ["pull", "pull --ids-from ids"])
def test_a_remote_that_cannot_be_trusted_is_one_line_and_nothing_is_lost(
    what: str, command: str, sound: Path, mine: Path, tmp_path: Path, shell: Shell
) -> None:
    shutil.copytree(sound, tmp_path / "remote")
    hostile.REMOTES[what](tmp_path / "remote")
    (tmp_path / "ids").write_text("u0\nu8\nu12\n")
    before, outside = toy_store.tree(mine), set(tmp_path.iterdir())
    verb, *options = command.split()
    assert shell.run(" ".join([verb, "remote", *options])) == 2, shell.out + shell.err
    line = shell.err.removeprefix(f"cache    {mine}\n")
    assert line.startswith("emocache: ")
    assert line.count("\n") == 1
    assert line.isprintable() or line[:-1].isprintable()
    after = {name: data for name, data in toy_store.tree(mine).items() if not name.startswith(".pull/")}
    assert after == before
    assert set(tmp_path.iterdir()) == outside


Answer = Callable[[http.server.BaseHTTPRequestHandler], None]


def _endless(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(bytes(1 << 20))
    except OSError:
        pass


def _simple(status: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def _garbage(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"\x00\xff not http at all\r\n\r\n")


def _hang_up(handler: http.server.BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    handler.wfile.write(b"{")


SERVERS: dict[str, tuple[Answer, str]] = {
    "sends without an end": (_endless, "is longer than"),
    "leads to a file": (_simple(302, Location="file:///etc/passwd"), "leads to a place that is not followed"),
    "leads to itself": (_simple(302, Location="/latest.json"), "without an end"),
    "packs what it sends": (_simple(200, b"\x1f\x8b", Content_Encoding="gzip"), "recoded"),
    "refuses": (_simple(403), "refuses latest.json (403)"),
    "is out of order": (_simple(503), "answers 503"),
    "speaks no HTTP": (_garbage, "did not come whole"),
    "hangs up": (_hang_up, "did not come whole"),
    "shows a page instead": (_simple(200, b"<html>log in</html>"), "cannot be trusted"),
    "has nothing": (_simple(404), "is no shared cache"),
}


@contextmanager
def _server(answer: Answer) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield f"http://me:pass-word@127.0.0.1:{server.server_port}/cache?sig=signed-secret"
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.usefixtures("no_waiting")
@pytest.mark.parametrize("what", SERVERS)
def test_a_server_that_misbehaves_is_one_line_without_anything_secret(what: str, mine: Path, shell: Shell) -> None:
    answer, expected = SERVERS[what]
    before = toy_store.tree(mine)
    with _server(answer) as url:
        assert shell.run(f"pull {url}") == 2
    line = shell.err.removeprefix(f"cache    {mine}\n")
    assert expected in line
    assert line.count("\n") == 1
    assert "pass-word" not in shell.err
    assert "signed-secret" not in shell.err
    assert toy_store.tree(mine) == before


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("https://me:secret@host/cache?sig=abc", "https://host/cache@v1"),
        ("http://host:80", "http://host:80/@v1"),
        ("s3://lab", "s3://lab/@v1"),
        ("s3://lab/prefix@old", "s3://lab/prefix@v1"),
        ("hf://owner/name", "hf://owner/name@v1"),
        ("/mnt/usb", "/mnt/usb@v1"),
    ],
)
def test_an_address_that_is_shown_can_be_typed_and_holds_nothing_secret(text: str, typed: str) -> None:
    assert parse_address(text).typed("v1") == typed
    again = parse_address(typed)
    assert again.version == "v1"
    assert again.typed("v1") == typed


def test_a_version_behind_a_bucket_alone_is_not_taken_for_a_bucket(shell: Shell) -> None:
    for text in ("s3://lab@2026-11", "s3://key:topsecret@lab/prefix"):
        assert shell.run(f"ls {text}") == 2
        assert "s3://BUCKET/@VERSION" in shell.err
        assert "topsecret" not in shell.err


@pytest.mark.usefixtures("no_waiting")
def test_a_server_that_is_not_there_cannot_be_reached(shell: Shell) -> None:
    assert shell.run(f"ls http://127.0.0.1:{servers.free_port()}/cache") == 2
    assert "cannot be reached" in shell.err


def test_a_password_goes_to_the_host_of_the_url_alone(tmp_path: Path, shell: Shell) -> None:
    asked: list[str | None] = []

    def note(handler: http.server.BaseHTTPRequestHandler) -> None:
        asked.append(handler.headers.get("Authorization"))
        _simple(404)(handler)

    with _server(note) as other:
        elsewhere = other.partition("@")[2].partition("/")[0]
        with _server(_simple(302, Location=f"http://{elsewhere}/stolen")) as url:
            assert shell.run(f"ls {url}") == 2
    assert asked == [None]


def test_who_lacks_s3_support_is_told_what_to_install(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "obstore", None)
    small.make(tmp_path / "cache")
    assert shell.run("push s3://lab/x") == 2
    assert shell.err == 'emocache: s3:// needs obstore: pip install "emocache[share]"\n'


def test_credentials_of_s3_stand_in_no_error(
    tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    pytest.importorskip("obstore")
    running: servers.Weed = request.getfixturevalue("seaweed")
    for name, value in (running.environment() | {"AWS_SECRET_ACCESS_KEY": "wrong-secret"}).items():
        monkeypatch.setenv(name, value)
    small.make(tmp_path / "cache")
    assert shell.run("push s3://lab/refused") == 2
    assert "refuses" in shell.err
    assert shell.err.count("\n") == 1
    assert "wrong-secret" not in shell.err
    assert servers.ACCESS not in shell.err
