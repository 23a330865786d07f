"""Small files that are replaced whole, and the first line of somebody else's error."""

import os
import secrets
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write, sync and rename: a reader sees the old file or the new one, and after a crash too."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)


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


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its kind where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
