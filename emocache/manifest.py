"""The manifest of a corpus: one CSV row per utterance, in `data/NAME/`.

    data/NAME/manifest.csv   the utterances; columns beyond COLUMNS are kept as they are
    data/NAME/left_out.csv   the utterances that are no part of it: id, label, reason
    data/NAME/corpus.json    where the audio lies, licence, label scheme, how counts differ from what is expected
    data/NAME/audio.csv      lengths and digests of the decoded audio (heard.py)
    data/NAME/views/         augmented views, which become utterances of the corpus (views.py)

The manifest is written last, so where it exists the corpus is complete.
"""

import csv
import io
import json
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from emocache import heard, views
from emocache.errors import CorpusError
from emocache.files import line_of, write_changed
from emocache.places import plain_name
from emocache.types import Corpus, LeftOut, Utterance

csv.field_size_limit(1 << 30)  # transcripts may be long

MANIFEST = "manifest.csv"
CORPUS = "corpus.json"
LEFT_OUT = "left_out.csv"


def _whole(text: str) -> int:
    """'3', or '3.0' as pandas writes whole numbers of a column with gaps."""
    number = float(text)
    if not number.is_integer():
        raise ValueError(text)
    return int(number)


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def _channel(text: str) -> int:
    """'0', '1', ... or 'left' and 'right'."""
    channel = {"left": 0, "right": 1}[text] if text in {"left", "right"} else _whole(text)
    if channel < 0:
        raise ValueError(text)
    return channel


_FIELD_OF = {"utterance_id": "id", "start": "start_s", "end": "end_s"}
_PARSERS: Mapping[str, tuple[Callable[[str], object], str]] = {
    "start": (_finite, "seconds"),
    "end": (_finite, "seconds"),
    "turn": (_whole, "a whole number"),
    "channel": (_channel, "a channel number from 0, 'left' or 'right'"),
    "valence": (_finite, "a number"),
    "arousal": (_finite, "a number"),
    "dominance": (_finite, "a number"),
}
COLUMNS = (
    "utterance_id", "path", "emotion", "speaker", "gender", "session", "fold", "split", "dialogue", "turn",
    "start", "end", "channel", "transcript", "language", "valence", "arousal", "dominance", "votes", "parent",
)  # fmt: skip
"""Known columns; the first three are required, and every other column is kept as an extra."""

REQUIRED = COLUMNS[:3]
LONGEST_PATH, LONGEST_NAME = 4095, 255
"""Bytes of a path, and of each name in it, that a file system takes."""


def read_csv(path: Path, *, pathless: bool = False) -> list[Utterance]:
    """The utterances of a CSV file, in its order; with `pathless`, their paths may be empty.

    CorpusError names file and line of whatever does not fit.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise CorpusError(f"{path}: no such file; give the CSV that lists the utterances") from None
    except IsADirectoryError:
        raise CorpusError(f"{path}: is a folder; give the CSV file itself") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{line_of(error)}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    utterances: list[Utterance] = []
    try:
        columns = reader.fieldnames or []
        missing = [name for name in REQUIRED if name not in columns]
        if missing:
            raise CorpusError(f"{path}: no column {', '.join(missing)}; needed are {', '.join(REQUIRED)}")
        if "" in columns:
            raise CorpusError(f"{path}: column {columns.index('') + 1} has no name; name it or leave it out (pandas: to_csv(index=False))")
        if repeated := [name for name, count in Counter(columns).items() if count > 1]:
            raise CorpusError(f"{path}: column {', '.join(map(repr, repeated))} stands twice; rename one")
        utterances.extend(_utterance(row, f"{path}:{reader.line_num}", pathless=pathless) for row in reader)
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num + 1}: not a CSV row ({error}); look for a double quote too many") from None
    check_ids(utterances, path)
    return utterances


def _utterance(row: Mapping[str | None, str | list[str] | None], where: str, *, pathless: bool) -> Utterance:
    """One CSV row as an utterance."""
    if None in row or None in row.values():
        raise CorpusError(f"{where}: not as many fields as the header; put text with commas in double quotes")
    return from_cells({str(name): str(value).strip() for name, value in row.items()}, where, pathless=pathless)


def from_cells(cells: Mapping[str, str], where: str, *, pathless: bool = False) -> Utterance:
    """An utterance from text by column; '' counts as nothing. CorpusError names `where` when a cell does not fit its column."""
    for name in ("utterance_id",) if pathless else ("utterance_id", "path"):
        if not cells.get(name):
            raise CorpusError(f"{where}: {name} is empty")
    if len(path := os.fsencode(cells["path"])) > LONGEST_PATH or max(map(len, path.split(b"/"))) > LONGEST_NAME:
        raise CorpusError(f"{where}: path has {len(path)} bytes, and no file can be called so; give the path of the audio")
    known = {_FIELD_OF.get(name, name): _parse(name, cells[name], where) for name in COLUMNS if cells.get(name)}
    extra = {name: value for name, value in cells.items() if name not in COLUMNS}
    return Utterance(**{"path": "", **known}, extra=extra)  # type: ignore[arg-type]


def _parse(column: str, text: str, where: str) -> object:
    """One cell in the type of its column."""
    if column not in _PARSERS:
        return text
    parser, expected = _PARSERS[column]
    try:
        return parser(text)
    except (ValueError, OverflowError):
        raise CorpusError(f"{where}: {column} is {text!r}, expected {expected}") from None


def check_ids(utterances: Iterable[Utterance], where: object) -> None:
    """Raise CorpusError when there is no utterance, an id stands twice, or an id cannot be a name elsewhere."""
    counts = Counter(utterance.id for utterance in utterances)
    if not counts:
        raise CorpusError(f"{where}: holds no utterances")
    if repeated := [name for name, count in counts.items() if count > 1]:
        raise CorpusError(f"{where}: {len(repeated)} utterance ids stand more than once, first {repeated[0]!r}; ids must be unique")
    if unfit := [name for name in counts if not fit(name)]:
        raise CorpusError(f"{where}: {len(unfit)} utterance ids cannot be names, first {unfit[0]!r}; use no slashes or control characters")


def fit(name: str) -> bool:
    """Ids become names of rows and files, so they hold no slashes and nothing invisible."""
    return name.isprintable() and not {"/", "\\"} & set(name) and name not in {"", ".", ".."}


def save(corpus: Corpus, data: Path) -> Path:
    """Write `data/NAME/`; the manifest comes last and whole, so that its existence means complete. Files that say so already are left."""
    folder = data / corpus.name
    folder.mkdir(parents=True, exist_ok=True)
    about = asdict(replace(corpus, utterances=()))
    del about["utterances"]
    write_changed(folder / CORPUS, json.dumps(about, indent=2, default=str, ensure_ascii=False) + "\n")
    write_changed(folder / MANIFEST, to_csv(corpus.utterances))
    return folder / MANIFEST


def to_csv(utterances: Iterable[Utterance]) -> str:
    """The manifest as CSV text: known columns that hold anything, then the extra ones."""
    rows = [_cells(utterance) for utterance in utterances]
    used = {name for row in rows for name, value in row.items() if value}
    extras = dict.fromkeys(name for row in rows for name in row if name not in COLUMNS)
    header = [name for name in COLUMNS if name in REQUIRED or name in used] + list(extras)
    sink = io.StringIO()
    writer = csv.DictWriter(sink, header, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def _cells(utterance: Utterance) -> dict[str, str]:
    """An utterance as CSV cells."""
    values = {name: getattr(utterance, _FIELD_OF.get(name, name)) for name in COLUMNS}
    return {name: "" if value is None else str(value) for name, value in values.items()} | dict(utterance.extra)


def save_left_out(left_out: Iterable[LeftOut], folder: Path) -> Path:
    """Write who was left out and why; the header alone where nobody was."""
    folder.mkdir(parents=True, exist_ok=True)
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(("utterance_id", "label", "reason"))
    writer.writerows((one.id, one.label, one.reason) for one in left_out)
    write_changed(folder / LEFT_OUT, sink.getvalue())
    return folder / LEFT_OUT


def _with_audio(utterance: Utterance, entry: heard.Heard | None) -> Utterance:
    """The utterance with what was last heard of it, if that was the same stretch."""
    if entry is None or entry.cut != heard.cut(utterance):
        return utterance
    return replace(utterance, samples=entry.samples, audio_sha256=entry.sha256)


def names(data: Path) -> list[str]:
    """The corpora prepared under `data`."""
    return sorted(path.parent.name for path in data.glob(f"*/{MANIFEST}"))


def load(data: Path, name: str) -> Corpus:
    """The prepared corpus `name` with its augmented views; a manifest.csv without corpus.json is taken as it stands.

    An audio root that is not absolute, as in a copy that was passed on with its audio, counts from the corpus's folder.
    """
    folder = data / plain_name(name, "corpus")
    if not (folder / MANIFEST).is_file():
        known = ", ".join(names(data)) or "none"
        raise CorpusError(f"no corpus {name!r} in {data} (prepared there: {known}); run `emocache prepare` first")
    about = _about(folder)
    entries = heard.read(folder / heard.HEARD)
    originals = read_csv(folder / MANIFEST, pathless="audio" in about.get("lacks", ()))
    attached = views.attach(originals, folder / views.FOLDER)
    utterances = tuple(_with_audio(utterance, entries.get(utterance.id)) for utterance in (*originals, *attached.utterances))
    check_ids(utterances, folder)
    if not about:
        return Corpus(name=name, reader="csv", scheme="as-is", audio_root=folder, utterances=utterances, notes=attached.notes)
    about["notes"] = (*about.get("notes", ()), *attached.notes)
    try:
        return Corpus(utterances=utterances, **about | {"name": name})
    except TypeError as error:
        raise CorpusError(f"{folder / CORPUS}: damaged ({error}); run `emocache prepare` again") from None


_KINDS: Mapping[str, type] = {"passes": tuple, "lacks": tuple, "differs": tuple, "notes": tuple, "left_out": dict, "licence": str}


def _about(folder: Path) -> dict[str, Any]:
    """What `corpus.json` says, field by field of a Corpus; nothing where there is none."""
    if not (folder / CORPUS).is_file():
        return {}
    try:
        found = json.loads((folder / CORPUS).read_text(encoding="utf-8"))
        known = {field.name for field in fields(Corpus)} - {"utterances"}
        about: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in found.items() if key in known}
        if unfit := [key for key, kind in _KINDS.items() if not isinstance(about.get(key, kind()), kind)]:
            raise ValueError(f"{unfit[0]} is {about[unfit[0]]!r}")
        root = Path(about["audio_root"])
        return about | {"audio_root": folder / root if root.parts and not root.is_absolute() else root}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorpusError(f"{folder / CORPUS}: damaged ({error}); run `emocache prepare` again") from None
