"""Passing features on: what is not there yet is sent, then the version is made, then `latest` moves.

Objects are named by their bytes, so whoever is killed on the way leaves some that nobody refers to, and the next push finds
them there. A version is created once and never changed. Of two that push at once both arrive, since `latest` is replaced only
as it was read, and otherwise read again; who wants a name that is taken is told.
"""

import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from tqdm import tqdm

from emocache import manifest
from emocache.errors import CacheError, EmocacheError
from emocache.share import citing, gate, policy, sharecard
from emocache.share.address import Address
from emocache.share.format import LATEST, Object, Version, read_json, read_latest, read_version, version_path
from emocache.share.outgoing import Outgoing, object_of, outgoing
from emocache.share.passing import patiently
from emocache.share.place import Target, open_target, read_small
from emocache.share.publish import Load, Source, publish
from emocache.share.shards import Shard, mapped, shard_file
from emocache.store.layout import Paths
from emocache.types import Corpus

THREADS = 8
"""Objects that are sent at once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """What the user says of passing on: what goes that goes only by name, further columns, and why it may."""

    asked: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sent:
    """What a push did: the version, its feature sets, the objects and bytes that were sent, those that were there, and warnings."""

    version: str
    features: tuple[str, ...]
    objects: int
    bytes: int
    there: int
    warnings: tuple[str, ...]


def push(address: Address, sets: Sequence[Paths], data: Path, consent: Consent, *, dry_run: bool = False) -> Sent:
    """Send feature sets of one cache, as they are now, as a version of `address`."""
    if not sets:
        raise CacheError("holds no features to push")
    allowed = {name: _allowed(name, sets, data, consent) for name in sorted({paths.root.parent.name for paths in sets})}
    target = open_target(address)
    with tempfile.TemporaryDirectory(prefix="emocache-push-") as folder:
        out = [outgoing(paths, allowed[paths.root.parent.name][1], Path(folder) / "sets") for paths in sets]
        there = patiently(target.objects)
        load = _load(out, allowed, _known(target, there), Path(folder) / "corpora")
        missing = {one: source for one, source in load.objects.items() if there.get(one.path) != one.size}
        sizes = (len(missing), sum(one.size for one in missing), len(load.objects) - len(missing))
        name = address.version
        if not dry_run:
            _send(target, missing, address.shown)
            name = publish(target, load, address.version)
    return Sent(
        version=name, features=tuple(one.name for one in out), objects=sizes[0], bytes=sizes[1], there=sizes[2],
        warnings=load.card.warnings,
    )  # fmt: skip


def _allowed(name: str, sets: Sequence[Paths], data: Path, consent: Consent) -> tuple[Corpus, policy.Allowed]:
    """A corpus, and what of it may go."""
    from emocache.store.card import read_card

    mine = [paths for paths in sets if paths.root.parent.name == name]
    corpus = manifest.load(mine[0].root.parents[1], name)
    if name in manifest.names(data):
        prepared = manifest.load(data, name)  # knows the audio too
        corpus = prepared if {one.id for one in prepared.utterances} == {one.id for one in corpus.utterances} else corpus
    cards = [read_card(paths.card) for paths in mine]
    return corpus, policy.allowed(corpus, cards, asked=consent.asked, columns=consent.columns, reason=consent.reason)


def _known(target: Target, there: Mapping[str, int]) -> dict[tuple[str, str], Object]:
    """Digests of rows that are there, by array of a feature set and what they are made of."""
    found: dict[tuple[str, str], Object] = {}
    try:
        latest = read_latest(read_small(target, LATEST), target.shown)
        for name in dict.fromkeys(latest.features.values()):
            version = read_version(read_small(target, version_path(name)), target.shown)
            for one in version.features.values():
                found |= {(array, one.made_of[array]): rows for array, rows in one.rows.items() if there.get(rows.path) == rows.size}
    except EmocacheError:
        return found  # what is not known is made anew; whatever is wrong there is said when `latest` is to move
    return found


def _load(
    out: Sequence[Outgoing],
    allowed: Mapping[str, tuple[Corpus, policy.Allowed]],
    known: Mapping[tuple[str, str], Object],
    folder: Path,
) -> Load:
    """The objects of a version, and the version without a name."""
    objects: dict[Object, Source] = {}
    features = {}
    arrays = [(one, array) for one in out for array in one.outlines]
    bar = tqdm(total=len(arrays), desc="looking through", unit="array", delay=1, leave=False)
    with bar, ThreadPoolExecutor(THREADS) as pool:
        made = pool.map(lambda pair: _rows(pair[0], pair[1], known, bar), arrays)
        rows: dict[str, dict[str, Object]] = {}
        for (one, array), (digests, source) in zip(arrays, made, strict=True):
            rows.setdefault(one.name, {})[array] = digests
            objects |= {digests: source} if source else {}
    for one in out:
        features[one.name] = one.described(rows[one.name])
        objects[features[one.name].pack] = partial(bytes, one.pack)
        for shards in one.shards.values():
            objects |= {Object(shard.sha256, shard.size): partial(_sound, one.paths, shard) for shard in shards}
    corpora = {}
    for name, (corpus, what) in allowed.items():
        files = _corpus_files(corpus, what, folder)
        corpora[name] = {file: digest for file, (digest, _) in files.items()}
        objects |= {digest: partial(Path, source) for digest, source in files.values()}
    card = _card(out, allowed)
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    plain = read_json(sharecard.to_bytes(card))
    return Load(objects, Version(name="unnamed", made=made_at, features=features, corpora=corpora, card=plain), card)


def _rows(one: Outgoing, array: str, known: Mapping[tuple[str, str], Object], bar: "tqdm[None]") -> tuple[Object, Source | None]:
    """The digests of an array's rows: those that are known, or made now."""
    bar.update()
    if found := known.get((array, one.of(array))):
        return found, None
    data = one.rows(array)
    return object_of(data), partial(bytes, data)


def _corpus_files(corpus: Corpus, allowed: policy.Allowed, folder: Path) -> dict[str, tuple[Object, Path]]:
    """The files of a corpus that go, by their names in its folder."""
    policy.write_public(corpus, allowed, folder)
    paths = {name: folder / corpus.name / name for name in (manifest.MANIFEST, manifest.CORPUS)}
    paths |= {f"{policy.AUDIO}/{name}": path for name, path in policy.audio_files(corpus, allowed).items()}
    return {name: (object_of(path.read_bytes()), path) for name, path in paths.items()}


def _sound(paths: Paths, shard: Shard) -> Path:
    """The file of a shard, once it was found to be what was committed."""
    path = shard_file(paths, shard)
    mapped(path, shard)
    return path


def _card(out: Sequence[Outgoing], allowed: Mapping[str, tuple[Corpus, policy.Allowed]]) -> sharecard.ShareCard:
    """What is said of it all."""
    corpora, features, warnings, entries = [], [], [], []
    for name, (corpus, what) in allowed.items():
        mine = [one for one in out if one.features.corpus == name]
        asks = what.share != policy.FREE
        corpora.append(sharecard.shared_corpus(corpus, what, gate.challenge(corpus, [one.features for one in mine]) if asks else None))
        levels = {level for one in mine for level in one.features.levels}
        warnings += policy.warnings([one.features.card for one in mine], levels, what)
        entries += [citing.of_corpus(corpus), *(citing.of_encoder(one.features.card.encoder) for one in mine)]
        for one in mine:
            layers = {level: one.features.layers_of(level) for level in one.features.levels}
            size = sum(shard.size for shards in one.shards.values() for shard in shards)
            features.append(sharecard.shared_features(one.features, layers, utterances=len(one.features.ids), size=size))
    return sharecard.share_card(corpora, features, warnings, [one.line for one in (citing.TOOL, *entries) if one])


def _send(target: Target, missing: Mapping[Object, Source], shown: str) -> None:
    """Send objects, several at once."""
    bar = tqdm(total=sum(one.size for one in missing), desc=f"push {shown}", unit="B", unit_scale=True, delay=1, leave=False)

    def one(pair: tuple[Object, Source]) -> None:
        found, source = pair
        data = source()
        patiently(lambda: target.send(found.path, data))
        bar.update(found.size)

    with bar, ThreadPoolExecutor(THREADS) as pool:
        waiting = [pool.submit(one, pair) for pair in missing.items()]
        try:
            for future in waiting:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
