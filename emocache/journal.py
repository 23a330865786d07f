"""What a long command has made so far, so that a further run makes only what is new or has changed.

    {"about": ...}                                         how, in words; what is made in two ways is never mixed
    {"id": ..., "key": ..., "path": ..., "text": ...}      a view (augment/), or a transcript; `key` is what it was made of
    {"id": ..., "key": ..., "without": reason}             one that is of no use

One line each, appended as soon as it is made; of several for one id the last holds. A line that a killed run left unfinished counts
as none.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from emocache.files import write_changed

JOURNAL = "journal.jsonl"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """The file ('' for none of its own) and the text that were made for an id, or the reason for which there is nothing."""

    id: str
    key: str
    path: str = ""
    text: str = ""
    without: str = ""


def about(path: Path) -> str | None:
    """How the entries of a journal are made; None where there is none to go on with."""
    try:
        with path.open(encoding="utf-8") as file:
            return str(json.loads(file.readline())["about"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def read(path: Path) -> dict[str, Entry]:
    """Id -> what is known of it; nothing where there is no journal."""
    if about(path) is None:
        return {}
    found = (_entry(line) for line in path.read_text(encoding="utf-8", errors="replace").split("\n")[1:] if line)
    return {entry.id: entry for entry in found if entry is not None}


def begin(path: Path, told: str, entries: Iterable[Entry]) -> None:
    """Replace the file by one that holds these entries; nothing is written when it does already."""
    write_changed(path, "".join(f"{line}\n" for line in (json.dumps({"about": told}, ensure_ascii=False), *map(_line, entries))))


def append(file: IO[str], entry: Entry) -> None:
    """Add one entry, at once."""
    file.write(f"{_line(entry)}\n")
    file.flush()


def _line(entry: Entry) -> str:
    return json.dumps({name: value for name, value in asdict(entry).items() if value}, ensure_ascii=False)


def _entry(line: str) -> Entry | None:
    """A line as an entry; None for one that is damaged."""
    try:
        entry = Entry(**json.loads(line))
        _line(entry).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    return entry if all(isinstance(value, str) for value in asdict(entry).values()) else None
