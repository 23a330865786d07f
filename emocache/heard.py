"""What was heard in each file of a corpus: `data/NAME/audio.csv`, so that unchanged audio is not decoded again.

One row per utterance: id, file (its path, size, times and inode), cut (the stretch that was used), samples, SHA-256.
"""

import contextlib
import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from emocache.files import write_whole
from emocache.types import Utterance

HEARD = "audio.csv"


@dataclass(frozen=True, slots=True)
class Heard:
    """The audio of an utterance when it was last decoded."""

    file: str
    cut: str
    samples: int
    sha256: str


def cut(utterance: Utterance) -> str:
    """The stretch and channel of its file that an utterance uses."""
    return f"{utterance.start_s}/{utterance.end_s}/{utterance.channel}"


def read(path: Path | None) -> dict[str, Heard]:
    """Id -> what was heard; a damaged file counts as none, since all of it can be learnt again."""
    if path is None or not path.is_file():
        return {}
    try:
        rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True)
        return {name: Heard(file, stretch, int(samples), sha256) for name, file, stretch, samples, sha256 in rows}
    except (ValueError, csv.Error, OSError):
        return {}


def write(path: Path, entries: Mapping[str, Heard]) -> None:
    """Replace the file; a folder that cannot be written only costs decoding next time."""
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerows([name, e.file, e.cut, e.samples, e.sha256] for name, e in entries.items())
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, sink.getvalue())
