"""The card of a shared cache: `card.json` for machines, README.md for people; both say how features were made and what goes with them.

Neither ever holds a path, user, host or credential.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import emocache
from emocache import layers as layer_numbers
from emocache.corpora import CORPORA
from emocache.errors import CacheError, NewerFormat, UsageError
from emocache.places import plain_name
from emocache.share import policy
from emocache.share.gate import MOST_ASKED, Challenge
from emocache.share.policy import Allowed, without_folders
from emocache.share.typed import one_line, parse
from emocache.store import Features
from emocache.store.card import Card
from emocache.store.layout import LEVELS, kind_of, to_json
from emocache.types import PASSABLE, SHARES, Corpus

CARD, README = "card.json", "README.md"
FORMAT = 1
MOST_BYTES = 16 << 20
"""Most bytes of a card that is read."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedFeatures:
    """One feature set: how it was made, and what of it is there. `levels` maps levels to layers such as '0-12'; `commands` make it."""

    corpus: str
    name: str
    encoder: str
    origin: str
    revision: str
    weights: str
    licence: str
    modality: str
    dtype: str
    precision: str
    levels: Mapping[str, str]
    utterances: int
    bytes: int
    digest: str
    commands: tuple[str, ...]
    made_with: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedCorpus:
    """One corpus: its licence, what goes with the features (of PASSABLE) and what was left out, and proof that is asked for."""

    name: str
    licence: str
    share: str
    citation: str
    home: str
    reason: str
    utterances: int
    passes: tuple[str, ...]
    columns: tuple[str, ...]
    left_columns: tuple[str, ...]
    challenge: Challenge | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ShareCard:
    """All that is said of a shared cache."""

    format: int
    emocache: str
    corpora: tuple[SharedCorpus, ...]
    features: tuple[SharedFeatures, ...]
    warnings: tuple[str, ...]
    cite: tuple[str, ...]

    def corpus(self, name: str) -> SharedCorpus:
        """One of the corpora; CacheError for another."""
        for one in self.corpora:
            if one.name == name:
                return one
        raise CacheError(f"no corpus {name!r} there; there are: {', '.join(one.name for one in self.corpora)}")


def shared_features(features: Features, levels: Mapping[str, Sequence[int]], *, utterances: int, size: int) -> SharedFeatures:
    """What the card says of a feature set, of which `levels` (level -> layers), `utterances` and `size` bytes go."""
    card = public_card(features.card)
    return SharedFeatures(
        corpus=features.corpus,
        name=features.name,
        encoder=card.encoder,
        origin=card.origin,
        revision=card.revision,
        weights=card.key.weights,
        licence=card.encoder_licence,
        modality=card.modality,
        dtype=card.key.dtype,
        precision=card.key.precision,
        levels={level: layer_numbers.ranges(sorted(layers)) for level, layers in sorted(levels.items())},
        utterances=utterances,
        bytes=size,
        digest=features.digest,
        commands=tuple(card.commands(features.name, [(level, layer) for level, layers in levels.items() for layer in layers])),
        made_with=dict(card.made_with),
    )


def shared_corpus(corpus: Corpus, allowed: Allowed, challenge: Challenge | None) -> SharedCorpus:
    """What the card says of a corpus; `challenge` is needed where the corpus is not free."""
    if allowed.share != policy.FREE and challenge is None:
        raise UsageError(f"{corpus.name}: is not free, so its card must ask for proof that the audio is held")
    known = CORPORA[corpus.reader].INFO if corpus.reader in CORPORA else None
    return SharedCorpus(
        name=corpus.name,
        licence=one_line(allowed.licence),
        share=allowed.share,
        citation=one_line(allowed.citation),
        home=known.home if known and known.citation == corpus.citation else "",  # a look-alike is read as its model is
        reason=without_folders(one_line(allowed.reason)),
        utterances=len(corpus.utterances),
        passes=allowed.kinds,
        columns=tuple(map(one_line, allowed.columns)),
        left_columns=tuple(map(one_line, policy.left_columns(corpus, allowed))),
        challenge=challenge if allowed.share != policy.FREE else None,
    )


def share_card(
    corpora: Sequence[SharedCorpus], features: Sequence[SharedFeatures], warnings: Iterable[str], cite: Iterable[str]
) -> ShareCard:
    """The card of a version; `cite` are BibTeX entries, each in one line."""
    return ShareCard(
        format=FORMAT, emocache=emocache.__version__, corpora=tuple(corpora), features=tuple(features),
        warnings=tuple(dict.fromkeys(warnings)), cite=tuple(dict.fromkeys(cite)),
    )  # fmt: skip


def public_card(card: Card) -> Card:
    """A feature set's card without folders of whoever made it."""
    return replace(card, model=without_folders(card.model), origin=without_folders(card.origin), revision=without_folders(card.revision))


def to_bytes(card: ShareCard) -> bytes:
    """card.json."""
    return to_json(asdict(card)).encode()


def read(data: bytes, where: str) -> ShareCard:
    """A card from a remote. CacheError, in one line, for anything that is not one; NewerFormat for one of a later release."""
    if len(data) <= MOST_BYTES:
        _check_format(data, where)
    card = parse(ShareCard, data, where, MOST_BYTES)
    _check(card, where)
    return card


def _check_format(data: bytes, where: str) -> None:
    """NewerFormat before anything else is looked at."""
    try:
        found = json.loads(data)["format"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return
    if type(found) is int and found > FORMAT:
        raise NewerFormat(f"{where}: has format {found}, this release of emocache reads {FORMAT}; upgrade emocache")


def _check(card: ShareCard, where: str) -> None:
    """CacheError for what has the right types and cannot be."""
    if card.format != FORMAT:
        raise CacheError(f"{where}: has format {card.format}, expected {FORMAT}")
    names = [one.name for one in card.corpora]
    sets = [f"{one.corpus}/{one.name}" for one in card.features]
    try:
        for name in (*names, *(one.name for one in card.features)):
            plain_name(name, "name")
        for one in card.features:
            _check_levels(one, where)
    except UsageError as error:
        raise CacheError(f"{where}: {error}") from None
    if len({name.lower() for name in names}) < len(names) or len({name.lower() for name in sets}) < len(sets):
        raise CacheError(f"{where}: names a corpus or feature set twice")
    if strange := [one for one in card.features if one.corpus not in names]:
        raise CacheError(f"{where}: {strange[0].corpus}/{strange[0].name} is of no corpus that it names")
    for corpus in card.corpora:
        _check_corpus(corpus, f"{where}: {corpus.name}")


def _check_levels(one: SharedFeatures, where: str) -> None:
    """CacheError for levels that there are not, UsageError for layers that are no numbers."""
    if unknown := [level for level in one.levels if kind_of(level) not in LEVELS]:
        raise CacheError(f"{where}: {one.name}: no level {unknown[0]!a}")
    if one.utterances < 0 or one.bytes < 0 or not _DIGEST.fullmatch(one.digest):
        raise CacheError(f"{where}: {one.name}: its sizes or its digest cannot be")
    for layers in one.levels.values():
        layer_numbers.name_layers(layers)


def _check_corpus(corpus: SharedCorpus, where: str) -> None:
    """CacheError for a corpus that cannot be as it says."""
    if corpus.share not in SHARES or not set(corpus.passes) <= set(PASSABLE):
        raise CacheError(f"{where}: its licence or what goes with it is none that there is")
    if (corpus.share != policy.FREE) != (corpus.challenge is not None):
        raise CacheError(f"{where}: is {corpus.share}, which does not go with {'' if corpus.challenge else 'no '}proof being asked for")
    if corpus.challenge is not None:
        asked = corpus.challenge.asked
        if not 0 < len(asked) <= min(MOST_ASKED, corpus.challenge.of) or not all(_DIGEST.fullmatch(one.digest) for one in asked):
            raise CacheError(f"{where}: asks for proof of {len(asked)} of {corpus.challenge.of} utterances, which cannot be")
