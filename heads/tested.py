"""The test part with the text of another feature set, such as that of a recogniser's transcripts: `--test-text CORPUS/NAME`.

That corpus has the same utterances under the same ids with other transcripts (`emocache prepare` makes it from a table), and
its features were made by the same encoder. Nothing is learnt from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch.nn import functional as F

from emocache.errors import CacheError, UsageError
from emocache.store import Cache, Features
from heads.data import Input, Mapped, PackedTensor
from heads.material import Material, load_input
from heads.views import originals


def others(cache: Cache, asked: str | None, sets: Sequence[Features], inputs: Sequence[Input], material: Material) -> dict[int, Features]:
    """The feature set that stands for the text input, by the place of that; nothing where none is asked for.

    UsageError where there is no such input or it was made otherwise, CacheError where utterances are lacking.
    """
    if asked is None:
        return {}
    corpus, slash, name = asked.partition("/")
    if not slash or not name:
        raise UsageError(f"--test-text {asked}: expected CORPUS/NAME, a feature set of the same utterances with other transcripts")
    texts = [i for i, one in enumerate(inputs) if one.text]
    if len(texts) != 1:
        raise UsageError(f"--test-text {asked}: {len(texts)} of the encoders given are of text, expected one")
    (at,) = texts
    found = cache.features(corpus, name)
    _check_alike(found, sets[at], asked)
    ids = [one.id for one in originals(material.utterances)]
    held = set(found.held(inputs[at].level, inputs[at].layers))
    if missing := [one for one in ids if one not in held]:
        raise CacheError(f"--test-text {asked}: no {inputs[at].level} of {len(missing)} of {len(ids)} utterances, first {missing[0]}")
    return {at: found}


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
