"""Tables that corpora bring along: CSV files with a header, and files with one JSON object a line; and its recordings."""

import csv
import io
import json
import re
from collections.abc import Iterable
from pathlib import Path

from emocache.errors import CorpusError
from emocache.files import line_of
from emocache.types import LeftOut, Utterance

_LONE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and no file of text."""
SOUNDS = {".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".au", ".sph", ".wma"}
"""Suffixes of what looks like a recording; readers take the first two."""
STRAY = "looks like a recording, and is none that the corpus has: move, rename or remove it"
Row = tuple[str, dict[str, str]]
"""Where a row stands (file and line), and its text by column."""


def find(root: Path, name: str, depth: int = 1) -> Path | None:
    """A file or folder of that name: at `root`, or else up to `depth` folders below; the first one there."""
    for level in range(depth + 1):
        if found := sorted(root.glob("*/" * level + name)):
            return found[0]
    return None


def recordings(folder: Path) -> list[Path]:
    """The .wav and .flac files of a folder by name, whatever the case of their suffixes; not the `._*` files that macOS leaves."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [path for path in found if path.suffix.lower() in {".wav", ".flac"} and path.name[0] != "." and path.is_file()]


def strays(folder: Path, root: Path, utterances: Iterable[Utterance]) -> list[LeftOut]:
    """Files in `folder`, at any depth, that look like recordings and are no utterance's, by their path from `root`."""
    known = {utterance.path for utterance in utterances}
    inside = (path for path in folder.rglob("*") if path.suffix.lower() in SOUNDS and path.name[0] != "." and path.is_file())
    names = sorted(path.relative_to(root).as_posix() for path in inside)
    return [LeftOut(name, "", STRAY) for name in names if name not in known]


def text(path: Path) -> str:
    """A file as UTF-8 text; CorpusError when it is missing or something else."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file; give the list of utterances itself") from None
    except IsADirectoryError:
        raise CorpusError(f"{path}: is a folder; give the file in it that lists the utterances") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{line_of(error)}: not UTF-8 (byte {error.start}); save it as UTF-8") from None


def csv_rows(path: Path, needed: Iterable[str]) -> list[Row]:
    """The rows of a CSV file that must have the columns `needed`. CorpusError names the file and line of what does not fit."""
    reader = csv.DictReader(io.StringIO(text(path), newline=""), strict=True)
    rows: list[Row] = []
    try:
        if missing := [name for name in needed if name not in (reader.fieldnames or ())]:
            raise CorpusError(f"{path}: no column {', '.join(missing)}; restore the file")
        for row in reader:
            if None in row or None in row.values():
                raise CorpusError(f"{path}:{reader.line_num}: not as many fields as the header; restore the file")
            rows.append((f"{path}:{reader.line_num}", {name: value.strip() for name, value in row.items()}))
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num + 1}: not a CSV row ({error}); look for a double quote too many") from None
    return rows


def json_rows(path: Path) -> list[Row]:
    """The objects of a JSONL file; blank lines are nothing. CorpusError names the file and line of what is no object."""
    lines = enumerate(text(path).split("\n"), start=1)
    return [(f"{path}:{number}", _row(line, f"{path}:{number}")) for number, line in lines if line.strip()]


def _row(line: str, where: str) -> dict[str, str]:
    try:
        cells, pairs = json.loads(line), json.loads(line, object_pairs_hook=list)
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{where}: no JSON ({error}); write one object a line") from None
    if not line.strip().startswith("{"):
        raise CorpusError(f"{where}: no JSON object; write one a line, with its fields by name")
    if _LONE.search(json.dumps(pairs, ensure_ascii=False)):
        raise CorpusError(f"{where}: holds half a character, which is no text (such as \\ud800); write it whole")
    names = [name for name, _ in pairs]
    if repeated := next((name for name in names if names.count(name) > 1), None):
        raise CorpusError(f"{where}: {repeated!r} stands twice; remove one")
    return {name: cell(value) for name, value in cells.items()}


def cell(value: object) -> str:
    """A value as the text of a cell: null is empty, true is 'true', a list or an object is its JSON."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
