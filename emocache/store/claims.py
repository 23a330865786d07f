"""Who is at work on a feature set: kernel file locks, which vanish with the process that holds them.

Claims save work, they do not guard data: on some cluster file systems locks exclude only within a node and no error
says so. What guards data is the commit entry, which is created once and never overwritten. A forked child holds no
claim of its parent.

    claims/17.lock    unit 17 is being made (exclusive)
    claims/plan.lock  somebody plans (exclusive)
    claims/use.lock   writers are at work (shared), or somebody removes or rewrites (exclusive)
    claims/writer     where locks do not work: the one writer there may be, by host and process
"""

import contextlib
import errno
import fcntl
import os
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from emocache.errors import CacheError
from emocache.files import create_whole

_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_open_files: weakref.WeakSet[IO[str]] = weakref.WeakSet()


def _close_open_files() -> None:
    """In a forked child: a lock is let go of when the last copy of its file is closed."""
    for file in list(_open_files):
        file.close()


os.register_at_fork(after_in_child=_close_open_files)


def flock(file: IO[str], operation: int) -> bool:
    """Take a lock; False when somebody else holds it. OSError where the file system has none."""
    try:
        fcntl.flock(file, operation)
    except BlockingIOError:
        return False
    return True


def locks_exclude(folder: Path) -> bool:
    """Whether a lock taken here keeps a second one out (of this machine at least)."""
    with (folder / "probe.lock").open("a") as one, (folder / "probe.lock").open("a") as other:
        try:
            flock(one, fcntl.LOCK_SH)
            shared = flock(other, fcntl.LOCK_SH | fcntl.LOCK_NB)
            flock(other, fcntl.LOCK_UN)
            return shared and not flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return False
            raise


@contextlib.contextmanager
def claim(folder: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a claim alone; False when not waiting and it is held elsewhere. Where locks do not work, `Use` let in one writer."""
    with (folder / f"{name}.lock").open("a") as file:
        _open_files.add(file)
        try:
            held = flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            held = True
        yield held


def process() -> str:
    """What this process is called in the names of its files."""
    return f"{socket.gethostname().replace('.', '_')}-{os.getpid()}"


def runs(part: Path) -> bool | None:
    """Whether the process runs that made a part file (17.HOST-PID.frames.3.0); None when it is one of another machine."""
    host, _, pid = part.name.partition(".")[2].partition(".")[0].rpartition("-")
    if host != socket.gethostname().replace(".", "_") or not pid.isdecimal():
        return None
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


class Use:
    """A feature set in use: by writers together, or by one command that removes or rewrites.

    CacheError when somebody else's use forbids it, or where locks do not work and another writer is there.
    """

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self._token: Path | None = None
        self._process = os.getpid()
        folder.mkdir(parents=True, exist_ok=True)
        if not locks_exclude(folder):
            self._token = _only_writer(folder)
        lock = folder / "use.lock"
        self._file = lock.open("a")
        _open_files.add(self._file)
        if self._token is None and not flock(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB):
            self._file.close()
            doing = "another command is at work on it" if alone else "another command is removing or rewriting it"
            raise CacheError(f"{folder.parent}: {doing}; wait for it to end, then repeat")
        if not (lock.exists() and os.path.samestat(os.fstat(self._file.fileno()), lock.stat())):
            self.close()  # the lock of a folder that was put aside since
            raise CacheError(f"{folder.parent}: was removed or rewritten in this moment; repeat the command")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Let others in."""
        self._file.close()
        if self._token is not None and self._process == os.getpid():
            self._token.unlink(missing_ok=True)
            self._token = None

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()


def _only_writer(folder: Path) -> Path:
    """Enter oneself as the only writer, by a file that is created exclusively; CacheError when there is one."""
    token = folder / "writer"
    if not create_whole(token, f"process {os.getpid()} on {socket.gethostname()}\n"):
        holder = token.read_text(encoding="utf-8").strip()
        raise CacheError(
            f"{folder.parent}: file locks do not work on this file system, so one writer at a time is let in, and {holder} is there; "
            f"wait for it, or if it is no longer running delete {token}"
        )
    return token
