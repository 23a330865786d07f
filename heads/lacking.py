"""What rows of a paper's table need and the cache does not hold, as the commands that make it: nothing is encoded unasked."""

import shlex
from collections.abc import Iterator, Mapping, Sequence

from emocache.errors import CacheError
from emocache.store import Cache, Features
from emocache.store.layout import SOURCE
from heads.material import wanted_layers


def commands(
    cache: Cache | None, corpus: str, needed: Mapping[str, Sequence[str]], ids: Sequence[str], layers: str = "blocks"
) -> list[str]:
    """The commands, in order, that give every encoder in `needed` its levels for all `ids`; without a cache all is lacking."""
    return [
        line for encoder, levels in needed.items() for line in _of_one(cache, corpus, encoder, list(dict.fromkeys(levels)), ids, layers)
    ]


def _of_one(cache: Cache | None, corpus: str, encoder: str, levels: list[str], ids: Sequence[str], layers: str) -> Iterator[str]:
    """The commands for one encoder."""
    features = _features(cache, corpus, encoder)
    only = [] if layers == "blocks" else ["--layers", layers]
    if features is None:
        yield shlex.join(["emocache", "extract", "--model", encoder, "--corpus", corpus, "--levels", ",".join(levels), *only])
        return
    native = [level for level in levels if SOURCE not in level]
    if lacking := [level for level in native if not _holds(features, level, ids, layers)]:
        yield from _extract(features, lacking, layers)
    if segments := [level for level in levels if SOURCE in level and not _holds(features, level, ids, layers)]:
        if features.native not in lacking and not _holds(features, features.native, ids, layers):
            yield from _extract(features, [features.native], layers)
        yield shlex.join(["emocache", "pool", f"{corpus}/{features.name}", "--levels", ",".join(segments)])


def _features(cache: Cache | None, corpus: str, encoder: str) -> Features | None:
    """The feature set, or None where there is none of that name; CacheError where several could be meant, or one is damaged."""
    if cache is None or corpus not in cache.corpora():
        return None
    try:
        return cache.features(corpus, encoder)
    except CacheError:
        if encoder in cache.names(corpus) or any(cache.features(corpus, name).card.encoder == encoder for name in cache.names(corpus)):
            raise
        return None


def _holds(features: Features, level: str, ids: Sequence[str], layers: str) -> bool:
    """Whether a level has the layers for all of these utterances, less those that could not be encoded."""
    return level in features.levels and {*features.held(level, wanted_layers(features, layers)), *features.failures} >= set(ids)


def _extract(features: Features, levels: Sequence[str], layers: str) -> list[str]:
    """The extraction of levels as the feature set was made; CacheError for an imported one, of which not all is known."""
    arrays = [(level, layer) for level in levels for layer in wanted_layers(features, layers)]
    if not (lines := features.card.commands(features.name, arrays)):
        raise CacheError(f"{features.corpus}/{features.name}: {', '.join(levels)} not complete; {features.again(arrays)}")
    return lines
