"""Making a version of what was sent, and having `latest` name it."""

import hashlib
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from emocache.errors import ShareError
from emocache.share import readme, sharecard
from emocache.share.format import LATEST, Latest, Object, Version, read_latest, read_version, version_path, written
from emocache.share.passing import patiently
from emocache.share.place import Target

TRIES = 20
"""How often others may be faster before a push gives up."""
Source = Callable[[], Path | bytes]
"""Where an object's bytes are; they are looked through when they are wanted."""


@dataclass(frozen=True, slots=True)
class Load:
    """Everything that a version needs: the objects by where they lie, and what is said of them."""

    objects: Mapping[Object, Source]
    version: Version
    card: sharecard.ShareCard


def publish(target: Target, load: Load, wanted: str) -> str:
    """Make the version and have `latest` name it; the version's name."""
    name = ""
    for _ in range(TRIES):
        found, tag = patiently(lambda: target.tagged(LATEST))
        latest = read_latest(found, f"{target.shown}: {LATEST}") if found is not None else Latest()
        if not wanted and not name and (same := _same(target, latest, load.version)):
            return same
        name = name or wanted or _free_name(latest)
        data = _created(target, replace(load.version, name=name))
        if data is None and not wanted:
            name = ""
            continue
        if data is None:
            raise ShareError(f"{target.shown}: has a version {name} of other contents, and versions never change; push as @ANOTHER-NAME")
        target.write(sharecard.CARD, sharecard.to_bytes(load.card))
        target.write(sharecard.README, readme.readme(load.card).encode())
        if target.swap(LATEST, written(_with(latest, replace(load.version, name=name), data)), tag):
            target.name_state(name)
            return name
    raise ShareError(f"{target.shown}: others push there all the time; what was sent is there, so repeat the command")


def _created(target: Target, version: Version) -> bytes | None:
    """The bytes of the version of that name, made now or there already with the same contents; None where it has others."""
    data = written(version)
    if target.create(version_path(version.name), data):
        return data
    there, _ = target.tagged(version_path(version.name))
    if there is None:
        return None
    known = read_version(there, f"{target.shown}: {version_path(version.name)}")
    return there if (known.features, known.corpora) == (version.features, version.corpora) else None


def _same(target: Target, latest: Latest, version: Version) -> str:
    """The version that `latest` names for all of this one's feature sets and corpora, where it has the same contents; else ''."""
    named = {latest.features.get(name, "") for name in version.features} | {latest.corpora.get(name, "") for name in version.corpora}
    if len(named) != 1 or not (name := named.pop()):
        return ""
    there, _ = target.tagged(version_path(name))
    known = read_version(there, f"{target.shown}: {version_path(name)}") if there is not None else None
    same = known is not None and all(known.features.get(one) == found for one, found in version.features.items())
    return name if same and known is not None and all(known.corpora.get(one) == files for one, files in version.corpora.items()) else ""


def _free_name(latest: Latest) -> str:
    """A name by date and time."""
    base = datetime.now(UTC).strftime("%Y-%m-%d-%H%M%S")
    return base if base not in latest.versions else f"{base}-{secrets.token_hex(2)}"


def _with(latest: Latest, version: Version, data: bytes) -> Latest:
    """The list of the latest with one version more."""
    return Latest(
        features={**latest.features, **dict.fromkeys(version.features, version.name)},
        corpora={**latest.corpora, **dict.fromkeys(version.corpora, version.name)},
        versions={**latest.versions, version.name: hashlib.sha256(data).hexdigest()},
    )
