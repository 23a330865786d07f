"""Feature files that other tools wrote, read as data alone: nothing pickled is opened, and one utterance at a time is in memory.

What a source can be:

    npy    FOLDER/**/ID.npy, one array an utterance      (MERTools, EmoBox, most scripts)
    h5     one HDF5 dataset an utterance, in groups or not; or a file of `emocache export`
    flat   X.npy [rows, dim], X.lengths with the rows of each utterance, ids in X.ids, X.emo or X.tsv   (emotion2vec, fairseq)
"""

import json
import tokenize
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import SourceError, UsageError
from emocache.exchange.export import LAYOUT
from emocache.files import first_line

KINDS = ("npy", "h5", "flat")
MEDIA = {"aac", "aiff", "avi", "flac", "flv", "m4a", "mkv", "mov", "mp3", "mp4", "mpg", "ogg", "opus", "wav", "webm"}
"""Suffixes of the recording that a feature file may keep in its name, as in ID.mp3.npy."""
ID_LISTS = (".ids", ".emo", ".tsv")
"""What may stand beside X.npy and X.lengths; the first that exists is read."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one utterance: where they stand, what its id may be (best first), and how to read them.

    `read` gives [dim], [time, dim] or [layers, time, dim], possibly mapped; SourceError when the file is damaged.
    """

    where: str
    names: tuple[str, ...]
    read: Callable[[], NDArray[Any]]
    columns: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """What a user or a file says of features; what is empty or 0 is not said."""

    level: str = ""
    layers: tuple[int, ...] = ()
    hop: int = 0
    modality: str = ""
    encoder: str = ""


@dataclass(frozen=True, slots=True)
class Collection:
    """What a source holds, and what it says of itself."""

    found: Sequence[Found]
    said: Said = Said()


def collect(kind: str, source: Path, *, level: str = "", ids: Path | None = None) -> Collection:
    """Everything in a source of the format `kind`. UsageError or SourceError for what cannot be."""
    if kind not in KINDS:
        raise UsageError(f"format {kind!r}: expected one of {', '.join(KINDS)}")
    if ids is not None and kind != "flat":
        raise UsageError(f"--ids goes with flat; in {kind} the names of the arrays are the ids")
    if kind == "h5":
        return _hdf5(source, level)
    return _flat(source, ids) if kind == "flat" else _folder(source)


def names_of(path: str) -> tuple[str, ...]:
    """What may be the id of an array called `path`, best first.

    >>> names_of("Session1/Ses01F_impro01_F000.wav")
    ('Session1/Ses01F_impro01_F000.wav', 'Ses01F_impro01_F000.wav', 'Ses01F_impro01_F000')
    """
    last = path.rpartition("/")[2]
    stem, _, suffix = last.rpartition(".")
    return tuple(dict.fromkeys((path, last, stem if stem and suffix.lower() in MEDIA else last)))


def _folder(source: Path) -> Collection:
    """Every .npy below a folder, hidden ones apart."""
    if not source.is_dir():
        raise SourceError(f"{source}: is no folder; give the one that holds a .npy for each utterance")
    inside = [path.relative_to(source) for path in sorted(source.rglob("*.npy"))]
    paths = [path for path in inside if not any(part.startswith(".") for part in path.parts)]
    if not paths:
        raise SourceError(f"{source}: holds no .npy file; expected one for each utterance")
    return Collection(
        [Found(str(source / path), names_of(path.as_posix().removesuffix(".npy")), partial(_mapped, source / path)) for path in paths]
    )


def _mapped(path: Path) -> NDArray[Any]:
    """A .npy file as a memory map. The file's own reader is asked, which knows nothing of pickles and archives."""
    try:
        return np.lib.format.open_memmap(path, mode="r")
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, TypeError, OverflowError, SyntaxError, tokenize.TokenError) as error:
        raise SourceError(f"{path}: is no whole .npy file of numbers ({first_line(error)}); write it again with numpy.save") from None


def _flat(source: Path, ids: Path | None) -> Collection:
    """X.npy and its lists, for one X or for every one in a folder."""
    if source.is_dir():
        bases = [path.with_name(path.stem) for path in sorted(source.glob("*.npy")) if path.with_name(f"{path.stem}.lengths").is_file()]
    else:
        bases = [source.with_name(source.name.removesuffix(".npy"))]
    if not bases:
        raise SourceError(f"{source}: holds no X.npy with an X.lengths beside it")
    if ids is not None and len(bases) > 1:
        raise UsageError(f"--ids {ids}: {source} holds {len(bases)} arrays; import one of them, as in {bases[0]}.npy")
    return Collection([found for base in bases for found in _flat_array(base, ids)])


def _flat_array(base: Path, ids: Path | None) -> list[Found]:
    """The utterances of one X: rows one after the other, as many as X.lengths says."""
    array_path, lengths_path = base.with_name(f"{base.name}.npy"), base.with_name(f"{base.name}.lengths")
    values = _mapped(array_path)
    if values.ndim != 2:
        raise SourceError(f"{array_path}: has shape {values.shape}, expected [rows, dim]")
    lengths = _lengths(lengths_path)
    if sum(lengths) != len(values):
        raise SourceError(f"{lengths_path}: sums to {sum(lengths)}, but {array_path.name} has {len(values)} rows; write both again")
    listed = ids or next((path for suffix in ID_LISTS if (path := base.with_name(base.name + suffix)).is_file()), None)
    if listed is None:
        raise SourceError(f"{base}: none of {', '.join(base.name + suffix for suffix in ID_LISTS)} is there; give the ids with --ids FILE")
    names = _first_column(listed, len(lengths))
    edges = [0, *np.cumsum(lengths).tolist()]
    return [
        Found(f"{array_path} utterance {i + 1} ({name})", names_of(name), partial(_between, values, start, stop))
        for i, (name, (start, stop)) in enumerate(zip(names, pairwise(edges), strict=True))
    ]


def _between(values: NDArray[Any], start: int, stop: int) -> NDArray[Any]:
    return values[start:stop]


def _lengths(path: Path) -> list[int]:
    """One whole number of rows a line."""
    lengths: list[int] = []
    for i, text in enumerate(_lines(path), 1):
        if not (text.isascii() and text.isdecimal()) or int(text) == 0:
            raise SourceError(f"{path}:{i}: is {text!r}, expected a number of rows, at least 1")
        lengths.append(int(text))
    return lengths


def _first_column(path: Path, expected: int) -> list[str]:
    """The ids: what stands before the first tab, else before the first blank. A fairseq .tsv begins with its root folder."""
    lines = _lines(path)
    if path.suffix == ".tsv" and len(lines) == expected + 1:
        lines = lines[1:]
    if len(lines) != expected:
        raise SourceError(f"{path}: lists {len(lines)} utterances, there are lengths of {expected}")
    return [line.split("\t")[0].strip() if "\t" in line else line.split()[0] for line in lines]


def _lines(path: Path) -> list[str]:
    """The lines of a text file that hold anything."""
    try:
        return [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"{path}: cannot be read as UTF-8 text ({first_line(error)})") from None


def _hdf5(source: Path, level: str) -> Collection:
    """The datasets of an HDF5 file."""
    import h5py

    try:
        file = h5py.File(source, "r")
        if file.attrs.get("layout") == LAYOUT:
            return _exported(file, source, level)
        paths: list[str] = []
        file.visititems(lambda name, item: paths.append(name) if isinstance(item, h5py.Dataset) else None)
        if not paths:
            raise SourceError(f"{source}: holds no dataset; expected one for each utterance")
        return Collection([Found(f"{source}: {path}", names_of(path), partial(_dataset, file, path, source)) for path in sorted(paths)])
    except FileNotFoundError:
        raise SourceError(f"{source}: no such file") from None
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{source}: is no whole HDF5 file ({first_line(error)})") from None


def _dataset(file: Any, path: str, source: Path) -> NDArray[Any]:
    """All of one dataset."""
    return _rows(file, path, source, slice(None))


def _rows(file: Any, path: str, source: Path, which: slice) -> NDArray[Any]:
    """Some rows of a dataset that keeps its numbers in this very file."""
    import h5py

    try:
        data = file[path]
        if not isinstance(file.get(path, getlink=True), h5py.HardLink) or data.external or data.is_virtual:
            raise SourceError(f"{source}: {path} refers to another place; write its numbers into the file itself")
        return np.asarray(data[which] if data.shape else data[()])
    except (OSError, RuntimeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{source}: {path} cannot be read ({first_line(error)}); the file is damaged") from None


def _exported(file: Any, source: Path, level: str) -> Collection:
    """One level of a file that `emocache export` wrote."""
    try:
        card = json.loads(file.attrs["card"])
        there = [name for name in file if "offsets" in file[name]]
        chosen = level or (card["native"] if card["native"] in there else there[0])
        if chosen not in there:
            raise SourceError(f"{source}: has no level {chosen}; there are: {', '.join(there)}")
        group = file[chosen]
        layers = tuple(int(layer) for layer in group["layers"][()])
        ids, offsets = group["ids"].asstr()[()].tolist(), group["offsets"][()].astype(np.int64).tolist()
        columns = {name.removeprefix("column."): group[name][()] for name in group if name.startswith("column.")}
        rows = {len(group[str(layer)]) for layer in layers} | {len(values) for values in columns.values()}
        if [0, *sorted(set(offsets[1:]))] != offsets or len(offsets) != len(ids) + 1 or rows != {offsets[-1]}:
            raise SourceError(f"{source}: the ids, offsets and layers of {chosen} do not fit together; export it again")
        return Collection(
            [
                Found(
                    f"{source}: {chosen} of {name}",
                    (name,),
                    partial(_layers_between, file, [f"{chosen}/{layer}" for layer in layers], start, stop, source),
                    {column: values[start:stop] for column, values in columns.items()},
                )
                for name, (start, stop) in zip(ids, pairwise(offsets), strict=True)
            ],
            Said(level=chosen, layers=layers, hop=int(card["hop"]), modality=str(card["modality"]), encoder=str(card["encoder"])),
        )
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise SourceError(f"{source}: is a damaged export ({first_line(error)}); export it again") from None


def _layers_between(file: Any, paths: Sequence[str], start: int, stop: int, source: Path) -> NDArray[Any]:
    """[layers, rows, dim] of one utterance."""
    return np.stack([_rows(file, path, source, slice(start, stop)) for path in paths])
