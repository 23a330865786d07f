"""A feature set as one file for other tools: HDF5, npz or zipped Zarr, with the same arrays under the same names in each.

    frames/12            [rows, dim]              layer 12, in the type it is stored in
    frames/layers        int64 [layers]           the layers that are there
    frames/offsets       int64 [utterances + 1]   utterance i is rows offsets[i] to offsets[i + 1] of every layer
    frames/ids           text [utterances]
    tokens/column.word   int32 [rows]             what a row of a text level stands for

Every layer is an array of its own, under its number: who wants one reads one, and float32 is spent only on a layer that
float16 could not hold. Beside them stands what `Selection.about` gives: attributes in HDF5 and Zarr, `about` in an npz.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

import emocache
from emocache import manifest
from emocache.errors import CacheError, UsageError
from emocache.exchange.containers import BLOCK, CONTAINERS, Container
from emocache.files import first_line, sync_folder
from emocache.layers import parse_layers
from emocache.store.reader import Features

LAYOUT = "emocache export 1"
"""By this an exported file is known again."""
SUFFIXES: Mapping[str, str] = {".h5": "h5", ".hdf5": "h5", ".npz": "npz", ".zip": "zip"}
"""Suffix of the file -> its format, where none is named."""
BLOCK_BYTES = 32 << 20
"""About so much is held in memory at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rows:
    """One level of an export: which utterances, in which order, and what of each."""

    level: str
    dim: int
    ids: Sequence[str]
    offsets: NDArray[np.int64]
    dtypes: Mapping[int, Any]
    columns: Mapping[str, NDArray[np.int32]]

    @property
    def count(self) -> int:
        """Rows of each layer."""
        return int(self.offsets[-1])

    @property
    def bytes(self) -> int:
        """Bytes of all layers, uncompressed."""
        return sum(self.count * self.dim * dtype.itemsize for dtype in self.dtypes.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What is to be exported. `lacking` maps ids that have no rows in some of it to the reason."""

    features: Features
    levels: tuple[Rows, ...]
    lacking: Mapping[str, str]

    @property
    def bytes(self) -> int:
        """Bytes of all levels, uncompressed."""
        return sum(rows.bytes for rows in self.levels)

    @property
    def about(self) -> dict[str, Any]:
        """How the features were made and what the file lacks."""
        features = self.features
        return {
            "layout": LAYOUT,
            "made_with": f"emocache {emocache.__version__}",
            "features": f"{features.corpus}/{features.name}",
            "digest": features.digest,
            "card": asdict(features.card),
            "lacking": dict(self.lacking),
        }


def select(features: Features, *, levels: Sequence[str] = (), layers: str = "all", ids: Sequence[str] | None = None) -> Selection:
    """What of a feature set is held, out of what is asked for: by default every level, layer and utterance.

    `ids` are also the order of the rows; without them it is the order on disk. UsageError or CacheError for a level or
    layer that is not there, or when nothing is left.
    """
    chosen = tuple(dict.fromkeys(levels)) or features.levels
    wanted = list(ids) if ids is not None else _expected(features)
    planned = set(features.planned_ids)
    rows: list[Rows] = []
    lacking: dict[str, str] = {}
    for level in chosen:
        numbers = _layers(features, level, layers)
        held = set(features.held(level, numbers))
        rows.append(_rows(features, level, numbers, [name for name in wanted if name in held]))
        lacking |= {name: _reason(features, name, level, planned) for name in wanted if name not in held}
    if not any(one.count for one in rows):
        where = f"{features.corpus}/{features.name}"
        raise CacheError(f"{where}: holds no rows of the {len(wanted)} utterances asked for; `emocache info {where}` says what is there")
    return Selection(features=features, levels=tuple(one for one in rows if one.count), lacking=lacking)


def export(selection: Selection, target: Path, form: str, *, compress: bool = False, overwrite: bool = False) -> int:
    """Write `target` and return its bytes; it appears whole or not at all. UsageError for a target that cannot be."""
    _check_target(target, overwrite=overwrite)
    free = shutil.disk_usage(target.absolute().parent).free
    if not compress and selection.bytes > free:
        raise CacheError(
            f"{target}: {selection.bytes / 1e9:.3g} GB would not fit the {free / 1e9:.3g} GB free there; choose fewer --layers or --levels"
        )
    try:
        with _appearing_whole(target) as part, CONTAINERS[form](part, selection.about, compress=compress) as container:
            _write(selection, container)
    except (OSError, RuntimeError) as error:  # HDF5 raises either when the disk refuses
        raise CacheError(f"{target}: cannot be written ({first_line(error)}); nothing was left there") from error
    return target.stat().st_size


def form_of(target: Path, form: str | None) -> str:
    """The format named, else that of the file's suffix; UsageError when there is none."""
    known = form or SUFFIXES.get(target.suffix.lower(), "")
    if known not in CONTAINERS:
        raise UsageError(f"--format {form or f'of {target.name}'}: expected one of {', '.join(CONTAINERS)}")
    return known


def _expected(features: Features) -> list[str]:
    """The utterances that were planned, in the order they lie on disk, then those of the corpus that never were."""
    folder = features.paths.root.parent
    copy = manifest.load(folder.parent, folder.name).utterances if (folder / manifest.MANIFEST).is_file() else ()
    return list(dict.fromkeys([*features.planned_ids, *(utterance.id for utterance in copy)]))


def _layers(features: Features, level: str, asked: str) -> tuple[int, ...]:
    """The layers asked for: 'all' are those held, 'last' is the encoder's last. CacheError for one that is not held."""
    there = features.layers_of(level)
    wanted = there if asked == "all" else parse_layers(asked, features.card.layers)
    if missing := [layer for layer in wanted if layer not in there]:
        raise CacheError(
            f"{features.corpus}/{features.name}: layer {missing[0]} of {level} is not cached; there are: {', '.join(map(str, there))}"
        )
    return wanted


def _rows(features: Features, level: str, layers: Sequence[int], ids: Sequence[str]) -> Rows:
    """Lengths, types and columns of one level; the rows themselves are not read."""
    outlines = {layer: features.outline(level, layer, ids) for layer in layers}
    columns = [features.columns(name, level) for name in ids]
    names = dict.fromkeys(name for one in columns for name in one)
    return Rows(
        level=level,
        dim=features.dim(level),
        ids=ids,
        offsets=outlines[layers[0]][0],
        dtypes={layer: dtype for layer, (_, dtype) in outlines.items()},
        columns={name: np.concatenate([one[name] for one in columns]) for name in names},
    )


def _reason(features: Features, name: str, level: str, planned: set[str]) -> str:
    """Why an utterance has no rows in a level."""
    return features.failures.get(name) or (f"its {level} are not extracted yet" if name in planned else "not in the feature set")


def _write(selection: Selection, container: Container) -> None:
    """Write every level, one layer after the other."""
    where = f"{selection.features.corpus}/{selection.features.name}"
    with tqdm(total=selection.bytes, desc=where, unit="B", unit_scale=True, delay=1) as bar:
        for rows in selection.levels:
            container.put(f"{rows.level}/ids", np.array(rows.ids))
            container.put(f"{rows.level}/offsets", rows.offsets)
            container.put(f"{rows.level}/layers", np.array(list(rows.dtypes), np.int64))
            for name, values in rows.columns.items():
                container.put(f"{rows.level}/column.{name}", values)
            for layer, dtype in rows.dtypes.items():
                blocks = _blocks(selection.features, rows, layer, bar)
                container.stream(f"{rows.level}/{layer}", (rows.count, rows.dim), dtype, blocks)


def _blocks(features: Features, rows: Rows, layer: int, bar: "tqdm[Any]") -> Iterator[NDArray[Any]]:
    """One layer in blocks [rows, dim] of whole chunks; utterances that lie across an edge are read for both sides."""
    dtype, offsets = rows.dtypes[layer], rows.offsets
    step = max(BLOCK_BYTES // (rows.dim * dtype.itemsize * BLOCK), 1) * BLOCK
    for start in range(0, rows.count, step):
        stop = min(start + step, rows.count)
        first, last = int(np.searchsorted(offsets, start, "right")) - 1, int(np.searchsorted(offsets, stop, "left"))
        values = features.load(rows.level, [layer], rows.ids[first:last]).values[0]
        yield values[start - offsets[first] : stop - offsets[first]].astype(dtype, copy=False)
        bar.update((stop - start) * rows.dim * dtype.itemsize)


def _check_target(target: Path, *, overwrite: bool) -> None:
    """UsageError unless a file can be made there."""
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; give the name of the file to write")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}; make it first")
    if target.exists() and not overwrite:
        raise UsageError(f"{target}: exists; --overwrite replaces it")


@contextlib.contextmanager
def _appearing_whole(target: Path) -> Iterator[Path]:
    """A part file beside `target`, which takes its name, synced, if all goes well, and is removed if not.

    A killed export leaves the part file, and the next one to the same target writes over it.
    """
    part = target.with_name(f"{target.name}.part")
    with part.open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError(f"{target}: another export is writing it; wait for it, or give another name") from None
        try:
            yield part
            with part.open("rb") as written:
                os.fsync(written.fileno())
            part.replace(target)
            sync_folder(target.absolute().parent)
        finally:
            part.unlink(missing_ok=True)
