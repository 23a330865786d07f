"""`emocache cite`: BibTeX for whatever was used. What belongs to heads and runs is brought in by cli.py."""

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from emocache.errors import CacheError, CorpusError, UsageError

if TYPE_CHECKING:
    from emocache.bibtex import Entry
    from emocache.store import Cache
    from emocache.types import Corpus

EXAMPLES = (
    "emocache cite",
    "emocache cite iemocap/hubert-large",
    "emocache cite runs/linear-iemocap-loso-1a2b3c4d",
    "emocache cite tdfnet wavlm-large",
)
Found = tuple[str, "Entry | None"]
"""A name, and what to cite for it, if that is known."""


def opened(cache: Path | None) -> "Cache | None":
    """The cache, if there is one: encoders can be cited without."""
    from emocache.store import open_cache

    try:
        return open_cache(cache)
    except CacheError:
        return None


def of_name(name: str, cache: "Cache | None") -> list[Found]:
    """Of an encoder, a corpus or CORPUS/FEATURES. UsageError for a name that is none of these."""
    from emocache.encoders.catalogue import ENCODERS
    from emocache.share import citing

    if name in ENCODERS:
        return [(name, citing.of_encoder(name))]
    corpus, slash, features = name.partition("/")
    if slash and cache and corpus in cache.corpora():
        return [of_features(corpus, features, cache), of_corpus(corpus, cache)]
    found = of_corpus(name, cache)
    if found[1] is None and not (cache and name in cache.corpora()):
        raise UsageError(
            f"{name!r}: is no encoder, head, run, corpus or CORPUS/FEATURES; `emocache encoders`, `heads`, `corpora` and `ls` list them"
        )
    return [found]


def of_features(corpus: str, features: str, cache: "Cache | None") -> Found:
    """Of what made a feature set, by the cache or else by its name."""
    from emocache.share import citing

    encoder = features
    if cache and corpus in cache.corpora():
        try:
            encoder = cache.features(corpus, features).card.encoder
        except CacheError:
            encoder = features
    return f"encoder {encoder}", citing.of_encoder(encoder)


def of_corpus(name: str, cache: "Cache | None", data: Path = Path("data")) -> Found:
    """Of a corpus: as it was prepared, as the cache has it, or as its reader knows it."""
    from emocache import bibtex, manifest
    from emocache.corpora import CORPORA
    from emocache.share import citing

    look_ups: list[Callable[[str], Corpus]] = [partial(manifest.load, data), *([cache.corpus] if cache else [])]
    for look_up in look_ups:
        try:
            entry = citing.of_corpus(look_up(name))
        except (CorpusError, UsageError):
            continue
        if entry:
            return f"corpus {name}", entry
    info = CORPORA[name].INFO if name in CORPORA else None
    return f"corpus {name}", bibtex.of_corpus(name, info.citation, info.home.split(" ")[0]) if info and info.citation else None


def everything(cache: "Cache | None") -> list[Found]:
    """Of all that the cache holds; CacheError where there is none."""
    if cache is None:
        raise CacheError("there is no cache to cite; name encoders, heads, corpora or runs")
    names = [(corpus, name) for corpus in cache.corpora() for name in cache.names(corpus)]
    return [of_features(corpus, name, cache) for corpus, name in names] + [of_corpus(corpus, cache) for corpus in cache.corpora()]


def lines(found: Iterable[Found]) -> tuple[list[str], list[str]]:
    """BibTeX entries, each once, emocache's own last; and of what nothing is known."""
    from emocache.share.citing import TOOL

    named = list(found)
    entries = dict.fromkeys([*(entry.text for _, entry in named if entry), TOOL.text])
    return list(entries), list(dict.fromkeys(name for name, entry in named if entry is None))
