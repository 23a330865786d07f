"""A cache over SSH by rsync, as README says, while it is written to: what arrives is whole."""

import re
import shlex
import shutil
import socket
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from emocache.care.verify import verify
from emocache.store import open_cache
from emocache.store.layout import Paths
from tests.toy_store import items, toy, write

ROOT = Path(__file__).resolve().parents[2]
SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
VANISHED = 24
LENGTHS = (200, 180, 150, 120) * 6

pytestmark = pytest.mark.skipif(
    not (Path(SSHD).is_file() and all(map(shutil.which, ("rsync", "ssh", "ssh-keygen")))),
    reason="needs sshd, ssh and rsync: apt-get install openssh-server rsync",
)


@dataclass(frozen=True)
class Server:
    """An sshd on loopback."""

    ssh: str

    def rsync(self, line: str, lab: Path, new: Path) -> int:
        """Run a line of README with the server in the place of `lab:` and a folder in that of `new/`; rsync's exit code."""
        words = [f"127.0.0.1:{lab}/" if word == "lab:/lab/emocache/" else word for word in shlex.split(line)]
        assert words[-1] == "new/"
        return subprocess.run([words[0], "-e", self.ssh, *words[1:-1], f"{new}/"], check=False, timeout=60).returncode


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("sshd")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "config").write_text(
        textwrap.dedent(f"""
        ListenAddress 127.0.0.1
        Port {port}
        HostKey {folder}/host
        AuthorizedKeysFile {folder}/user.pub
        PidFile {folder}/pid
        StrictModes no
        UsePAM no
        PasswordAuthentication no
        """)
    )
    if not Path("/run/sshd").is_dir():
        try:
            Path("/run/sshd").mkdir()
        except OSError:
            pytest.skip("sshd needs the folder /run/sshd, and only root can make it")
    process = subprocess.Popen([SSHD, "-D", "-E", folder / "log", "-f", folder / "config"])
    ssh = f"ssh -F none -p {port} -i {folder}/user -o UserKnownHostsFile={folder}/known -o StrictHostKeyChecking=no -o LogLevel=ERROR"
    try:
        for _ in range(50):
            if subprocess.run([*shlex.split(ssh), "127.0.0.1", "true"], check=False, timeout=20, capture_output=True).returncode == 0:
                break
            assert process.poll() is None, (folder / "log").read_text()
        else:
            pytest.skip(f"sshd lets nobody in here: {(folder / 'log').read_text().strip().splitlines()[-1:]}")
        yield Server(ssh)
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="module")
def lines() -> tuple[str, str]:
    """The two commands of README."""
    first, second = re.findall(r"^\$ (rsync .*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    return first, second


def brought(server: Server, lines: tuple[str, str], lab: Path, new: Path) -> Paths:
    """Copy as README says."""
    assert server.rsync(lines[0], lab, new) == 0
    while (code := server.rsync(lines[1], lab, new)) == VANISHED:
        pass
    assert code == 0
    return Paths(new / "corpus/toy")


def test_a_cache_arrives_whole(server: Server, lines: tuple[str, str], tmp_path: Path) -> None:
    data = toy()
    write(tmp_path / "lab", data)
    paths = brought(server, lines, tmp_path / "lab", tmp_path / "new")
    assert not verify(paths).findings
    assert {path.name for path in paths.root.iterdir()} == {"card.json", "commits", "features.zarr", "plan"}
    ours, theirs = (open_cache(tmp_path / name).features("corpus", "toy") for name in ("new", "lab"))
    assert ours.digest == theirs.digest
    assert np.array_equal(ours.load().values, theirs.load().values)


WRITER = """
import sys
from pathlib import Path
from tests.share.test_rsync import LENGTHS
from tests.toy_store import items, toy, write
data = toy(LENGTHS)
print("began", flush=True)
for first in range(0, len(data), 4):
    write(Path(sys.argv[1]), data, todo=items(data)[first : first + 4], pause=0.02)
"""


def test_what_is_copied_while_it_is_written_to_is_whole_every_time(server: Server, lines: tuple[str, str], tmp_path: Path) -> None:
    data, lab = toy(LENGTHS), tmp_path / "lab"
    write(lab, data, todo=items(data)[:1])
    writer = subprocess.Popen([sys.executable, "-c", WRITER, lab], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"began\n"
    held: list[int] = []
    try:
        while (running := writer.poll() is None) or len(held) < 2:
            new = tmp_path / f"new{len(held)}"
            if held:
                subprocess.run(["cp", "-al", tmp_path / f"new{len(held) - 1}", new], check=True)
            paths = brought(server, lines, lab, new)
            assert verify(paths).findings == ()
            features = open_cache(new).features("corpus", "toy")
            assert all(np.array_equal(features.read(name), data[name].astype(np.float16)) for name in features.ids)
            held.append(len(features.ids))
            if not running:
                break
    finally:
        writer.wait(60)
    writer.stdout.close()
    assert writer.returncode == 0
    assert held == sorted(held)
    assert held[0] < held[-1]
    assert not verify(Paths(tmp_path / "new0/corpus/toy")).findings, "a copy that was linked was changed by bringing the next up to date"


def test_entries_that_are_copied_after_their_rows_are_not_whole(server: Server, lines: tuple[str, str], tmp_path: Path) -> None:
    data, lab, new = toy(), tmp_path / "lab", tmp_path / "new"
    write(lab, data, todo=items(data)[:4])
    assert server.rsync(lines[1], lab, new) == 0
    write(lab, data, todo=items(data)[4:])
    assert server.rsync(lines[0], lab, new) == 0
    assert verify(Paths(new / "corpus/toy")).findings
    assert server.rsync(lines[1], lab, new) == 0
    assert not verify(Paths(new / "corpus/toy")).findings
