"""What was aligned already: `data/NAME/alignments/SOURCE.jsonl`, so that a further run does only what is new or has changed.

    {"about": ...}                                       the aligner, in words; another one begins anew
    {"id": ..., "key": ..., "note": ..., "segments": {LEVEL: [[label, start_s, end_s, kind], ...]}}
    {"id": ..., "key": ..., "without": reason}           an utterance that could not be aligned

One line an utterance, appended when it is done; of several for one id the last holds. A line that a killed run left
unfinished counts as none. Lines end at line feeds only: a remark may hold other marks of a line's end.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import IO, Any

from emocache.alignment import Segment
from emocache.files import write_changed


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One utterance's segments by level and a note on them, or the reason for which it has none; `key` is what was aligned."""

    id: str
    key: str
    segments: Mapping[str, tuple[Segment, ...]] = field(default_factory=dict)
    note: str = ""
    without: str = ""


def read(path: Path, about: str) -> dict[str, Entry]:
    """Id -> what is known of it; nothing where another aligner wrote the file, or none did."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return {}
    if not lines or lines[0] != _header(about):
        return {}
    found = (_entry(line) for line in lines[1:] if line)
    return {entry.id: entry for entry in found if entry is not None}


def begin(path: Path, about: str, entries: Iterable[Entry]) -> None:
    """Replace the file by one that holds these entries; nothing is written when it does already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_changed(path, "".join(f"{line}\n" for line in (_header(about), *map(_line, entries))))


def append(file: IO[str], entry: Entry) -> None:
    """Add one entry, at once."""
    file.write(f"{_line(entry)}\n")
    file.flush()


def _header(about: str) -> str:
    return json.dumps({"about": about}, ensure_ascii=False)


def _line(entry: Entry) -> str:
    """An entry as a line."""
    about = {"id": entry.id, "key": entry.key}
    segments = {level: [astuple(one) for one in rows] for level, rows in entry.segments.items()}
    more: dict[str, Any] = {"without": entry.without} if entry.without else {"note": entry.note, "segments": segments}
    return json.dumps(about | more, ensure_ascii=False)


def _entry(line: str) -> Entry | None:
    """A line as an entry; None for one that is damaged."""
    try:
        about = json.loads(line)
        rows = about.pop("segments", {})
        segments = {level: tuple(Segment(str(a), float(b), float(c), str(d)) for a, b, c, d in found) for level, found in rows.items()}
        return Entry(segments=segments, **about)
    except (ValueError, TypeError, AttributeError):
        return None
