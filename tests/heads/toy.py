"""A tiny corpus whose features hold the emotion, in a real cache."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from emocache import manifest
from emocache.store import text_digest
from emocache.store.card import Card, Key
from emocache.store.plan import Item
from emocache.store.writer import FeatureWriter
from emocache.types import Corpus, Utterance
from heads.data import Examples, Input, PackedTensor

EMOTIONS = ("ang", "hap", "sad")
DIM = 6


def utterances(speakers: int = 6, takes: int = 6) -> tuple[Utterance, ...]:
    """Each speaker says each emotion `takes` times; two speakers a session; fold 1..3 by session."""
    return tuple(
        Utterance(
            id=f"s{speaker}-{emotion}-{take}", path="none.wav", emotion=emotion, speaker=f"s{speaker}", session=f"Ses{speaker // 2 + 1}",
            fold=str(speaker // 2 + 1), transcript=f"sentence {take}", extra={"mood": "low" if emotion == "sad" else "high"},
        )
        for speaker in range(speakers)
        for emotion in EMOTIONS
        for take in range(takes)
    )  # fmt: skip


def rows(utterance: Utterance, layers: int = 2, *, strength: float = 2.0, seed: int = 0) -> np.ndarray:
    """Noise of 2 to 9 rows, with the emotion in one dimension: float32 [layers, rows, DIM]."""
    rng = np.random.default_rng([seed, *utterance.id.encode()])
    values = rng.normal(size=(layers, rng.integers(2, 10), DIM)).astype(np.float32)
    values[..., EMOTIONS.index(utterance.emotion or "ang")] += strength
    return values


def corpus(data: Path, members: Sequence[Utterance] | None = None, **fields: object) -> Corpus:
    """The corpus `toy`, prepared in `data`."""
    made = Corpus(name="toy", reader="csv", scheme="as-is", audio_root=data, utterances=tuple(members or utterances()))
    made = replace(made, **fields)  # type: ignore[arg-type]
    manifest.save(made, data)
    return made


WORDS = "word@mfa"


def extract(cache: Path, members: Sequence[Utterance], name: str, *, layers: int = 2, native: str = "frames", seed: int = 0) -> None:
    """Put the members' features into a cache as feature set `name`, with the manifest beside them."""
    made_from = "text" if native == "tokens" else "audio"
    card = Card(
        key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
        encoder=name, model=name, origin="o", revision="r", encoder_licence="e", corpus="toy", corpus_licence="c", corpus_share="free",
        modality=made_from, digests=made_from, native=native, hop=0, layers=tuple(range(layers)), unit_rows=512,
        levels={native: "rows"}, dims={native: DIM}, made_with={},
    )  # fmt: skip
    values = {u.id: rows(u, layers, seed=seed) for u in members}
    if native == "utterance":
        values = {name: value.mean(axis=1, keepdims=True) for name, value in values.items()}
    items = [Item(u.id, text_digest(u), "", {native: values[u.id].shape[1]}) for u in members]
    writer = FeatureWriter(cache, "toy", name, card)
    for work, unit in writer.units(writer.plan(items, {native: range(layers)})):
        for one in work.ids:
            unit.put(one, {(native, layer): values[one][layer] for layer in range(layers)})
        unit.commit()
    (cache / "toy" / manifest.MANIFEST).write_text(manifest.to_csv(members))


def extract_words(cache: Path, members: Sequence[Utterance], name: str, *, words: int = 4, whole: int = 0) -> None:
    """Put segments of alignment `mfa` into a cache: the last `whole` utterances are one segment each, the others have several."""
    card = Card(
        key=Key(weights="w", configuration="c", preprocessing="p", layer_rule="l", precision="fp32", dtype="fp16"),
        encoder=name, model=name, origin="o", revision="r", encoder_licence="e", corpus="toy", corpus_licence="c", corpus_share="free",
        modality="audio", digests="audio", native="frames", hop=320, centre=200, layers=(0, 1), unit_rows=512,
        levels={"frames": "rows", "word": "words"}, dims={"frames": DIM, "word": DIM}, made_with={},
    )  # fmt: skip
    of = {u.id: words if i < len(members) - whole else 1 for i, u in enumerate(members)}
    columns = {u.id: {"kind": np.full(of[u.id], 0 if of[u.id] > 1 else 3), "nearest": np.zeros(of[u.id])} for u in members}
    items = [
        Item(u.id, "0" * 64, "", {"frames": 1, WORDS: of[u.id]}, {WORDS: columns[u.id]}, made_from={WORDS: "1" * 64}) for u in members
    ]  # fmt: skip
    with FeatureWriter(cache, "toy", name, card) as writer:
        for work, unit in writer.units(writer.plan(items, {WORDS: (0, 1)})):
            for one in work.ids:
                values = np.repeat(rows(next(u for u in members if u.id == one), 2), words, axis=1)[:, : of[one]]
                unit.put(one, {(WORDS, layer): values[layer] for layer in (0, 1)})
            unit.commit()


def packed(lengths: Sequence[int], layers: int = 2, dim: int = DIM, *, dtype: torch.dtype = torch.float16, seed: int = 0) -> PackedTensor:
    """Random features of utterances of these lengths."""
    draw = torch.Generator().manual_seed(seed)
    values = torch.randn(layers, sum(lengths), dim, generator=draw).to(dtype)
    return PackedTensor(values, torch.tensor([0, *np.cumsum(lengths).tolist()]))


def examples(members: Sequence[Utterance], **options: float) -> tuple[Examples, Input]:
    """The members' features in memory, and what a head must know of them."""
    values = [torch.from_numpy(rows(u, **options)).half() for u in members]  # type: ignore[arg-type]
    offsets = torch.tensor([0, *np.cumsum([v.shape[1] for v in values]).tolist()])
    labels = torch.tensor([EMOTIONS.index(u.emotion or "") for u in members])
    one = Input(name="enc", level="frames", layers=(0, 1), dim=DIM)
    return Examples(tuple(u.id for u in members), (PackedTensor(torch.cat(values, 1), offsets),), labels), one
