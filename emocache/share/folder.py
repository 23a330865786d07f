"""A folder as the place of a shared cache: a disk, or one that is mounted from elsewhere."""

import errno
import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from emocache.errors import ShareError, UsageError
from emocache.files import link_new, sync_folder
from emocache.share.place import Missing
from emocache.store.layout import MARKER

BLOCK = 1 << 20
_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}


class Folder:
    """Files are written under hidden names and renamed or linked once they are synced."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.shown = str(root)

    def at(self, version: str) -> "Folder":
        """A folder keeps no states of itself."""
        return self

    def stream(self, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes of a plain file; a link or device is none."""
        path = self.root / name
        try:
            handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Missing(f"{self.shown}: holds no {name}") from None
        except OSError as error:
            raise ShareError(f"{path}: cannot be read ({error.strerror}); a shared cache holds plain files alone") from None
        with open(handle, "rb", buffering=0) as file:  # noqa: PTH123 - a handle, not a path
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ShareError(f"{path}: is no plain file; a shared cache holds no others")
            file.seek(start)
            left = -1 if stop is None else stop - start
            while left and (piece := file.read(BLOCK if left < 0 else min(BLOCK, left))):
                left -= len(piece) if left > 0 else 0
                yield piece

    def objects(self) -> Mapping[str, int]:
        """Every object by its name; UsageError for a folder that is a cache itself."""
        if (self.root / MARKER).exists():
            raise UsageError(f"{self.root}: is a cache, whose folder holds nothing else; push to another one")
        found = (path for path in (self.root / "objects").glob("??/*") if not path.name.startswith("."))
        return {f"objects/{path.parent.name}/{path.name}": path.lstat().st_size for path in found}

    def send(self, name: str, data: Path | bytes) -> None:
        """Copy, sync, rename."""
        path = self.root / name
        part = self._part(path, data)
        part.replace(path)
        sync_folder(path.parent)

    def create(self, name: str, data: bytes) -> bool:
        """Write, sync, link: of several that try at once, one succeeds."""
        path = self.root / name
        part = self._part(path, data)
        try:
            created = link_new(part, path)
        finally:
            part.unlink()
        sync_folder(path.parent)
        return created

    def write(self, name: str, data: bytes) -> None:
        """As `send`."""
        self.send(name, data)

    def tagged(self, name: str) -> tuple[bytes | None, object]:
        """A file and its SHA-256."""
        try:
            found = b"".join(self.stream(name, 0, None))
        except Missing:
            return None, None
        return found, hashlib.sha256(found).hexdigest()

    def swap(self, name: str, data: bytes, tag: object) -> bool:
        """Compare and rename under a lock; where the file system has none, without."""
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / f".{name}.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
            if self.tagged(name)[1] != tag:
                return False
            self.send(name, data)
        return True

    def name_state(self, version: str) -> None:
        """A folder keeps no states of itself."""

    def _part(self, path: Path, data: Path | bytes) -> Path:
        """The bytes in a hidden file beside their place, synced."""
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("xb") as file:
                for piece in _pieces(data):
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except BaseException as error:
            part.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise ShareError(f"{self.shown}: {path.name} cannot be written ({error.strerror})") from None
            raise
        return part


def _pieces(data: Path | bytes) -> Iterator[bytes]:
    """Bytes, or those of a file, in pieces."""
    if isinstance(data, bytes):
        yield data
        return
    with data.open("rb") as file:
        while piece := file.read(BLOCK):
            yield piece
