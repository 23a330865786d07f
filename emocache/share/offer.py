"""What there is at an address: the newest of every feature set, or one version."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from emocache.errors import CacheError, ShareError
from emocache.share import sharecard
from emocache.share.address import Address
from emocache.share.format import LATEST, Latest, Version, read_latest, read_version, version_path
from emocache.share.passing import patiently
from emocache.share.place import Missing, Place, open_place, read_small
from emocache.store.layout import MARKER, to_json


@dataclass(frozen=True)
class Offer:
    """What a place holds: feature sets to the version that is asked for, or that brought them last."""

    place: Place
    features: Mapping[str, Version]


def offer(address: Address) -> Offer:
    """What there is at an address. ShareError when that is no shared cache, or nothing that can be trusted."""
    place = open_place(address)
    if address.version:
        try:
            version = _version(place, address.version, None)
            return Offer(place, dict.fromkeys(version.features, version))
        except Missing:
            place = place.at(address.version)
    latest = _latest(place, address)
    if address.version and address.version in latest.versions:
        raise ShareError(f"{address.shown}: version {address.version} is listed, but it is not there")
    names = dict.fromkeys(latest.features.values())
    versions = {name: _version(place, name, latest.versions[name]) for name in names}
    features = {one: versions[name] for one, name in latest.features.items()}
    if lost := [one for one, version in features.items() if one not in version.features]:
        raise ShareError(f"{place.shown}: {LATEST} names {lost[0]}, which its version has not; it cannot be trusted")
    return Offer(place, features)


def _latest(place: Place, address: Address) -> Latest:
    """The list of the latest."""
    try:
        return read_latest(patiently(lambda: read_small(place, LATEST)), f"{place.shown}: {LATEST}")
    except Missing as error:
        if address.version:
            raise ShareError(f"{address.shown}: has no version {address.version!r}; `emocache ls {address.shown}` lists them") from None
        if LATEST not in str(error):
            raise
        if address.kind == "folder" and (Path(address.where).expanduser() / MARKER).exists():
            raise ShareError(f"{place.shown}: is a cache and needs no pull: give it as --cache, or set EMOCACHE_PATH") from None
        raise ShareError(f"{place.shown}: is no shared cache (no {LATEST} in it); `emocache push` makes one") from None


def _version(place: Place, name: str, sha256: str | None) -> Version:
    """One version; where its SHA-256 is known, only if it has that."""
    where = f"{place.shown}: {version_path(name)}"
    data = patiently(lambda: read_small(place, version_path(name)))
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        raise ShareError(f"{where}: is not what {LATEST} says (its SHA-256 differs); nothing was changed")
    version = read_version(data, where)
    if version.name != name:
        raise ShareError(f"{where}: calls itself {version.name}; it cannot be trusted")
    if lost := [one for one in version.features if one.partition("/")[0] not in version.corpora]:
        raise ShareError(f"{where}: says nothing of the corpus of {lost[0]}; it cannot be trusted")
    return version


def listed_versions(address: Address) -> list[str]:
    """The versions that a place lists, oldest first."""
    return list(_latest(open_place(replace(address, version="")), address).versions)


def card_of(place: Place, version: Version, name: str) -> sharecard.SharedCorpus:
    """What a version's card says of a corpus."""
    where = f"{place.shown}: the card of {version.name}"
    try:
        return sharecard.read(to_json(version.card).encode(), where).corpus(name)
    except CacheError as error:
        raise ShareError(str(error)[:400]) from None
