"""Rows with audio from Parquet and Arrow files, as the library `datasets` writes them."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emocache.corpora.tables import cell
from emocache.errors import CorpusError, UsageError
from emocache.files import first_line

BATCH = 64
"""Rows that are in memory at once."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: its audio's bytes (None where the file is elsewhere), the audio's path ('' for none), its text by column."""

    audio: bytes | None
    audio_path: str
    cells: Mapping[str, str]


def rows(path: Path) -> Iterator[Row]:
    """The rows of a table. CorpusError when it is damaged or has no audio, UsageError where pyarrow is not installed."""
    try:
        import pyarrow
    except ImportError:
        raise UsageError(f'{path}: needs pyarrow to be read; pip install "emocache[huggingface]"') from None
    try:
        for schema, batch in _batches(path):
            features, audio = _features(schema), _audio_column(path, schema)
            for row in batch.to_pylist():
                yield _row(row, audio, features, path)
    except (pyarrow.ArrowException, OSError) as error:
        raise CorpusError(f"{path}: cannot be read ({first_line(error)}); download it again") from None


def _batches(path: Path) -> Iterator[tuple[Any, Any]]:
    """The schema and a few rows at a time."""
    import pyarrow
    import pyarrow.parquet

    if path.suffix == ".parquet":
        with pyarrow.parquet.ParquetFile(path) as table:
            yield from ((table.schema_arrow, batch) for batch in table.iter_batches(batch_size=BATCH))
        return
    with pyarrow.memory_map(str(path)) as file, pyarrow.ipc.open_stream(file) as stream:
        yield from ((stream.schema, batch) for batch in stream)


def _features(schema: Any) -> dict[str, Any]:
    """What `datasets` says of the columns; nothing where a table is not its own."""
    try:
        return dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}


def _audio_column(path: Path, schema: Any) -> str:
    """The column with audio: the first that is declared so, else the first of {bytes, path}."""
    declared = [name for name, feature in _features(schema).items() if isinstance(feature, dict) and feature.get("_type") == "Audio"]
    shaped = [one.name for one in schema if {"bytes", "path"} <= {one.type.field(i).name for i in range(one.type.num_fields)}]
    for name in (*declared, *shaped):
        if name in shaped:
            return str(name)
    raise CorpusError(f"{path}: no column of audio ({{bytes, path}}) among {', '.join(schema.names)}; give a data set with its audio")


def _row(row: Mapping[str, Any], audio: str, features: Mapping[str, Any], path: Path) -> Row:
    """One row with its classes by name."""
    sound = row[audio] or {}
    cells = {name: _named(value, features.get(name), f"{path}: {name}") for name, value in row.items() if name != audio}
    return Row(sound.get("bytes"), sound.get("path") or "", {name: text for name, text in cells.items() if not name.startswith("__")})


def _named(value: object, feature: object, where: str) -> str:
    """A value as text; a class's number as its name, and -1, which is no class, as nothing."""
    if not (isinstance(feature, dict) and feature.get("_type") == "ClassLabel") or not isinstance(value, int):
        return cell(_jsonable(value))
    names = feature.get("names", [])
    if not -1 <= value < len(names):
        raise CorpusError(f"{where} is {value}, but the schema names {len(names)} classes; download the data set again")
    return "" if value == -1 else str(names[value])


def _jsonable(value: object) -> object:
    """A value with text for whatever JSON does not know, such as dates; bytes are not shown."""
    if isinstance(value, dict):
        return {str(name): _jsonable(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(one) for one in value]
    if isinstance(value, bytes):
        return "<bytes>"
    return value if value is None or isinstance(value, str | int | float) else str(value)
