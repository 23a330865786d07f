"""Audio data sets of the Hugging Face kind, in a folder: Parquet or Arrow with the audio inside, or audio files with metadata.

    ROOT/data/train-00000-of-00002.parquet    as the Hub ships them; also ROOT/train/0000.parquet
    ROOT/train/data-00000-of-00001.arrow      as `save_to_disk` writes them
    ROOT/train/metadata.csv                   AudioFolder: file_name and further columns (or .jsonl); may lie at ROOT
    ROOT/audio-files/train/000000.wav         made here: see below

Audio inside a table is written out once, byte by byte, to ROOT/audio-files, since everything else works on files: they can
be listened to, cut and checked, and later commands need no pyarrow. That takes the same room again. Rows are counted within
their split, in the order of the tables' names.

Ids are those of a column `utterance_id` or `id`, else the audio files' names, where all differ and can be names of rows and
files; else split and row.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from emocache.corpora import arrow
from emocache.corpora.tables import csv_rows, json_rows
from emocache.errors import CorpusError
from emocache.manifest import fit, from_cells
from emocache.types import CorpusInfo, Utterance

FILES = "audio-files"
ALIASES: Mapping[str, tuple[str, ...]] = {
    "emotion": ("emotion", "label"),
    "speaker": ("speaker", "speaker_id"),
    "transcript": ("transcript", "transcription", "text", "sentence"),
}
"""Column of the manifest -> columns that mean it; the first one that is there is taken."""
_OTHERS = "split", "path", "file_name"
_MAGIC = {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}

INFO = CorpusInfo(
    title="An audio data set of the Hugging Face kind",
    licence="unknown; the data set's card says it",
    share="ask",
    citation="",
    scheme="as-is",
    home="https://huggingface.co/datasets",
)


@dataclass(frozen=True, slots=True)
class _Example:
    """One row: where it stands, its split, the path of its audio, what the audio was called, and its text by column."""

    where: str
    split: str
    path: str
    name: str
    cells: Mapping[str, str]


def info(_root: Path) -> CorpusInfo:
    """Nothing is known beyond the files."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every example by table and row; audio inside tables is written out. CorpusError when there are no such tables.

    UsageError when Parquet or Arrow is to be read and pyarrow is not installed. Columns that the manifest does not know are
    extra columns.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds the data set")
    examples = [*_from_tables(root), *_from_metadata(root)]
    if not examples:
        raise CorpusError(f"{root}: no .parquet, .arrow, metadata.csv or metadata.jsonl with rows; give the folder that holds the data set")
    return [_utterance(example, name) for example, name in zip(examples, _names(examples), strict=True)]


def _names(examples: Sequence[_Example]) -> list[str]:
    """The ids: the first of those that a data set has of its own, all of them different and fit to be ids; else split and row."""
    columns = ([example.cells.get(column, "") for example in examples] for column in ("utterance_id", "id"))
    for names in (*columns, [Path(example.name).stem for example in examples]):
        if all(map(fit, names)) and len(set(names)) == len(names):
            return names
    counts: Counter[str] = Counter()
    names = []
    for example in examples:
        names.append(f"{example.split or 'row'}-{counts[example.split]:06}")
        counts[example.split] += 1
    return names


def _utterance(example: _Example, name: str) -> Utterance:
    """One example, with columns by the manifest's names."""
    cells = {}
    taken = set(_OTHERS)
    for column, aliases in ALIASES.items():
        if found := next((alias for alias in aliases if alias in example.cells), None):
            cells[column] = example.cells[found]
            taken.add(found)
    further = {key: value for key, value in example.cells.items() if key not in taken}
    return from_cells(further | cells | {"utterance_id": name, "path": example.path, "split": example.split}, example.where)


def _from_tables(root: Path) -> Iterator[_Example]:
    """The rows of Parquet and Arrow files."""
    tables = [path for path in sorted(root.rglob("*")) if path.suffix in {".parquet", ".arrow"} and _is_table(path, root)]
    counts: Counter[str] = Counter()
    for table in tables:
        split = _split(table, root)
        for number, row in enumerate(arrow.rows(table), start=1):
            where = f"{table}, row {number}"
            path = _audio_path(row, table, root, f"{FILES}/{split or 'rows'}/{counts[split]:06}", where)
            counts[split] += 1
            yield _Example(where, split, path, row.audio_path, row.cells)


def _is_table(path: Path, root: Path) -> bool:
    """Whether a file is one of the data set, and not a leftover of `datasets` or hidden."""
    inside = path.relative_to(root).parts
    return path.is_file() and not path.name.startswith("cache-") and not any(part.startswith(".") for part in inside)


def _split(table: Path, root: Path) -> str:
    """The split that a table is of: train-00000-of-00002.parquet, train/0000.parquet, train/data-00000-of-00001.arrow."""
    name = re.sub(r"-\d+-of-\d+(-\w+)?$", "", table.stem)
    if name != "data" and not name.isdecimal():
        return name
    return table.parent.name if table.parent != root else ""


def _audio_path(row: arrow.Row, table: Path, root: Path, stem: str, where: str) -> str:
    """Where the audio of a row lies, from `root`; audio that is inside the table is written to `stem` with a suffix."""
    if row.audio is not None:
        own = Path(row.audio_path).suffix
        told = next((end for magic, end in _MAGIC.items() if row.audio.startswith(magic)), ".wav")
        suffix = own if re.fullmatch(r"\.\w{1,8}", own) else told
        _write(root / f"{stem}{suffix}", row.audio)
        return f"{stem}{suffix}"
    if not row.audio_path:
        raise CorpusError(f"{where}: its audio has neither bytes nor a path; save the data set with its audio")
    beside = table.parent / row.audio_path
    return beside.relative_to(root).as_posix() if beside.is_file() and not Path(row.audio_path).is_absolute() else row.audio_path


def _write(path: Path, content: bytes) -> None:
    """Write a file whole; one that holds the same already is left."""
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


def _from_metadata(root: Path) -> Iterator[_Example]:
    """The rows of metadata.csv and metadata.jsonl; a file of ROOT's own may name the split as the first folder of file_name."""
    for table in sorted(path for end in ("csv", "jsonl") for path in root.rglob(f"metadata.{end}") if _is_table(path, root)):
        if table.suffix == ".csv" and (other := table.with_suffix(".jsonl")).is_file():
            raise CorpusError(f"{table} and {other.name} beside it list the same audio twice; take one away")
        folder = table.parent.relative_to(root)
        for where, cells in csv_rows(table, ["file_name"]) if table.suffix == ".csv" else json_rows(table):
            if not cells.get("file_name"):
                raise CorpusError(f"{where}: no file_name; name the audio file of this row")
            path = folder / cells["file_name"]
            split = cells.get("split") or (path.parts[0] if len(path.parts) > 1 and path.parts[0] != "data" else "")
            yield _Example(where, split, path.as_posix(), path.name, cells)
