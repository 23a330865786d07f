"""A place where a shared cache lies: what can be read there, and where it can be written, what that takes.

Names are relative, with slashes (`objects/ab/abcd...`); they are ours, never a remote's. Whatever goes wrong is a
ShareError; one that another attempt may mend is a Passing.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

from emocache.errors import ShareError, UsageError
from emocache.share.address import Address


class Passing(ShareError):
    """A failure of the moment: no answer, a connection that broke, a server that is busy."""


class Missing(ShareError):
    """There is no such file."""


class Place(Protocol):
    """What can be read. `shown` is how messages call it."""

    shown: str

    def stream(self, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes of a file from `start` up to `stop` (to the end where None), in pieces; Missing where there is none.

        What comes may be shorter or longer than asked for: whoever reads counts.
        """

    def at(self, version: str) -> "Place":
        """The same place as it was when something there was called `version`, where it keeps such states itself; else itself."""


class Target(Place, Protocol):
    """Where can be written, too."""

    def objects(self) -> Mapping[str, int]:
        """The objects that are there, whole: name -> bytes."""

    def send(self, name: str, data: Path | bytes) -> None:
        """Put an object there. Nobody sees a part of it."""

    def create(self, name: str, data: bytes) -> bool:
        """Put a small file there; False, and nothing done, where there is one."""

    def write(self, name: str, data: bytes) -> None:
        """Put a small file there, or in the place of the one that is."""

    def tagged(self, name: str) -> tuple[bytes | None, object]:
        """A small file (None where there is none), and what `swap` must be given."""

    def swap(self, name: str, data: bytes, tag: object) -> bool:
        """Replace a small file; False, and nothing done, when it is no longer the one that had this tag."""

    def name_state(self, version: str) -> None:
        """Give the state that was just made a name, where the place has such names."""


SMALL = 64 << 20
"""Most bytes of a file that is read whole before anything is known of it."""


def read_small(place: Place, name: str, most: int = SMALL) -> bytes:
    """All of a small file; ShareError when it is longer than it may be."""
    found = bytearray()
    for piece in place.stream(name, 0, None):
        found += piece
        if len(found) > most:
            raise ShareError(f"{place.shown}: {name} is longer than {most} bytes; it cannot be one of emocache's")
    return bytes(found)


def open_place(address: Address) -> Place:
    """The place of an address, to be read; nothing is asked of it yet."""
    if address.kind == "http":
        from emocache.share.web import Web

        return Web(address.where)
    return open_target(address)


def open_target(address: Address) -> Target:
    """The place of an address, to be written."""
    if address.kind == "http":
        raise UsageError(f"{address.shown}: HTTP is for reading alone; push to a folder, s3:// or hf://, and serve that")
    if address.kind == "s3":
        from emocache.share.s3 import Bucket

        return Bucket(address.where)
    if address.kind == "hub":
        from emocache.share.hub import Repository

        return Repository(address.where)
    from emocache.share.folder import Folder

    return Folder(Path(address.where).expanduser())
