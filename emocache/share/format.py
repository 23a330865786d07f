"""What lies in a shared cache, and reading it as something that anybody may have written.

    objects/9f/9f86d081...    shards, packs of plan and commits, digests of rows, manifests of corpora: named by their SHA-256
    versions/2026-11.json     what one push brought; made once, never changed
    latest.json               for every feature set and corpus the version that brought it last; moved last
    card.json  README.md      the same for people, of the last push

The pack of a feature set holds its card, plan and commit entries, so whoever has it knows every shard by its SHA-256, and the
row that every utterance begins at. For each array there are the SHA-256 of the rows of every planned utterance, so that a part
of a shard can be checked.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from emocache.errors import ShareError
from emocache.share.address import VERSION
from emocache.store.layout import LEVELS, to_json
from emocache.store.seal import SEALED, is_sealed, sealed

FORMAT = 1
LATEST = "latest.json"
NAME = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}"
"""What a corpus or feature set may be called: no slash, nothing hidden, nothing beyond ASCII that another system would see as equal."""
LEVEL = rf"(?:{'|'.join(LEVELS)})(?:@[A-Za-z0-9_][A-Za-z0-9._+-]{{0,99}})?"
ARRAY = rf"{LEVEL}/[0-9]{{1,4}}"
CORPUS_FILE = r"manifest\.csv|corpus\.json|audio/[0-9]{7}(?:\.[a-z0-9]{1,8})?"
MOST = 1_000_000
"""Most entries of a list."""
MOST_BYTES = 1 << 60
"""Most that a file can be said to have."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Object:
    """Bytes by their SHA-256 and how many there are."""

    sha256: str
    size: int

    @property
    def path(self) -> str:
        """Where they lie."""
        return object_path(self.sha256)


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedSet:
    """A feature set: the pack of its small files, digests of rows by array ('frames/12'), and for people what it holds.

    `made_of` says what these digests are made of, so that a push knows which to make anew. `arrays` counts the bytes of each
    array, `complete` the utterances with rows in all of them, out of `planned`.
    """

    pack: Object
    rows: Mapping[str, Object]
    made_of: Mapping[str, str]
    arrays: Mapping[str, int]
    complete: int
    planned: int
    dtype: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Version:
    """What a push brought: feature sets by CORPUS/NAME, the files of their corpora, and the card of it all."""

    name: str
    made: str
    features: Mapping[str, SharedSet]
    corpora: Mapping[str, Mapping[str, Object]]
    card: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Latest:
    """Feature set, and corpus, to the version that brought it last; and every version by its SHA-256, oldest first."""

    features: Mapping[str, str] = field(default_factory=dict)
    corpora: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)


def object_path(sha256: str) -> str:
    """Where an object lies."""
    return f"objects/{sha256[:2]}/{sha256}"


def version_path(name: str) -> str:
    """Where a version lies."""
    return f"versions/{name}.json"


def written(value: Version | Latest) -> bytes:
    """A version or the list of the latest, as it is stored."""
    return sealed(to_json(asdict(value) | {"format": FORMAT})).encode()


def read_version(data: bytes, where: str) -> Version:
    """A version; ShareError when it is none that can be trusted."""
    return _read(data, where, _version)


def read_latest(data: bytes, where: str) -> Latest:
    """The list of the latest; likewise."""
    return _read(data, where, _latest)


class _UnfitError(Exception):
    """What is wrong with a value."""


def read_json(data: bytes) -> Any:
    """JSON in which no name stands twice; ValueError for anything else."""
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
    except RecursionError:
        raise ValueError("is nested too deeply") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number")


def _read(data: bytes, where: str, make: Callable[[dict[str, Any]], T]) -> T:
    try:
        text = data.decode("utf-8")
        found = read_json(data)
        if not isinstance(found, dict) or not is_sealed(text):
            raise _UnfitError("it is not what was written")
        if type(found.get("format")) is int and found["format"] > FORMAT:
            raise ShareError(f"{where}: was written by a newer release; upgrade emocache")
        if found.get("format") != FORMAT or type(found["format"]) is not int:
            raise _UnfitError("its format is none")
        return make({key: value for key, value in found.items() if key not in {"format", SEALED}})
    except (_UnfitError, ValueError) as error:
        raise ShareError(f"{where}: cannot be trusted ({str(error)[:200]}); nothing was changed") from None


def _version(found: dict[str, Any]) -> Version:
    _fields(found, {"name", "made", "features", "corpora", "card"})
    return Version(
        name=_text(found["name"], VERSION),
        made=_text(found["made"], r"[0-9T:+Z.-]{1,40}"),
        features=_mapping(found["features"], f"{NAME}/{NAME}", _set),
        corpora=_mapping(found["corpora"], NAME, lambda files: _mapping(files, CORPUS_FILE, _object)),
        card=_plain(found["card"]),
    )


def _latest(found: dict[str, Any]) -> Latest:
    _fields(found, {"features", "corpora", "versions"})
    latest = Latest(
        features=_mapping(found["features"], f"{NAME}/{NAME}", lambda name: _text(name, VERSION)),
        corpora=_mapping(found["corpora"], NAME, lambda name: _text(name, VERSION)),
        versions=_mapping(found["versions"], VERSION, lambda digest: _text(digest, "[0-9a-f]{64}")),
    )
    if unknown := ({*latest.features.values(), *latest.corpora.values()} - set(latest.versions)):
        raise _UnfitError(f"version {min(unknown)} is not listed")
    return latest


def _set(value: object) -> SharedSet:
    found = _fields(value, {"pack", "rows", "made_of", "arrays", "complete", "planned", "dtype"})
    return SharedSet(
        pack=_object(found["pack"]),
        rows=_mapping(found["rows"], ARRAY, _object),
        made_of=_mapping(found["made_of"], ARRAY, lambda digest: _text(digest, "[0-9a-f]{64}")),
        arrays=_mapping(found["arrays"], ARRAY, _number),
        complete=_number(found["complete"]),
        planned=_number(found["planned"]),
        dtype=_text(found["dtype"], "fp16|fp32"),
    )


def _object(value: object) -> Object:
    found = _fields(value, {"sha256", "size"})
    return Object(_text(found["sha256"], "[0-9a-f]{64}"), _number(found["size"]))


def _fields(value: object, names: set[str]) -> dict[str, Any]:
    """An object with exactly these fields."""
    if not isinstance(value, dict) or set(value) != names:
        raise _UnfitError(f"expected the fields {', '.join(sorted(names))}")
    return value


def _mapping(value: object, names: str, make: Callable[[Any], T]) -> dict[str, T]:
    """An object whose names all fit; none may be another one's on a disk that does not tell capitals apart."""
    if not isinstance(value, dict) or len(value) > MOST:
        raise _UnfitError("a list is missing or too long")
    folded: set[str] = set()
    for name in value:
        if not re.fullmatch(names, name):
            raise _UnfitError(f"{name[:80]!r} can be no name in it")
        folded.add(name.lower())
    if len(folded) != len(value):
        raise _UnfitError("two names differ in capitals alone")
    return {name: make(one) for name, one in value.items()}


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value <= MOST_BYTES:
        raise _UnfitError(f"{str(value)[:40]!r} is no size")
    return value


def _text(value: object, pattern: str) -> str:
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise _UnfitError(f"{str(value)[:80]!r} is not what may stand there")
    return value


def _plain(value: object) -> dict[str, Any]:
    """An object of which sharecard.py knows more. JSON can name halves of letters (surrogates), which no file can hold."""
    if not isinstance(value, dict):
        raise _UnfitError("its card is none")
    to_json(value).encode()
    return value
