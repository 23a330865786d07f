"""Having features brought: what is wanted is worked out from plan and commits, comes into a hidden folder, and is taken in when whole.

latest.json -> versions/NAME.json -> the packs of the feature sets wanted -> shards and rows -> the cache
"""

import hashlib
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from emocache import manifest, places
from emocache.errors import CacheError, ShareError
from emocache.share import gate, policy, sharecard
from emocache.share.address import Address
from emocache.share.adopt import adopt, alike
from emocache.share.arrival import Arrival
from emocache.share.arrived import arrived
from emocache.share.choice import Here, choose
from emocache.share.corpora import Origin, others_labels, save, widest
from emocache.share.fetch import Rows, bring, small_object
from emocache.share.format import Object, SharedSet, Version
from emocache.share.offer import Offer, card_of, offer
from emocache.share.pack import unpacked
from emocache.share.place import SMALL
from emocache.share.shards import Outline, Shard, read_table
from emocache.share.staged import lay_out
from emocache.share.staging import STAGING, staging
from emocache.share.wish import Wish, check_found, chosen_sets, wanted_arrays, wanted_ids
from emocache.store import Features
from emocache.store.index import Index, read_index
from emocache.store.layout import Paths, make_root
from emocache.store.pulled import Pulled, write_pulled
from emocache.types import Corpus

MOST_PACK = 4 << 30
"""Most bytes of a pack or a table of digests."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Came:
    """What a pull did for one feature set: the bytes that had to come, units and rows, and what the cache holds of it now.

    `left_out`: it has none of the levels and layers that were asked for, so nothing of it is taken in.
    `labels` is the version that its corpus's manifest came from, where that is not the set's own and says otherwise.
    """

    features: str
    version: str
    bytes: int
    units: int
    rows: int
    utterances: int
    planned: int
    left_out: bool = False
    labels: str = ""


def pull(address: Address, root: Path, wish: Wish, audio_root: Path | None, *, dry_run: bool = False) -> list[Came]:
    """Bring what is wished for into the cache at `root`; in a dry run only the small files come, and go again."""
    if dry_run and not root.exists():
        with tempfile.TemporaryDirectory(prefix="emocache-pull-") as nowhere:
            return pull(address, Path(nowhere), wish, audio_root, dry_run=True)
    there = offer(address)
    names = chosen_sets(wish, there.features, address.shown)
    origins = {(name.partition("/")[0], there.features[name].name): there.features[name] for name in names}
    cards = {origin: card_of(there.place, version, origin[0]) for origin, version in origins.items()}
    for (corpus, _), said in cards.items():
        if said.challenge is not None:
            gate.check(said.challenge, corpus, said.licence, audio_root)
    make_root(root)
    with staging(root) as own:
        pulls = _Pull(address, there, root, own, wish, len(names) == 1)
        corpora = {origin: pulls.corpus(said, origins[origin]) for origin, said in cards.items()}
        arrivals = [pulls.arrival(name, corpora[name.partition("/")[0], there.features[name].name]) for name in names]
        check_found(
            wish,
            (level for one in arrivals for level in one.arrival.features.levels),
            any(one.arrival.outlines for one in arrivals),
            address.shown,
        )
        kept = widest(corpora, origins)
        pulls.check_room(arrivals, kept)
        if not dry_run:
            pulls.bring(arrivals, {origin: corpora[origin] for origin in kept})
        return [replace(pulls.came(one, dry_run=dry_run), labels=others_labels(one.name, one.version, kept, origins)) for one in arrivals]


@dataclass(frozen=True)
class Incoming:
    """One feature set that is to come, and what of it."""

    name: str
    version: str
    shared: SharedSet
    arrival: Arrival

    @property
    def shards(self) -> list[Shard]:
        """The shards that come whole."""
        return [one for array, units in self.arrival.whole.items() for unit in units for one in self.arrival.outlines[array].shards(unit)]

    @property
    def row_bytes(self) -> int:
        """Bytes of the rows that come by themselves."""
        return sum(rows.edges[-1] for rows in self.arrival.rows)

    @property
    def bytes(self) -> int:
        """All that comes, less the small files."""
        return self.row_bytes + sum(one.size for one in self.shards)


class _Pull:
    """One pull: what came so far, and where it lies."""

    def __init__(self, address: Address, there: Offer, root: Path, staging: Path, wish: Wish, alone: bool) -> None:
        self._there, self._root, self._staging, self._wish, self._alone = there, root, staging, wish, alone
        self._address, self._objects = address, root / STAGING / "objects"
        self._audio: dict[Origin, dict[str, Object]] = {}

    def corpus(self, said: sharecard.SharedCorpus, version: Version) -> Corpus:
        """A corpus as a version has it, held against its card."""
        files, origin = version.corpora[said.name], (said.name, version.name)
        folder = self._staging / "corpora" / version.name
        (folder / said.name).mkdir(parents=True)
        for name in (manifest.MANIFEST, manifest.CORPUS):
            if name not in files:
                raise ShareError(f"{self._there.place.shown}: has no {name} of {said.name}; it cannot be trusted")
            (folder / said.name / name).write_bytes(small_object(self._there.place, files[name], SMALL * 16))
        try:
            found = arrived(folder, said)
        except CacheError as error:
            raise ShareError(f"{self._there.place.shown}: {str(error)[:300]}") from None
        self._audio[origin] = {name: one for name, one in files.items() if name.startswith(f"{policy.AUDIO}/")}
        if not self._wish.audio or not self._audio[origin]:
            self._audio[origin] = {}
            bare = tuple(replace(one, path="") for one in found.utterances)
            lacks = tuple(dict.fromkeys((*found.lacks, policy.AUDIO)))
            found = replace(found, utterances=bare, audio_root=Path(), lacks=lacks)
        return found

    def arrival(self, name: str, corpus: Corpus) -> Incoming:
        """What has to come of a feature set."""
        version = self._there.features[name]
        shared = version.features[name]
        where = f"{self._there.place.shown}: {name}"
        files = unpacked(small_object(self._there.place, shared.pack, MOST_PACK), where)
        features = lay_out(files, self._staging / "sets" / name, where)
        index = read_index(features.paths)
        if features.card.corpus != features.corpus:
            raise ShareError(f"{where}: is of corpus {features.card.corpus[:80]!a} by its card; it cannot be trusted")
        ids = wanted_ids(self._wish, corpus.utterances, corpus.name, alone=True)
        outlines = {one: Outline(features, index, one) for one in wanted_arrays(self._wish, features, self._alone)}
        here = self._here(name, features, index.digest)
        choice = choose(outlines, index, here, ids)
        rows = [self._rows(shared, name, outlines[array], index, places_) for array, places_ in choice.rows.items() if places_]
        groups = {one.id: one.session or one.fold or one.split or "" for one in corpus.utterances}
        arrival = Arrival(features, index, outlines, choice.whole, rows, here is None or here.alike, self._objects, groups)
        return Incoming(name, version.name, shared, arrival)

    def _here(self, name: str, features: Features, digest: str) -> Here | None:
        """The feature set that is in the cache already; CacheError when it was made in another way."""
        paths = Paths(self._root / name)
        if not paths.card.exists():
            return None
        from emocache.store.card import check_key

        mine = Features(paths)
        check_key(mine.card, features.card, name)
        index = read_index(mine.paths)
        return Here(mine, index, index.digest == digest or alike(index, read_index(features.paths)))

    def _rows(self, shared: SharedSet, name: str, outline: Outline, index: Index, wanted: Sequence[int]) -> Rows:
        """The rows of some utterances of one array, and the file that they are gathered in: the same one after an interruption."""
        array = "/".join(map(str, outline.array))
        if array not in shared.rows:
            raise ShareError(f"{self._there.place.shown}: has no digests of the rows of {name} {array}; pull it whole")
        digests = shared.rows[array]
        table = read_table(small_object(self._there.place, digests, MOST_PACK), len(index.names), f"{self._there.place.shown}: {name}")
        key = hashlib.sha256(f"{digests.sha256} {list(wanted)}".encode()).hexdigest()[:16]
        return Rows(self._root / STAGING / "rows" / f"{key}.{array.replace('/', '.')}", outline, index, wanted, table)

    def check_room(self, arrivals: Sequence[Incoming], kept: Iterable[Origin]) -> None:
        """ShareError when the disk cannot take what is to come; nothing of it was asked for yet."""
        audio = sum(one.size for origin in kept for one in self._audio[origin].values())
        needed, free = audio + sum(one.bytes + one.row_bytes for one in arrivals), places.free_bytes(self._root)
        if needed > free:
            raise ShareError(
                f"{self._root}: {needed / 1e9:.3g} GB are to come and {free / 1e9:.3g} GB are free; "
                "free some space, or ask for less with --layers, --levels or --sessions"
            )

    def bring(self, arrivals: Sequence[Incoming], corpora: Mapping[Origin, Corpus]) -> None:
        """Bring it all, then take it in: corpora first, so that no feature set is without labels."""
        objects = {Object(shard.sha256, shard.size): self._objects / shard.sha256 for one in arrivals for shard in one.shards}
        audio = {found: self._objects / found.sha256 for origin in corpora for found in self._audio[origin].values()}
        rows = [found for one in arrivals for found in one.arrival.rows]
        bring(self._there.place, objects | audio, rows, f"pull {self._there.place.shown}")
        for origin, corpus in corpora.items():
            save(self._root, corpus, {name: self._objects / one.sha256 for name, one in self._audio[origin].items()})
        for one in (one for one in arrivals if one.arrival.outlines):
            folder = self._staging / "new" / one.name.replace("/", "--")
            folder.mkdir(parents=True)
            adopt(self._root, one.arrival, folder)
            levels = {level: list(one.arrival.features.layers_of(level)) for level in one.arrival.features.levels}
            told = Pulled(source=self._address.typed(one.version), arrays=levels, utterances=len(one.arrival.features.ids))
            write_pulled(self._root / one.name, told)
        for path in [*objects.values(), *audio.values(), *(found.path for found in rows)]:
            path.unlink(missing_ok=True)

    def came(self, one: Incoming, *, dry_run: bool) -> Came:
        """What was done for a feature set."""
        whole = sum(map(len, one.arrival.whole.values()))
        rows = sum(len(found.places) for found in one.arrival.rows)
        paths = Paths(self._root / one.name)
        held = Features(paths) if not dry_run and paths.card.exists() else None
        return Came(
            features=one.name, version=one.version, bytes=one.bytes, units=whole, rows=rows,
            utterances=len(held.ids) if held else 0, planned=held.planned if held else one.arrival.features.planned,
            left_out=not one.arrival.outlines,
        )  # fmt: skip
