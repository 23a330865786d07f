"""Small files that appear or are replaced whole, and where and what somebody else's error is."""

import contextlib
import errno
import os
import secrets
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from emocache.errors import CacheError, UsageError

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


def write_whole(path: Path, text: str) -> None:
    """Write, sync and rename: a reader sees the old file or the new one, and after a crash too."""
    with part_file(path.with_name(f".{path.name}.{secrets.token_hex(4)}.part"), text) as part:
        part.replace(path)
    sync_folder(path.parent)


def create_whole(path: Path, text: str) -> bool:
    """The same for a file that is not there; False when somebody else made it first: nothing is ever overwritten."""
    with part_file(path.with_name(f".{path.name}.{secrets.token_hex(4)}.part"), text) as part:
        created = link_new(part, path)
    sync_folder(path.parent)
    return created


@contextlib.contextmanager
def part_file(part: Path, text: str) -> Iterator[Path]:
    """A new file, written and synced, to be renamed or linked; nothing of it is left under its own name."""
    try:
        with part.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        yield part
    finally:
        part.unlink(missing_ok=True)


def link_new(part: Path, path: Path) -> bool:
    """Give a file its name; False when that is taken. Of several that try at once, one succeeds."""
    try:
        os.link(part, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise CacheError(f"{path.parent}: is on a file system without hard links, so a cache cannot be made there") from None
        raise
    return True


def write_changed(path: Path, text: str) -> None:
    """`write_whole`, unless the file says so already: what is complete may be read-only."""
    if not path.is_file() or path.read_bytes() != text.encode():
        write_whole(path, text)


def sync_folder(path: Path) -> None:
    """Make renames inside a folder durable."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def read_ids(path: Path) -> list[str]:
    """The ids in the file of --ids-from, one a line, in their order; UsageError when one stands twice or there is none."""
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "not UTF-8"
        raise UsageError(f"--ids-from {path}: cannot be read ({reason}); give a file with one id a line") from None
    counts = Counter(line for line in lines if line)
    if not counts:
        raise UsageError(f"--ids-from {path}: holds no ids; give one a line")
    if twice := next((name for name, count in counts.items() if count > 1), None):
        raise UsageError(f"--ids-from {path}: {twice!r} stands twice; give one id a line, each once")
    return list(counts)


def line_of(error: UnicodeDecodeError) -> int:
    """The line, counted from 1, in which bytes stand that are no text of the encoding that was tried."""
    before = error.object[: error.start].decode(error.encoding, errors="replace")
    return len(before.replace("\r\n", "\n").replace("\r", "\n").split("\n"))


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
