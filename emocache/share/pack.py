"""The small files of a feature set as one object: a line of JSON with names and sizes, then the files one after the other."""

import json
import re
from collections.abc import Mapping

from emocache.errors import ShareError
from emocache.share.format import LEVEL, MOST, read_json

COLUMN = r"column\.[a-z_]{1,40}"
FILE = re.compile(
    rf"card\.json|plan/[0-9]{{1,6}}/(?:sha256\.json|(?:ids|digests|units)\.npy|{LEVEL}/(?:sha256\.json|(?:start|length|shard|digests|{COLUMN})\.npy))"
    r"|commits/[0-9]{1,6}/[0-9]{1,9}\.json"
)
"""Every name that there can be: nothing absolute, no `..`, nothing outside of the feature set."""


def packed(files: Mapping[str, bytes]) -> bytes:
    """Files, by their names within the feature set, as one."""
    header = json.dumps([[name, len(data)] for name, data in files.items()], separators=(",", ":"))
    return header.encode() + b"\n" + b"".join(files.values())


def unpacked(data: bytes, where: str) -> dict[str, bytes]:
    """The files of a pack; ShareError when there is anything in it that is not one of them."""
    line, newline, rest = data.partition(b"\n")
    try:
        header = read_json(line)
        if not newline or not isinstance(header, list) or len(header) > MOST:
            raise ValueError("it has no list of its files")
        files: dict[str, bytes] = {}
        at = 0
        for name, size in header:
            if not isinstance(name, str) or not FILE.fullmatch(name) or name in files:
                raise ValueError(f"{str(name)[:80]!r} can be no file of it")
            if type(size) is not int or not 0 <= size <= len(rest) - at:
                raise ValueError(f"{name} cannot have {size} bytes")
            files[name] = rest[at : at + size]
            at += size
        if at != len(rest) or len({name.lower() for name in files}) != len(files):
            raise ValueError("its files are not those of its list")
    except (ValueError, TypeError) as error:
        raise ShareError(f"{where}: cannot be trusted ({str(error)[:200]}); nothing was changed") from None
    return files
