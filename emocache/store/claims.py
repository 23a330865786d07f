"""Who is at work on a feature set: kernel file locks, which vanish with the process that holds them.

Claims save work, they do not guard data: on some cluster file systems locks exclude only within a node and no error
says so. What guards data is the commit entry, which is created once and never overwritten.

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
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from emocache.errors import CacheError


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
            if error.errno in {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}:
                return False
            raise


@contextlib.contextmanager
def claim(folder: Path, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold a claim alone; False when not waiting and it is held elsewhere."""
    with (folder / f"{name}.lock").open("a") as file:
        yield flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)


class Use:
    """A feature set in use: by writers together, or by one command that removes or rewrites.

    CacheError when somebody else's use forbids it, or where locks do not work and another writer is there.
    """

    def __init__(self, folder: Path, *, alone: bool = False) -> None:
        self._token: Path | None = None
        folder.mkdir(parents=True, exist_ok=True)
        if not locks_exclude(folder):
            self._token = _only_writer(folder)
        lock = folder / "use.lock"
        self._file = lock.open("a")
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
        if self._token is not None:
            self._token.unlink(missing_ok=True)
            self._token = None

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            self.close()


def _only_writer(folder: Path) -> Path:
    """Enter oneself as the only writer, by a file that is created exclusively; CacheError when there is one."""
    token = folder / "writer"
    try:
        with token.open("x", encoding="utf-8") as file:
            file.write(f"process {os.getpid()} on {socket.gethostname()}")
    except FileExistsError:
        holder = token.read_text(encoding="utf-8") or "another process"
        raise CacheError(
            f"{folder.parent}: file locks do not work on this file system, so one writer at a time is let in, and {holder} is there; "
            f"wait for it, or if it is no longer running delete {token}"
        ) from None
    return token
