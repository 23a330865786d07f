"""Where a shared cache lies, as it is typed, and how it may be shown: without what gives access to it."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from emocache.errors import UsageError
from emocache.files import first_line

KINDS = {"s3": "s3", "http": "http", "https": "http", "hf": "hub", "file": "folder"}
"""Scheme -> kind of place; what has no scheme is a folder."""
VERSION = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
"""What a version may be called."""


@dataclass(frozen=True, slots=True)
class Address:
    """A place of one of KINDS, and the version of what lies there ('' for the newest of everything)."""

    kind: str
    where: str
    version: str = ""

    @property
    def shown(self) -> str:
        """The place without user, password and signature."""
        return redacted(self.where)

    def typed(self, version: str) -> str:
        """A version of the place, as it is typed; whoever needs a user or signature for it gives their own.

        >>> Address("http", "https://me:secret@host?sig=abc").typed("v1")
        'https://host/@v1'
        """
        place = Path(self.where).expanduser().absolute() if self.kind == "folder" else self.shown.replace("***@", "", 1).partition("?")[0]
        slash = "/" if str(place).endswith(f"://{str(place).rpartition('/')[2]}") else ""
        return f"{place}{slash}@{version}"


def parse_address(text: str) -> Address:
    """A folder, s3://BUCKET/PREFIX, http(s)://HOST/PATH or hf://OWNER/NAME, each with or without @VERSION; else UsageError.

    >>> parse_address("s3://lab/emocache@2026-11")
    Address(kind='s3', where='s3://lab/emocache', version='2026-11')
    """
    scheme, mark, _ = text.partition("://")
    kind = KINDS.get(scheme.lower()) if mark else "folder"
    if kind is None:
        raise UsageError(f"{redacted(text)}: {scheme}:// is not known; give a folder, s3://, http(s):// or hf://")
    if kind == "folder" and Path(text).expanduser().exists():
        return Address(kind, text)
    head, slash, last = text.rpartition("/")
    place, at, version = last.partition("?")[0].rpartition("@")
    if not at or head.endswith(":/"):  # the name of a host may follow a user's
        return _checked(Address(kind, text))
    if not re.fullmatch(VERSION, version) or version == "latest":
        raise UsageError(f"{redacted(text)}: {version!r} cannot be a version; use up to 64 letters, digits, '.', '_', '-'")
    return _checked(Address(kind, f"{head}{slash}{place}{last[len(place) + 1 + len(version) :]}", version))


def _checked(address: Address) -> Address:
    """The address, unless a part is missing that its kind needs."""
    if address.kind == "folder":
        return Address("folder", address.where.removeprefix("file://"), address.version)
    expected = {"s3": "s3://BUCKET/PREFIX", "http": "https://HOST/PATH", "hub": "hf://OWNER/NAME"}[address.kind]
    try:
        parts = urlsplit(address.where)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if address.kind == "s3" and "@" in parts.netloc:
        raise UsageError(f"{address.shown}: expected {expected}, or s3://BUCKET/@VERSION; credentials come from AWS_PROFILE and its kin")
    if not host or (
        address.kind == "hub" and not re.fullmatch(r"(datasets/|models/)?[\w.-]+/[\w.-]+", address.where.removeprefix("hf://"))
    ):
        raise UsageError(f"{address.shown}: expected {expected}, with @VERSION behind it or not")
    return address


def redacted(text: str) -> str:
    """Text without what gives access: users and passwords in URLs, and their query strings.

    >>> redacted("no answer from https://me:secret@host/a?sig=abc, tried twice")
    'no answer from https://***@host/a?***, tried twice'
    """
    text = re.sub(r"(\w+://)[^/\s?#]*@", r"\1***@", text)
    return re.sub(r"(\w+://[^\s?'\"]*)\?[^\s,'\")]+", r"\1?***", text)


def told(error: BaseException) -> str:
    """What somebody else's error says, in a line that can be shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in redacted(first_line(error)))[:300]
