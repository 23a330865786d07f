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
    with _alone(folder):
        own = Path(tempfile.mkdtemp(prefix="work-", dir=folder))
        try:
            yield own
        finally:
            shutil.rmtree(own, ignore_errors=True)
            for one in (folder / "objects", folder / "rows", folder):
                if one.is_dir() and not any(one.iterdir()):
                    one.rmdir()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other pulls out of a folder, where its file system has locks; ShareError when one is in it."""
    while True:
        folder.mkdir(exist_ok=True)
        with contextlib.suppress(FileNotFoundError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                with contextlib.suppress(OSError):
                    if not _locked(handle):
                        raise ShareError(f"{folder}: another pull into this cache is at work; wait for it to end, then repeat")
                if os.path.samestat(os.fstat(handle), folder.stat()):  # it may just have been removed by the one that had it
                    yield
                    return
            finally:
                os.close(handle)


def _locked(handle: int) -> bool:
    """Take the lock; False when somebody else has it."""
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
