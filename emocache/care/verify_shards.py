"""Whether shards hold the rows that were committed, and arrays are described as what they are."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emocache.care.verify_commits import Stored
from emocache.errors import CacheError
from emocache.store.card import Card
from emocache.store.layout import Level, Paths, array_settings, stored_dtype
from emocache.store.shards import rows_in_shard

BLOCK = 8 << 20
"""Bytes that are read at once."""
_MAGNITUDE: Mapping[int, tuple[Any, Any]] = {2: ("<u2", 0x7FFF), 4: ("<u4", 0x7FFFFFFF)}
"""By size of a value: floats without their sign, seen as integers, are in the order of their magnitudes."""


_GROUP = {"zarr_format", "node_type"}
_ARRAY = {*_GROUP, "shape", "data_type", "chunk_grid", "chunk_key_encoding", "fill_value", "codecs"}
_OPTIONAL = {"attributes", "storage_transformers", "dimension_names", "consolidated_metadata"}
_INNER = {"name", "configuration", "chunk_shape", "separator", "codecs", "index_codecs", "index_location", "endian", "must_understand"}
"""Fields of a `zarr.json`, by the specification of Zarr v3. zarr-python reads past names that it does not know."""


def check_shard(path: Path, stored: Stored, shard: tuple[int, int, str], tick: Callable[[int], object]) -> float:
    """The largest magnitude in a shard; CacheError when it is not what was committed. `tick` is told of bytes as they are read."""
    _, rows, checksum = shard
    level, dtype = stored.level, stored.dtype
    kind, mask = _MAGNITUDE[dtype.itemsize]
    digest, largest = hashlib.sha256(), 0
    buffer = memoryview(bytearray(BLOCK))
    try:
        with path.open("rb") as file:
            held = rows_in_shard(file.fileno(), path, level, dtype.itemsize)
            if held != -(-rows // level.chunk_rows) * level.chunk_rows:
                raise CacheError(f"{path}: holds {held} rows, planned were {rows}")
            left = held * level.dim * dtype.itemsize
            while count := file.readinto(buffer):
                digest.update(buffer[:count])
                values = np.frombuffer(buffer[: min(count, left)], kind)
                largest = max(largest, int((values & mask).max(initial=0)))
                left -= min(count, left)
                tick(count)
    except FileNotFoundError:
        raise CacheError(f"{path}: missing") from None
    except OSError as error:
        raise CacheError(f"{path}: cannot be read ({error.strerror})") from None
    if digest.hexdigest() != checksum:
        raise CacheError(f"{path}: its rows are not those that were committed (their SHA-256 differs)")
    found = float(np.array(largest, kind).view(dtype))
    if not np.isfinite(found):
        raise CacheError(f"{path}: holds values that are not finite")
    return found


def check_largest(stored: Stored, found: float) -> str | None:
    """Whether the largest magnitude is the one that was committed, which was taken before rounding."""
    expected = float(np.float32(stored.largest).astype(stored.dtype))
    return None if found == expected else f"its largest value is {found:g}, committed was {expected:g}"


def check_group(folder: Path, attributes: Mapping[str, str]) -> str | None:
    """What is wrong with the `zarr.json` of a group; None when it is as it was made."""
    import zarr

    try:
        _check_fields(folder, _GROUP)
        group = zarr.open_group(folder, mode="r", zarr_format=3)
    except Exception as error:  # noqa: BLE001 - zarr raises whatever the damage leads it to
        return _unreadable(folder, error)
    return None if dict(group.attrs) == attributes else "says other things of its level than the card"


def check_array(paths: Paths, card: Card, level: Level, name: str, shards: int) -> str | None:
    """What is wrong with the `zarr.json` of an array that has rows in its first `shards` shards; None when it is as it was made."""
    import zarr

    folder = paths.array(level.name, name)
    dtype = stored_dtype(name, card.key.dtype)
    expected = zarr.create_array({}, shape=(level.shard_rows, level.dim), **array_settings(level, dtype, paths.format))
    try:
        _check_fields(folder, _ARRAY)
        array = zarr.open_array(folder, mode="r", zarr_format=3)
        found, (rows, dim) = array.metadata.to_dict(), array.shape
    except Exception as error:  # noqa: BLE001 - zarr raises whatever the damage leads it to
        return _unreadable(folder, error)
    wanted = expected.metadata.to_dict()
    if wrong := [field for field, value in wanted.items() if field != "shape" and found.get(field) != value]:
        return f"its {', '.join(wrong)} are not what its rows are stored as"
    if dim != level.dim or rows % level.shard_rows or rows < shards * level.shard_rows:
        return f"its shape [{rows}, {dim}] does not hold {shards} shards of [{level.shard_rows}, {level.dim}]"
    return None


def _check_fields(folder: Path, required: set[str]) -> None:
    """ValueError when a `zarr.json` lacks a field, or has one that nobody knows."""
    about = json.loads((folder / "zarr.json").read_bytes())
    inner = {name for field, value in about.items() if field != "attributes" for name in _names(value)}
    if about["zarr_format"] != 3 or not required <= set(about) <= required | _OPTIONAL or not inner <= _INNER:
        raise ValueError(inner)


def _names(value: object) -> Iterator[str]:
    """The names of all fields in a JSON value."""
    if isinstance(value, dict):
        yield from value
    for one in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _names(one)


def _unreadable(folder: Path, error: Exception) -> str:
    """What to say when zarr cannot read a `zarr.json`."""
    return f"zarr cannot read it ({type(error).__name__})" if (folder / "zarr.json").exists() else "missing"
