"""Where everything lies in a cache, and the small files that describe it.

CACHE/emocache.json                          {"format": 1}
CACHE/ravdess/manifest.csv corpus.json       the corpus as it was when features were last extracted
CACHE/ravdess/whisper-tiny.en/               one feature set
    card.json                                its key and description
    pulled.json                              where it was pulled from, and what more there is (pulled.py)
    plan/0/ids.npy digests.npy units.npy     generation 0: the utterances, fixed before any encoding
    plan/0/frames/start.npy length.npy shard.npy     where each one's rows lie in level `frames`, and each unit's shards
    plan/0/sha256.json plan/0/frames/sha256.json     the checksums of these files
    plan/0/tokens/column.word.npy            what each row of a text level stands for
    plan/0/word@mfa/digests.npy column.label.npy     of segments: what each utterance's were made from, what each row stands for
    features.zarr/frames/3/c.17.0            layer 3, shard 17: raw rows, then the index of its chunks
    features.zarr/frames/3/c.17.0.9f86d081884c7d65   the same, written but not yet in its place: named by its SHA-256
    features.zarr/frames/3.float32/c.17.0    the same where float16 would overflow
    commits/0/9.json                         the first arrays of unit 9 are complete, these utterances of it failed
    commits/1/9.json                         the arrays that were added to unit 9 later
    commits/0/removed.json                   arrays of these entries that were removed since
    claims/17.lock  parts/                   work in progress
CACHE/ravdess/.whisper-tiny.en.rewrite/ .whisper-tiny.en.old/    a rewriting at work, and what it puts aside (care/rewrite.py)
CACHE/ravdess/.whisper-tiny.en.removed.1a2b3c4d/                 being deleted
CACHE/.pull/                                 what a pull brings, until it is taken in (share/fetch.py)

Card, commit entries and the small files beside them end in a seal, the SHA-256 of what stands before it. FORMAT 0, from
before the first release, has no seals, no `sha256.json`, and a folder for each shard (`frames/3/c/17/0`); it is read, and
`emocache migrate` rewrites it.
"""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from emocache.errors import CacheError, NewerFormat
from emocache.files import sync_folder, write_whole
from emocache.store.seal import SEALED, is_sealed, sealed

FORMAT = 1
FORMATS = (0, FORMAT)
"""What this release reads; it writes FORMAT alone."""
DTYPES: Mapping[str, Any] = {"fp16": np.dtype("<f2"), "fp32": np.dtype("<f4")}
"""What features can be stored as."""
WIDE = DTYPES["fp32"]
"""What a layer is stored as where float16 would overflow."""
WIDE_SUFFIX = ".float32"
MARKER = "emocache.json"
REPAIR = "run `emocache repair`, then extract again"
"""What to do about a feature set that is damaged."""
CHECKSUMS = "sha256.json"
"""File name -> SHA-256 of the other files of a folder."""
UNIT_ROWS = 16_384
"""Most rows of the encoder's own level in a unit; also the rows of a shard."""
UNIT_ROWS_LARGE = 65_536
LARGE_ROWS = 100 * 3600 * 50
"""From this many rows (100 hours of 20 ms frames) on, units are large, else there would be too many files."""
UNIT_UTTERANCES = 1024
STAGED_DIGITS = 16
"""How many hexadecimal digits of its SHA-256 a shard's name carries until it is in its place."""
FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a disk, or a user's share of one, that is full."""
LEVELS: Mapping[str, bool] = {
    "frames": False, "tokens": False, "word": False, "phone": False, "syllable": False, "sentence": True, "utterance": True,
}  # fmt: skip
"""Every level there is, and whether it holds one row for an utterance."""
SOURCE = "@"
"""What stands between a level of segments and the alignment that they are from: word@wdseg."""
SEPARATORS: Mapping[int, Literal[".", "/"]] = {0: "/", 1: "."}
"""What stands between the numbers in a shard's name, by FORMAT: '.' saves the folder that '/' makes for every shard."""


@dataclass(frozen=True, slots=True)
class Level:
    """How the arrays of one level are cut: rows per shard and per chunk (a shard is whole chunks)."""

    name: str
    dim: int
    shard_rows: int
    chunk_rows: int
    about: str

    @property
    def chunks(self) -> int:
        """Chunks in a shard."""
        return self.shard_rows // self.chunk_rows


def level(name: str, dim: int, unit_rows: int, about: str, format_: int = FORMAT) -> Level:
    """The cut of a level: large chunks for frames, small ones where an utterance has few rows, small shards where it has one."""
    one_row = LEVELS.get(kind_of(name), False) and (format_ > 0 or name == "utterance")  # FORMAT 0 cut sentences as it cut words
    rows = UNIT_UTTERANCES if one_row else unit_rows
    return Level(name, dim, rows, 256 if name == "frames" else 16, about)


def kind_of(name: str) -> str:
    """What a level is, whatever alignment it is from: 'word' of 'word@wdseg+all'."""
    return name.partition(SOURCE)[0]


@dataclass(frozen=True, slots=True)
class Paths:
    """The files of one feature set; `format` is the one its card states."""

    root: Path
    format: int = FORMAT

    @property
    def card(self) -> Path:
        """Key and description."""
        return self.root / "card.json"

    @property
    def zarr(self) -> Path:
        """The Zarr group that holds every level and layer."""
        return self.root / "features.zarr"

    @property
    def claims(self) -> Path:
        """Lock files: one per unit, one for planning, one that says the feature set is in use."""
        return self.root / "claims"

    @property
    def parts(self) -> Path:
        """Files that are being written."""
        return self.root / "parts"

    def plan(self, generation: int) -> Path:
        """Utterances and units of one generation."""
        return self.root / "plan" / str(generation)

    def commits(self, folder: str) -> Path:
        """Commit entries, at most one per unit."""
        return self.root / "commits" / folder

    @property
    def rewritten(self) -> Path:
        """The copy that a rewriting makes; whole once `old` is there."""
        return self.root.with_name(f".{self.root.name}.rewrite")

    @property
    def old(self) -> Path:
        """The feature set that its copy takes the place of."""
        return self.root.with_name(f".{self.root.name}.old")

    def array(self, level_name: str, array: str) -> Path:
        """One Zarr array."""
        return self.zarr / level_name / array

    def shard(self, level_name: str, array: str, shard: int) -> Path:
        """One shard file."""
        separator = SEPARATORS[self.format]
        return self.array(level_name, array) / f"c{separator}{shard}{separator}0"

    def staged(self, level_name: str, array: str, shard: int, sha256: str) -> Path:
        """A shard that is complete, but not (or not yet) the one in place: other bytes have another name."""
        path = self.shard(level_name, array, shard)
        return path.with_name(f"{path.name}.{sha256[:STAGED_DIGITS]}")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, or CacheError."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CacheError(f"{path}: missing") from None
    except (OSError, ValueError) as error:
        raise CacheError(f"{path}: cannot be read ({error})") from None
    if not isinstance(value, dict):
        raise CacheError(f"{path}: holds no JSON object")
    return value


def to_json(value: Mapping[str, object]) -> str:
    """Sorted, so that equal contents give equal bytes."""
    return json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def read_sealed(path: Path, format_: int = FORMAT) -> dict[str, Any]:
    """A JSON object of a feature set of that format; CacheError when it is not what was written."""
    value = read_json(path)
    if (format_ > 0 or SEALED in value) and not is_sealed(path.read_text(encoding="utf-8")):
        raise CacheError(f"{path}: is not what was written (its seal does not fit)")
    return value


def read_array(path: Path) -> NDArray[Any]:
    """A flat .npy file, mapped; never a pickled one."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except FileNotFoundError:
        raise CacheError(f"{path}: missing; the feature set is damaged") from None
    except (OSError, ValueError, EOFError) as error:
        raise CacheError(f"{path}: cannot be read ({error}); the feature set is damaged") from None


def write_folder(folder: Path, arrays: Mapping[str, NDArray[Any]]) -> bool:
    """Write .npy files into a new folder that appears whole; False when another writer made it first."""
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        checksums: dict[str, str] = {}
        for name, values in arrays.items():
            with (part / f"{name}.npy").open("w+b") as file:
                np.save(file, values, allow_pickle=False)
                file.flush()
                os.fsync(file.fileno())
                file.seek(0)
                checksums[f"{name}.npy"] = hashlib.file_digest(file, "sha256").hexdigest()
        write_whole(part / CHECKSUMS, sealed(to_json(checksums)))
        sync_folder(part)
        part.rename(folder)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not folder.exists():
            raise
        return False
    sync_folder(folder.parent)
    return True


def make_root(root: Path) -> None:
    """Make the cache folder and say that it is one; CacheError for a folder of something else or another format."""
    marker = root / MARKER
    root.mkdir(parents=True, exist_ok=True)
    if not marker.exists():
        if any(path.name != MARKER and not path.name.startswith(f".{MARKER}.") for path in root.iterdir()) and not marker.exists():
            raise CacheError(f"{root}: is not empty and no emocache; give a new or empty folder as --cache")
        write_whole(marker, to_json({"format": FORMAT}))
    check_root(root)


@contextlib.contextmanager
def disk(root: Path, what: str) -> Iterator[None]:
    """Say in one line what to do when the disk refuses."""
    try:
        yield
    except OSError as error:
        raise CacheError(f"{root}: {what} cannot be written ({error.strerror or error}); {remedy(error)}") from error


def remedy(error: OSError) -> str:
    """What to do when the disk refused."""
    if error.errno in FULL:
        return "free some space, then repeat the command: it goes on here"
    if error.errno in {errno.ENOENT, errno.ESTALE}:
        return "it was removed or moved meanwhile; repeat the command"
    return "what was committed is safe"


def check_root(root: Path) -> None:
    """CacheError unless `root` is a cache of a format that this release reads."""
    if not (root / MARKER).is_file():
        raise CacheError(f"{root}: is no emocache (no emocache.json in it); `emocache extract` makes one")
    check_format(read_json(root / MARKER).get("format"), str(root))


def check_not_aside(paths: Paths) -> None:
    """CacheError when a feature set is not there because its rewriting was interrupted."""
    if paths.old.exists() and not paths.root.exists():
        name = f"{paths.root.parent.name}/{paths.root.name}"
        raise CacheError(f"{paths.root}: its rewriting was interrupted, and both copies are there; `emocache gc {name}` ends it")


def check_format(found: object, where: str) -> None:
    """CacheError unless `found` is a format that this release reads; NewerFormat when a later one may."""
    if found in FORMATS and type(found) is int:
        return
    what = f"{where}: has format {found!r}, this release of emocache reads {' and '.join(map(str, FORMATS))}"
    if isinstance(found, int) and found > FORMAT:
        raise NewerFormat(f"{what}; it was made by a newer one: upgrade emocache")
    raise CacheError(f"{what}; it is damaged")


def stored_dtype(array: str, dtype: str) -> Any:
    """What the Zarr array of that name holds, in a feature set stored as `dtype`."""
    return WIDE if array.endswith(WIDE_SUFFIX) else DTYPES[dtype]


def array_name(layer: int, *, wide: bool) -> str:
    """The Zarr array of a layer; the wide sibling holds the units that do not fit float16."""
    return f"{layer}{WIDE_SUFFIX}" if wide else str(layer)


def make_arrays(paths: Paths, cut: Level, layers: Iterable[int], shards: int, dtype: Any, *, wide: bool = False) -> None:
    """Make or lengthen the Zarr arrays of some layers of a level to `shards` shards."""
    import zarr
    from zarr.errors import ContainsArrayError, ContainsGroupError

    for folder in (paths.zarr, paths.zarr / cut.name):
        with contextlib.suppress(ContainsGroupError):  # another writer made it in this moment
            zarr.open_group(folder, mode="a")
    group = zarr.open_group(paths.zarr / cut.name, mode="r+")
    if group.attrs.get("about") != cut.about:
        group.attrs["about"] = cut.about
    shape = (shards * cut.shard_rows, cut.dim)
    for layer in layers:
        name = array_name(layer, wide=wide)
        if name not in group:
            with contextlib.suppress(ContainsArrayError):  # likewise
                group.create_array(name, shape=shape, **array_settings(cut, dtype, paths.format))
        elif isinstance(array := group[name], zarr.Array) and array.shape[0] < shape[0]:
            array.resize(shape)


def array_settings(cut: Level, dtype: Any, format_: int) -> dict[str, Any]:
    """What zarr is told of an array beside its shape: raw shards of the level's cut."""
    return {
        "dtype": dtype, "shards": (cut.shard_rows, cut.dim), "chunks": (cut.chunk_rows, cut.dim),
        "compressors": None, "filters": None, "fill_value": 0,
        "chunk_key_encoding": {"name": "default", "separator": SEPARATORS[format_]},
    }  # fmt: skip
