"""Cached features held against what they were made from: audio or text as they are now, and the encoder run once more.

An utterance that is encoded alone may differ from its stored rows a in two ways, which are added up; b is the second
encoding, h the encoder's hidden states of that layer, from which b is pooled or which b is:

    max|a - b|  <=  COMPUTING[precision] max|h|  +  2^-11 max|b| + 2^-25

The first part is what other batch mates, padding, threads and devices do to sums in that precision. Pooling adds nothing
to it: neither a mean nor a standard deviation moves further than the values that it is taken over. The second is the
rounding to float16: half of its last bit, which is 2^-11 of a value at most, and 2^-25 below its smallest normal ones.
Where float32 is stored there is none.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from emocache import audio, encoders, manifest
from emocache.care.findings import Finding
from emocache.devices import pick_device
from emocache.encoders import Encoder
from emocache.errors import AudioError, CacheError, CorpusError, KeyMismatch
from emocache.heard import HEARD
from emocache.levels import Level, levels_of, pooled
from emocache.pipeline import key_of
from emocache.segments import stored_segments
from emocache.store import Features, text_digest
from emocache.store.card import IMPORTED, differing
from emocache.store.layout import SOURCE, Paths
from emocache.types import Corpus, Utterance

COMPUTING: Mapping[str, float] = {"fp32": 1e-4, "tf32": 0.25, "fp16": 0.25, "bf16": 0.25}
"""Most that hidden states may move, as a part of their largest. Measured (benchmarks/RESULTS.md) with other kernels: 3e-5 in
fp32 and 0.09 in bf16, where a network has outliers. So in fp32 every damage beyond rounding is seen; in the others, what
comes from another layer or encoder.
"""


@dataclass(frozen=True, slots=True)
class SourceCheck:
    """Utterances whose features were compared with the audio or text that they have now; `changed` were made from another."""

    compared: int
    changed: tuple[str, ...]
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """How far stored rows of one utterance are from a second encoding, and how far they may be: parts of its largest value."""

    id: str
    level: str
    layer: int
    found: float
    allowed: float

    def __str__(self) -> str:
        return f"{self.id} {self.level}/{self.layer} ({self.found:.2g} of its largest value, {self.allowed:.2g} allowed)"

    @property
    def too_large(self) -> bool:
        """Whether these rows are not those of this encoder."""
        return not self.found <= self.allowed


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of comparing a feature set with its source (`absent` says why that was not to be had) and a second encoding."""

    path: Path
    source: SourceCheck | None = None
    absent: str | None = None
    differences: tuple[Difference, ...] = ()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Utterances that were made from something else, and rows that the encoder does not give."""
        found = []
        if self.source and self.source.changed:
            changed = self.source.changed
            what = f"{len(changed)} utterances (first {changed[0]!r}) were made from another source than they have now"
            found.append(Finding("audio", self.path, what))
        far = [one for one in self.differences if one.too_large]
        found += [Finding("encoding", self.path, f"{one} is not what the encoder gives now") for one in far]
        return tuple(found)

    @property
    def lines(self) -> list[str]:
        """What was compared, in words."""
        lines = [f"source: not at hand ({self.absent})"] if self.absent else []
        if self.source:
            unreadable = self.source.unreadable
            lines.append(
                f"source: {self.source.compared} utterances compared" + (f", {len(unreadable)} cannot be read" if unreadable else "")
            )
        if self.differences:
            count = f"{len({one.id for one in self.differences})} utterances, {len(self.differences)} layers"
            lines.append(f"encoded again: {count}; closest to what is allowed: {worst(self.differences)}")
        return lines


def prove(
    paths: Paths, data: Path, *, source: bool, again: int, seed: int, model: str | None = None, device: str | None = None
) -> Proof:  # fmt: skip
    """Compare a feature set with its source, where that is at hand, and with a second encoding of some utterances."""
    features = Features(paths)
    proof = Proof(paths.root)
    if features.card.digests == IMPORTED and (source or again):
        return replace(proof, absent="it was imported, and nobody knows how it was made")
    if source:
        try:
            corpus = at_hand(features, data)
        except CorpusError as error:
            proof = replace(proof, absent=str(error))
        else:
            proof = replace(proof, source=check_source(features, corpus, data))
    if again:
        encoder = load_encoder(features, model, device)
        proof = replace(proof, differences=tuple(reencode(features, at_hand(features, data), encoder, again, seed)))
    return proof


def at_hand(features: Features, data: Path) -> Corpus:
    """The prepared corpus of a feature set; CorpusError when it, or its audio, is not there."""
    corpus = manifest.load(data, features.corpus)
    if features.card.modality == "audio" and ("audio" in corpus.lacks or not corpus.audio_root.is_dir()):
        raise CorpusError(f"{corpus.audio_root}: the audio of {features.corpus} is not there")
    return corpus


def check_source(features: Features, corpus: Corpus, data: Path) -> SourceCheck:
    """Compare digests of decoded audio (or exact text) with what the features were made from."""
    held = set().union(*_held(features).values())
    unreadable: Mapping[str, str] = {}
    if features.card.modality == "text":
        now = {u.id: text_digest(u) for u in corpus.utterances}
    else:
        scanned, unreadable = audio.scan(corpus.utterances, corpus.audio_root, data / corpus.name / HEARD)
        now = {u.id: str(u.audio_sha256) for u in scanned}
    known = {name: digest for name, digest in now.items() if name in held}
    changed = tuple(name for name, digest in known.items() if digest != features.made_from(name))
    return SourceCheck(len(known), changed, {name: reason for name, reason in unreadable.items() if name in held})


def load_encoder(features: Features, model: str | None = None, device: str | None = None) -> Encoder:
    """The encoder that features were made with; KeyMismatch by the fields that differ when it is another one by now."""
    card = features.card
    window_s = float(card.window) if card.window else None
    encoder = encoders.load(encoders.find(model or card.model), pick_device(device), card.key.precision, window_s=window_s)
    now = replace(card, key=replace(key_of(encoder, card.key.dtype), format=card.key.format))
    if found := differing(card, now):
        raise KeyMismatch(f"{features.corpus}/{features.name}: cannot be encoded again, since it was made with other {'; '.join(found)}")
    return encoder


def reencode(features: Features, corpus: Corpus, encoder: Encoder, count: int, seed: int) -> Iterator[Difference]:
    """Encode some random utterances alone and compare every stored layer; CacheError when their audio or text is another by now."""
    held, rules = _held(features), _rules(features, encoder)
    there = [utterance for utterance in corpus.utterances if any(utterance.id in names for names in held.values())]
    if not there:
        raise CorpusError(f"{corpus.name}: holds none of the utterances of {features.corpus}/{features.name}")
    chosen = random.Random(seed).sample(there, min(count, len(there)))
    for utterance in tqdm(chosen, f"encode {features.corpus}/{features.name} again", unit="utterance", delay=1, leave=False):
        hidden = encoder.encode([_source(features, corpus, utterance)], encoder.layers)[0].float()
        arrays = [array for array, names in held.items() if utterance.id in names]
        rows = pooled(rules, {level for level, _ in arrays}, hidden, utterance, features.card.key.dtype)
        for level, layer in arrays:
            at = encoder.layers.index(layer)
            yield _difference(features, utterance.id, level, layer, rows[level][at].cpu().numpy(), float(hidden[at].abs().max()))


def _rules(features: Features, encoder: Encoder) -> dict[str, Level]:
    """The rules of the levels that are stored; segments are where they were when they were stored."""
    stored = {name: stored_segments(encoder, name, features) for name in features.levels if SOURCE in name}
    return levels_of(encoder) | stored


def _held(features: Features) -> dict[tuple[str, int], set[str]]:
    """The utterances that each level and layer holds."""
    return {(level, layer): set(features.held(level, [layer])) for level in features.levels for layer in features.layers_of(level)}


def _source(features: Features, corpus: Corpus, utterance: Utterance) -> Any:
    """What the encoder is given."""
    where = f"{features.corpus}/{features.name}: {utterance.id}"
    source: Any = utterance.transcript or ""
    digest = text_digest(utterance)
    if features.card.modality == "audio":
        try:
            source = audio.load_utterance(utterance, corpus.audio_root)
        except AudioError as error:
            raise CorpusError(f"{where} cannot be encoded again: {error}") from None
        digest = audio.digest(source)
    if digest != features.made_from(utterance.id):
        raise CacheError(f"{where} was made from other {features.card.modality} than it has now; extract again, or see with --audio which")
    return source


def _difference(features: Features, name: str, level: str, layer: int, again: NDArray[np.float32], largest: float) -> Difference:
    """Compare one layer [rows, dim] of one utterance; `largest` is that of the hidden states."""
    stored = features.read(name, level, [layer])[0].astype(np.float64)
    scale = float(np.abs(again).max()) or 1.0
    if stored.shape != again.shape:
        return Difference(name, level, layer, float("inf"), 0.0)
    beneath = 0.0 if level == features.native else largest  # what is pooled was rounded before
    rounding = 2**-11 * (scale + beneath) + 2**-25 if features.card.key.dtype == "fp16" else 0.0
    allowed = COMPUTING[features.card.key.precision] * largest + rounding
    return Difference(name, level, layer, float(np.abs(stored - again).max()) / scale, allowed / scale)


def worst(differences: Sequence[Difference]) -> Difference:
    """The one that is closest to, or furthest above, what it may be."""
    return max(differences, key=lambda one: one.found / one.allowed if one.allowed else float("inf") if one.found else 0.0)
