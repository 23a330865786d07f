"""A corpus whose utterances can have views, and what speaks them in no time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from emocache import manifest
from emocache.augment.base import Rewritten, Unchanged, Voice, Waveform
from emocache.augment.plan import Wish
from emocache.augment.run import Outcome, augment
from emocache.errors import AugmentationError
from emocache.types import SAMPLE_RATE, Corpus
from tests import small_corpus

SECONDS = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)


def corpus(tmp_path: Path, seconds: tuple[float, ...] = SECONDS) -> Corpus:
    """Utterances u0, u1, ...: two emotions, four speakers s0 to s3 in turn, each of whom has one; two sessions."""
    return small_corpus.make(tmp_path, seconds)


@dataclass(frozen=True)
class Tone:
    """Speaks a tone a speaker: 0.1 s for every letter."""

    name: str = "tones"
    about: str = "tones of 0.1 s a letter"
    languages: tuple[str, ...] = ("en",)
    listens: bool = True
    voices: Mapping[str, str] = field(default_factory=dict)
    lower: float = 1
    calls: list[tuple[str, str, int]] = field(default_factory=list, compare=False)

    def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
        self.calls.append((text, voice.speaker, seed))
        if "really" in text:
            raise AugmentationError("it says really")
        times = np.arange(len(text) * SAMPLE_RATE // 10) / SAMPLE_RATE
        return (0.5 * np.sin(times * self.lower * (1000 + 100 * int(voice.speaker[1:])))).astype(np.float32)


@dataclass(frozen=True)
class Upper:
    """Other words are the same in capitals."""

    name: str = "in capitals"
    about: str = "in capitals"
    calls: list[Sequence[str]] = field(default_factory=list, compare=False)

    def rewrite(self, texts: Sequence[str]) -> list[Rewritten]:
        self.calls.append(texts)
        return [Rewritten(text.upper()) for text in texts]


def made(tmp_path: Path, of: Corpus, tone: Tone, rewriter: Upper | Unchanged | None = None, **wish: object) -> Outcome:
    return augment(of, tmp_path / "data", rewriter or Unchanged(), tone, Wish(**wish))  # type: ignore[arg-type]


def loaded(tmp_path: Path, name: str = "tiny") -> Corpus:
    return manifest.load(tmp_path / "data", name)
