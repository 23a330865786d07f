"""One unit being written: its rows grow in part files, one per array and shard, until the commit makes them visible.

    parts/17.HOST-PID.a1b2c3d4.frames.3.0       rows are appended, then synced
    features.zarr/frames/3/c.17.0.9f86d081...   renamed beside its place, named by its checksum
    commits/0/17.json                           linked: from here on the unit is there, whoever else has been at it
    features.zarr/frames/3/c.17.0               the shards that the entry names, renamed into place

The entries of a unit are numbered. A writer takes the first free number, then looks what the others say, and commits
the arrays that none of them has; a link that fails means that there is one more to look at. So every array of a unit is
committed once, whatever was asked of the writers, and only bytes that an entry names are ever put in place: two writers
of one unit do no harm. A reader looks for the name with the checksum first, so it needs no last step; whoever plans next
makes up for it.

Other bytes beside a place may be those of a writer that is just about to link its entry, so they are removed only once
that shard is committed.
"""

import contextlib
import math
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError
from emocache.files import link_new, part_file, sync_folder
from emocache.store.background import Background
from emocache.store.claims import process, runs
from emocache.store.index import SUPERSEDED, Array, committed, next_entry
from emocache.store.layout import WIDE, Level, Paths, array_name, disk, make_arrays, to_json
from emocache.store.plan import Generation
from emocache.store.seal import sealed
from emocache.store.shards import ArrayFile, largest_of

Rows = Mapping[Array, NDArray[Any]]
TAKEN = (np.dtype(np.float32), np.dtype(np.float16))
"""What rows may be put in."""


class UnitWriter:
    """Some arrays of one unit. Utterances are put in the plan's order.

    Whatever is asked is done in the background, in order; an error comes up in a later call. Nothing is visible to
    readers before `commit` is done; `close` removes what was not committed and lets go of the claim.
    """

    def __init__(
        self,
        paths: Paths,
        generation: Generation,
        unit: int,
        arrays: Sequence[Array],
        levels: Mapping[str, Level],
        dtype: Any,
        background: Background,
        committing: Background,
        claim: contextlib.ExitStack,
    ) -> None:
        self.unit = unit
        self.arrays = tuple(arrays)
        self._paths = paths
        members = generation.unit_range(unit)
        self._names = generation.names[members.start : members.stop]
        self._first = members.start
        self._rows = {name: generation.rows(name) for name in {name for name, _ in arrays}}
        self._first_shard = {name: int(rows.shard[unit - generation.first_unit]) for name, rows in self._rows.items()}
        self._failures: dict[str, str] = {}
        self._notes: list[str] = []
        self._next = 0
        self._background = background
        self._committing = committing
        self._claim = claim
        self._process = os.getpid()
        self._part = paths.parts / f"{unit}.{process()}.{secrets.token_hex(4)}"
        self._files = {array: ArrayFile(Path(f"{self._part}.{array[0]}.{array[1]}"), levels[array[0]], dtype) for array in arrays}

    def put(self, name: str, rows: Rows | Callable[[], Rows], size: int = 0) -> None:
        """Append one utterance: for every array its [rows, dim], which must not change afterwards, float32 or finite float16.

        Rows may also come as a function that is called in the background, and that holds on to `size` bytes until then.
        Utterances before it that were not put are failures.
        """
        held = size if callable(rows) else sum(values.nbytes for values in rows.values())
        self._background.submit(partial(self._put, name, rows), held)

    def widen(self, array: Array) -> None:
        """Store an array as float32 from here on."""
        self._background.submit(partial(self._widen, array))

    def fail(self, name: str, reason: str) -> None:
        """Record that an utterance of this unit has no rows, and why."""
        self._background.submit(partial(self._failures.__setitem__, name, reason))

    def note(self, text: str) -> None:
        """Add a remark to the commit entry, such as how a batch had to be cut."""
        self._background.submit(partial(self._notes.append, text))

    def commit(self) -> None:
        """Sync every part file, make the unit visible, move its shards into place, and let go of the claim."""
        self._background.submit(partial(self._committing.submit, self._commit, 1))

    def close(self) -> None:
        """Remove the part files that are left, and let go of the claim; a forked child does neither."""
        if self._process != os.getpid():
            return
        for file in self._files.values():
            file.remove()
        self._claim.close()

    def _put(self, name: str, given: Rows | Callable[[], Rows]) -> None:
        self._committing.check()  # what came up while an earlier unit was synced is told now, not when this one is done
        rows = given() if callable(given) else given
        if wrong := [f"{level}/{layer} in {values.dtype}" for (level, layer), values in rows.items() if values.dtype not in TAKEN]:
            raise CacheError(f"{name}: {wrong[0]}; rows are put in float32, or in float16 where that holds them")
        if name not in self._names[self._next :]:
            raise CacheError(f"{name}: is not among the utterances that unit {self.unit} still waits for; put them in the plan's order")
        largest = {array: largest_of(values) for array, values in rows.items()}
        if bad := [f"{level}/{layer}" for (level, layer), value in largest.items() if not math.isfinite(value)]:
            self._failures[name] = f"the encoder gave values that are not finite in {', '.join(sorted(bad))}"
            return
        position = self._names.index(name, self._next)
        with disk(self._paths.root, f"unit {self.unit}"):
            self._skip_to(position)
            for array in self._files:
                self._check(array, position, rows[array])
            self._background.for_all(lambda array: self._files[array].append(rows[array], largest[array]), self._files)
        self._next = position + 1

    def _widen(self, array: Array) -> None:
        with disk(self._paths.root, f"unit {self.unit}"):
            self._files[array].widen()

    def _commit(self) -> None:
        with disk(self._paths.root, f"unit {self.unit}"), contextlib.suppress(_TakenOverError):
            self._skip_to(len(self._names))
            parts = self._committing.for_all(ArrayFile.finish, self._files.values())
            ours = {f"{level}/{layer}": self._stage(level, layer, of) for (level, layer), of in zip(self._files, parts, strict=True)}
            self._committing.for_all(sync_folder, {self._paths.array(level, name) for level, name, *_ in shards_of({"arrays": ours})})
            standing = self._enter(ours)
            place(self._paths, {"arrays": standing})
            discard(self._paths, {"arrays": ours}, {"arrays": standing})
            for part in self._paths.parts.glob(f"{self.unit}.*"):  # of writers that did the same work, or died at it
                if not runs(part):
                    part.unlink(missing_ok=True)
        self.close()

    def _skip_to(self, position: int) -> None:
        """Fill the places of utterances that have no rows here: failed, superseded by a newer generation, or removed."""
        for i in range(self._next, position):
            self._failures.setdefault(self._names[i], SUPERSEDED)
            for (level, _), file in self._files.items():
                length = int(self._rows[level].length[self._first + i])
                file.append(np.zeros((length, file.level.dim), np.float16), 0.0)
        self._next = max(self._next, position)

    def _check(self, array: Array, position: int, values: NDArray[Any]) -> None:
        """The rows must be as many as planned."""
        expected = (int(self._rows[array[0]].length[self._first + position]), self._files[array].level.dim)
        if values.shape != expected:
            raise CacheError(f"{self._names[position]}: {array[0]}/{array[1]} has shape {values.shape}, planned was {expected}")

    def _stage(self, level: str, layer: int, parts: Sequence[tuple[Path, str]]) -> dict[str, Any]:
        """Move the finished shards of one array beside their places; what the commit entry says of them."""
        file = self._files[level, layer]
        name = array_name(layer, wide=file.wide)
        if file.wide:
            make_arrays(self._paths, file.level, [layer], int(self._rows[level].shard[-1]), WIDE, wide=True)
        checksums = {}
        for number, (part, checksum) in enumerate(parts, self._first_shard[level]):
            try:
                part.rename(self._paths.staged(level, name, number, checksum))
            except FileNotFoundError:
                if part.exists():
                    raise
                raise _TakenOverError from None
            checksums[str(number)] = checksum
        return {"dtype": file.dtype.name, "wide": file.wide, "largest": file.largest, "sha256": checksums}

    def _enter(self, ours: Mapping[str, Any]) -> dict[str, Any]:
        """Commit the arrays that no other writer has committed; for all of ours, what stands."""
        while True:
            entry = next_entry(self._paths, self.unit)  # first this, then the look: whoever commits in between takes this place
            standing = committed(self._paths, self.unit)
            if not (new := {array: about for array, about in ours.items() if array not in standing}):
                return {array: standing[array] for array in ours}
            about: dict[str, Any] = {"arrays": new, "failures": self._failures, "unit": self.unit}
            self._link(entry, sealed(to_json(about | ({"notes": self._notes} if self._notes else {}))))

    def _link(self, entry: Path, text: str) -> None:
        """Create a commit entry, whole, unless it exists."""
        entry.parent.mkdir(parents=True, exist_ok=True)
        with part_file(Path(f"{self._part}.commit"), text) as part:
            try:
                link_new(part, entry)
            except FileNotFoundError:
                if part.exists():
                    raise
                raise _TakenOverError from None
        sync_folder(entry.parent)
        sync_folder(entry.parent.parent)


class _TakenOverError(Exception):
    """Another writer holds the same claim and removed our part files, taking us for dead: the unit is now its own."""


def shards_of(entry: Mapping[str, Any]) -> list[tuple[str, str, int, str]]:
    """(level, name of the Zarr array, shard, SHA-256) of every shard that a commit entry names."""
    return [
        (level, array_name(int(layer), wide=bool(about["wide"])), int(number), checksum)
        for array, about in entry["arrays"].items()
        for level, layer in [array.split("/")]
        for number, checksum in about["sha256"].items()
    ]


def place(paths: Paths, entry: Mapping[str, Any]) -> int:
    """Rename the shards that a commit entry names into place, where that is still to be done; how many there were."""
    placed = 0
    for level, array, number, checksum in shards_of(entry):
        with contextlib.suppress(FileNotFoundError):
            paths.staged(level, array, number, checksum).replace(paths.shard(level, array, number))
            placed += 1
    return placed


def discard(paths: Paths, ours: Mapping[str, Any], standing: Mapping[str, Any]) -> None:
    """Remove what we staged of a unit, less what the entry that stands names."""
    for level, array, number, checksum in set(shards_of(ours)) - set(shards_of(standing)):
        paths.staged(level, array, number, checksum).unlink(missing_ok=True)
