"""JSON from others into dataclasses: every field there and of its type, nothing else, all of it bounded and printable."""

import json
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from emocache.errors import CacheError

T = TypeVar("T")
LONGEST = 4096
"""Most characters of a text."""
MOST = 100_000
"""Most entries of a list or mapping."""


def parse(kind: type[T], data: bytes, where: str, most_bytes: int) -> T:
    """An object of a frozen dataclass; CacheError names the field that does not fit."""
    if len(data) > most_bytes:
        raise CacheError(f"{where}: has {len(data)} bytes, and none of these has more than {most_bytes}; it is not read")
    try:
        found: T = fitted(kind, json.loads(data, parse_constant=_no_number), where)
    except (ValueError, RecursionError) as error:
        raise CacheError(f"{where}: is no JSON that can be read ({type(error).__name__})") from None
    return found


def fitted(kind: Any, value: Any, where: str) -> Any:
    """A value in a type that a dataclass's field may have."""
    origin, inner = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _object(kind, value, where)
    if origin in {Union, types.UnionType}:
        return None if value is None else fitted(next(one for one in inner if one is not type(None)), value, where)
    if origin is tuple:
        return tuple(fitted(inner[0], one, f"{where}[{i}]") for i, one in enumerate(_bounded(list, value, where)))
    if origin is Mapping:
        found = _bounded(dict, value, where).items()
        return {_text(name, where): fitted(inner[1], one, f"{where}.{name[:40]!a}") for name, one in found}
    return _text(value, where) if kind is str else _number(kind, value, where)


def _number(kind: type, value: Any, where: str) -> Any:
    """A number, or a truth value, of that very type; a whole one where another may be."""
    if type(value) is int and kind is float and abs(value) < 2**53:
        return float(value)
    if type(value) is not kind:
        raise CacheError(f"{where}: is {type(value).__name__}, expected {kind.__name__}")
    return value


def _object(kind: Any, value: Any, where: str) -> Any:
    """A dataclass from an object with its fields; those with a default may be missing."""
    found, hints = _bounded(dict, value, where), get_type_hints(kind)
    if unknown := [name for name in found if name not in hints]:
        raise CacheError(f"{where}: has an unknown field {unknown[0][:40]!a}")
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    if absent := [name for name in needed if name not in found]:
        raise CacheError(f"{where}: has no field {absent[0]!r}")
    return kind(**{name: fitted(hints[name], one, f"{where}.{name}") for name, one in found.items()})


def _bounded(kind: type[list[Any]] | type[dict[str, Any]], value: Any, where: str) -> Any:
    """A list or mapping of no more than MOST."""
    if type(value) is not kind:
        raise CacheError(f"{where}: is {type(value).__name__}, expected {kind.__name__}")
    if len(value) > MOST:
        raise CacheError(f"{where}: has {len(value)} entries, and at most {MOST} are read")
    return value


def _text(value: Any, where: str) -> str:
    """A text that can be shown: no control characters, which could move a terminal's cursor, and not too long."""
    if type(value) is not str:
        raise CacheError(f"{where}: is {type(value).__name__}, expected str")
    if len(value) > LONGEST or not value.isprintable():
        raise CacheError(f"{where}: is a text of {len(value)} characters that is too long or cannot be shown")
    return value


def one_line(text: str) -> str:
    """A text as it can stand in a card: one line, without what cannot be shown, of LONGEST characters at most."""
    return "".join(letter for letter in " ".join(text.split()) if letter.isprintable())[:LONGEST]


def _no_number(text: str) -> None:
    """NaN and the infinities, which are no JSON."""
    raise ValueError(text)
