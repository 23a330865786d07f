"""The test part with the text of another feature set, such as that of a recogniser's transcripts: `--test-text CORPUS/NAME`.

That corpus has the same utterances under the same ids with other transcripts (`emocache transcribe` makes it), and its features were
made by the same encoder. A table of transcripts, `--test-text asr.csv`, means the corpus that has these. Nothing is learnt from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch.nn import functional as F

from emocache import transcripts
from emocache.errors import CacheError, UsageError
from emocache.store import Cache, Features
from heads.data import Input, Mapped, PackedTensor
from heads.material import Material, load_input
from heads.views import originals

TABLE = ".csv"
"""How the name of a table ends."""


def others(cache: Cache, asked: str | None, sets: Sequence[Features], inputs: Sequence[Input], material: Material) -> dict[int, Features]:
    """The feature set that stands for the text input, by the place of that; nothing where none is asked for.

    UsageError where there is no such input or it was made otherwise, CacheError where utterances are lacking.
    """
    if asked is None:
        return {}
    texts = [i for i, one in enumerate(inputs) if one.text]
    if len(texts) != 1:
        raise UsageError(f"--test-text {asked}: {len(texts)} of the encoders given are of text, expected one")
    (at,) = texts
    found = _of_table(cache, asked, sets[at], material) if asked.lower().endswith(TABLE) else _named(cache, asked)
    _check_alike(found, sets[at], asked)
    ids = [one.id for one in originals(material.utterances)]
    held = set(found.held(inputs[at].level, inputs[at].layers))
    if missing := [one for one in ids if one not in held]:
        raise CacheError(f"--test-text {asked}: no {inputs[at].level} of {len(missing)} of {len(ids)} utterances, first {missing[0]}")
    return {at: found}


def _named(cache: Cache, asked: str) -> Features:
    """CORPUS/NAME."""
    corpus, slash, name = asked.partition("/")
    if not slash or not name:
        raise UsageError(
            f"--test-text {asked}: expected CORPUS/NAME, a feature set of the same utterances with other transcripts, or a table *{TABLE}"
        )
    return cache.features(corpus, name)


def _of_table(cache: Cache, asked: str, usual: Features, material: Material) -> Features:
    """The features, called as the usual ones, of a corpus whose utterances are in the words of a table."""
    texts, spoken = transcripts.read_csv(Path(asked)), originals(material.utterances)
    if missing := [one.id for one in spoken if one.id not in texts]:
        raise UsageError(f"--test-text {asked}: no transcript of {len(missing)} of {len(spoken)} utterances, first {missing[0]}; add them")
    ids = {one.id for one in spoken}
    for corpus in cache.corpora():
        if corpus != usual.corpus and usual.name in cache.names(corpus):
            there = [one for one in cache.corpus(corpus).utterances if one.id in ids]
            if len(there) == len(ids) and transcripts.same(there, texts):
                found = cache.features(corpus, usual.name)
                found.check(there)
                return found
    name = f"{usual.corpus}-{Path(asked).stem}"
    raise UsageError(
        f"--test-text {asked}: no features of these words are in the cache; run `emocache transcribe --corpus {usual.corpus} "
        f"--from {asked} --name {name}`, then {replace(usual.card, corpus=name).again(usual.name)}"
    )


def load(features: Features, one: Input, ids: Sequence[str], device: torch.device) -> PackedTensor | Mapped:
    """The rows of the utterances `ids`; those that are not there, views among them, have none."""
    there = set(features.held(one.level, one.layers))
    held = [name for name in ids if name in there]
    packed = load_input(features, one, held, device)
    lengths = packed.offsets.new_zeros(len(ids))
    lengths[torch.tensor([name in there for name in ids], device=device)] = packed.offsets.diff()
    offsets = F.pad(lengths.cumsum(0), (1, 0))
    if isinstance(packed, Mapped):
        return replace(packed, ids=tuple(ids), offsets=offsets)
    return PackedTensor(packed.values, offsets)


def _check_alike(found: Features, usual: Features, asked: str) -> None:
    """UsageError for features of another encoder, or of one that was run otherwise."""
    if found.card.modality != "text":
        raise UsageError(f"--test-text {asked}: was made from {found.card.modality}, not from text")
    for part in ("weights", "configuration", "preprocessing", "layer_rule"):
        if getattr(found.card.key, part) != getattr(usual.card.key, part):
            raise UsageError(f"--test-text {asked}: has another {part} than {usual.corpus}/{usual.name}; extract it with the same model")


def notes(tested: Mapping[int, Features], inputs: Sequence[Input]) -> Iterator[str]:
    """In words, what was predicted from what."""
    for at, features in tested.items():
        yield f"the test part is predicted with the text of {features.corpus}/{features.name}; all else has that of {inputs[at].name}"
