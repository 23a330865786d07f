"""A corpus of a few noisy utterances, prepared in tmp_path."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from emocache import manifest
from emocache.types import Corpus, Utterance

SECONDS = (0.31, 1.6, 0.9, 2.2, 0.5, 1.05)


def wave(seed: int, seconds: float) -> np.ndarray:
    """Noise with a moving envelope, float32 at 16 kHz."""
    rng = np.random.default_rng(seed)
    samples = round(seconds * 16_000)
    return (0.1 * rng.normal(size=samples) * np.abs(np.sin(np.arange(samples) / 3000))).astype(np.float32)


def make(tmp_path: Path, seconds: tuple[float, ...] = SECONDS, name: str = "tiny") -> Corpus:
    """Write wavs and a prepared manifest; two sessions, two emotions, one transcript for each."""
    root = tmp_path / "audio"
    root.mkdir(exist_ok=True)
    utterances = []
    for i, length in enumerate(seconds):
        soundfile.write(root / f"u{i}.wav", wave(i, length), 16_000, subtype="FLOAT")
        utterances.append(
            Utterance(
                id=f"u{i}", path=f"u{i}.wav", emotion=("sad", "hap")[i % 2], session=str(1 + i % 2), speaker=f"s{i % 4}",
                transcript=("i do not know", "kids talking, really!", "i don't")[i % 3],
            )
        )  # fmt: skip
    corpus = Corpus(name=name, reader="csv", scheme="as-is", audio_root=root, utterances=tuple(utterances))
    manifest.save(corpus, tmp_path / "data")
    return corpus


def changed(corpus: Corpus, name: str, **fields: object) -> Corpus:
    """The corpus with one utterance changed."""
    utterances = tuple(replace(u, **fields) if u.id == name else u for u in corpus.utterances)  # type: ignore[arg-type]
    return replace(corpus, utterances=utterances)
