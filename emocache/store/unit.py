"""One unit being written: its rows grow in part files, one per array and shard, until the commit makes them visible."""

import contextlib
import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.files import sync_folder
from emocache.store.index import SUPERSEDED, Array
from emocache.store.layout import WIDE, Level, Paths, array_name, disk, make_arrays, shard_index, to_json
from emocache.store.plan import Generation


class UnitWriter:
    """The arrays of one unit in one pass. Utterances are put in the plan's order.

    Nothing is visible to readers before `commit`; `close` removes what was not committed.
    """

    def __init__(
        self,
        paths: Paths,
        generation: Generation,
        unit: int,
        pass_id: str,
        arrays: Sequence[Array],
        levels: Mapping[str, Level],
        dtype: Any,
    ) -> None:
        self.unit = unit
        self._paths = paths
        self._entry = paths.commits(pass_id) / f"{unit}.json"
        self._names = [generation.names[i] for i in generation.unit_range(unit)]
        self._rows = {name: generation.rows(name) for name in {name for name, _ in arrays}}
        self._first = generation.unit_range(unit).start
        self._generation = generation
        self._failures: dict[str, str] = {}
        self._next = 0
        prefix = paths.parts / f"{unit}.{pass_id}.{os.getpid()}"
        self._files = {array: _ArrayFile(prefix, array, levels[array[0]], dtype) for array in arrays}

    def put(self, name: str, rows: Mapping[Array, NDArray[np.float32]]) -> None:
        """Append one utterance: for every array its [rows, dim]. Utterances before it that were not put are failures."""
        if bad := [f"{level}/{layer}" for (level, layer), values in rows.items() if not np.isfinite(values).all()]:
            self.fail(name, f"the encoder gave values that are not finite in {', '.join(sorted(bad))}")
            return
        position = self._names.index(name, self._next)
        with disk(self._paths.root, f"unit {self.unit}"):
            self._skip_to(position)
            for array, file in self._files.items():
                self._check(array, position, rows[array])
                file.append(rows[array])
        self._next = position + 1

    def fail(self, name: str, reason: str) -> None:
        """Record that an utterance of this unit has no rows, and why."""
        self._failures[name] = reason

    def commit(self) -> None:
        """Sync every part file, move it into place, and make the unit visible; CacheError when the disk refuses."""
        with disk(self._paths.root, f"unit {self.unit}"):
            self._skip_to(len(self._names))
            entry = {f"{level}/{layer}": self._settle(level, layer) for level, layer in self._files}
            self._link(to_json({"arrays": entry, "failures": self._failures, "unit": self.unit}))

    def close(self) -> None:
        """Remove the part files that are left."""
        for file in self._files.values():
            file.remove()

    def _skip_to(self, position: int) -> None:
        """Fill the places of utterances that have no rows here: failed, or superseded by a newer generation."""
        for i in range(self._next, position):
            self._failures.setdefault(self._names[i], SUPERSEDED)
            for array, file in self._files.items():
                length = int(self._rows[array[0]].length[self._first + i])
                file.append(np.zeros((length, file.level.dim), np.float32))
        self._next = max(self._next, position)

    def _check(self, array: Array, position: int, values: NDArray[np.float32]) -> None:
        """The rows must be as many as planned."""
        expected = (int(self._rows[array[0]].length[self._first + position]), self._files[array].level.dim)
        if values.shape != expected:
            raise CacheError(f"{self._names[position]}: {array[0]}/{array[1]} has shape {values.shape}, planned was {expected}")

    def _settle(self, level: str, layer: int) -> dict[str, Any]:
        """Move the shards of one array into place; what the commit entry says of them."""
        file = self._files[level, layer]
        name = array_name(layer, wide=file.wide)
        if file.wide:
            make_arrays(self._paths, file.level, [layer], int(self._rows[level].shard[-1]), WIDE, wide=True)
        first = int(self._rows[level].shard[self.unit - self._generation.first_unit])
        checksums = {}
        for number, (part, checksum) in enumerate(file.finish(), first):
            target = self._paths.shard(level, name, number)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            sync_folder(target.parent)
            checksums[str(number)] = checksum
        if checksums:
            sync_folder(self._paths.zarr / level / name / "c")
        return {"dtype": file.dtype.name, "wide": file.wide, "largest": file.largest, "sha256": checksums}

    def _link(self, text: str) -> None:
        """Create the commit entry, whole, unless it exists."""
        part = self._paths.parts / f"{self.unit}.commit.{os.getpid()}"
        with part.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):  # another writer committed the same unit: its entry stands
            os.link(part, self._entry)
        part.unlink()
        sync_folder(self._entry.parent)


class _ArrayFile:
    """The rows of one array of a unit, in one part file per shard (nearly always one)."""

    def __init__(self, prefix: Path, array: Array, level: Level, dtype: Any) -> None:
        self.level = level
        self.dtype = dtype
        self.wide = False
        self.largest = 0.0
        self._stem = f"{prefix.name}.{array[0]}.{array[1]}"
        self._folder = prefix.parent
        self._parts: list[_Part] = []

    def append(self, values: NDArray[np.float32]) -> None:
        """Append rows [n, dim] in the stored dtype; an array that does not fit float16 goes on as float32."""
        if not len(values):
            return
        self.largest = max(self.largest, float(np.abs(values).max()))
        with np.errstate(over="ignore"):
            stored = values.astype(self.dtype)
        if self.dtype != WIDE and (stored.view(np.uint16) & 0x7FFF).max() >= 0x7C00:
            self._widen()
            stored = values.astype(WIDE)
        while len(stored):
            if not self._parts or self._parts[-1].rows == self.level.shard_rows:
                self._parts.append(_Part(self._folder / f"{self._stem}.{len(self._parts)}"))
            room = self.level.shard_rows - self._parts[-1].rows
            self._parts[-1].append(stored[:room])
            stored = stored[room:]

    def finish(self) -> list[tuple[Path, str]]:
        """Pad to whole chunks, add the index, sync; each part's path and SHA-256."""
        return [part.finish(self.level, self.dtype.itemsize) for part in self._parts]

    def remove(self) -> None:
        """Remove parts that were not moved into place."""
        for part in self._parts:
            part.remove()

    def _widen(self) -> None:
        """Rewrite what was appended so far as float32 (its values keep their float16 rounding)."""
        for i, part in enumerate(self._parts):
            narrow = part.read(self.dtype, self.level.dim)
            part.remove()
            self._parts[i] = _Part(self._folder / f"{self._stem}.{i}.wide")
            self._parts[i].append(narrow.astype(WIDE))
        self.dtype = WIDE
        self.wide = True


class _Part:
    """One file of rows that is being appended to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
        self._hash = hashlib.sha256()
        self._file = path.open("wb", buffering=1 << 20)

    def append(self, values: NDArray[Any]) -> None:
        """Append rows as they are."""
        self._write(np.ascontiguousarray(values).data.cast("B"))
        self.rows += len(values)

    def read(self, dtype: Any, dim: int) -> NDArray[Any]:
        """Everything appended so far, [rows, dim]."""
        self._file.flush()
        return np.fromfile(self.path, dtype).reshape(-1, dim)

    def finish(self, level: Level, itemsize: int) -> tuple[Path, str]:
        """Close the shard; its path and SHA-256."""
        padding = -self.rows % level.chunk_rows
        self._write(bytes(padding * level.dim * itemsize))
        self._write(shard_index(self.rows, level, itemsize))
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self.path, self._hash.hexdigest()

    def remove(self) -> None:
        """Close and delete, if it is still there."""
        with contextlib.suppress(OSError):  # closing flushes, which a full disk refuses
            self._file.close()
        self.path.unlink(missing_ok=True)

    def _write(self, data: Any) -> None:
        self._hash.update(data)
        self._file.write(data)
