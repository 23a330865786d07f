"""The folder in a cache that things come into before they are taken in."""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emocache.errors import ShareError

STAGING = ".pull"


@contextmanager
def staging(root: Path) -> Iterator[Path]:
    """A folder for what comes, within the cache's; what may be of use to the next pull lies beside it. One pull at a time has it."""
    folder = root / STAGING
    with _alone(folder) as locked:
        for left in folder.glob("work-*") if locked else ():
            shutil.rmtree(left, ignore_errors=True)  # of a pull that was killed
        own = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)
            for one in (folder / "objects", folder / "rows", folder):
                if one.is_dir() and not any(one.iterdir()):
                    one.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Keep other pulls out of a folder; ShareError when one is in it. False where its file system has no locks."""
    handle, locked = _taken(folder)
    try:
        yield locked
    finally:
        os.close(handle)


def _taken(folder: Path) -> tuple[int, bool]:
    """The folder, made where there is none, opened; and whether it is locked."""
    while True:
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                locked = _locked(handle, folder)
                if os.path.samestat(os.fstat(handle), folder.stat()):  # it may just have been removed by the one that had it
                    return handle, locked
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)


def _locked(handle: int, folder: Path) -> bool:
    """Take the lock; False where there are none, ShareError when somebody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ShareError(f"{folder}: another pull into this cache is at work; wait for it to end, then repeat") from None
    except OSError:
        return False
    return True
