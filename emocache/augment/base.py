"""What gives a view its words, and what speaks them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emocache.types import Utterance

Waveform = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Voice:
    """A speaker of the corpus in an emotion: the utterances (with their digests) that tell how that sounds, and the corpus's audio root."""

    speaker: str
    emotion: str
    utterances: tuple[Utterance, ...]
    root: Path

    @property
    def group(self) -> str:
        """The session, else the fold, in which the speaker is."""
        return self.utterances[0].session or self.utterances[0].fold or ""

    @property
    def gender(self) -> str:
        """As the corpus says; '' where it does not."""
        return next((utterance.gender for utterance in self.utterances if utterance.gender), "")


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A text in other words, or the reason for which there is none."""

    text: str
    fault: str = ""


class Rewriter(Protocol):
    """Says texts in other words.

    `name` is what tables call it, `about` says in words what it is, with digests of its models: other words, other views.
    """

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    def rewrite(self, texts: Sequence[str]) -> list[Rewritten]:
        """Each text in other words, in their order."""
        ...


class Synthesiser(Protocol):
    """Speaks texts in voices of the corpus.

    `name` and `about` as of a Rewriter. `languages` are the codes of those it speaks (none where that is unknown), `listens` says
    whether a voice is learnt from the audio of its utterances, and `voices` what stands for each speaker where it is not.
    """

    @property
    def name(self) -> str: ...

    @property
    def about(self) -> str: ...

    @property
    def languages(self) -> tuple[str, ...]: ...

    @property
    def listens(self) -> bool: ...

    @property
    def voices(self) -> Mapping[str, str]: ...

    def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
        """float32 [samples] at 16 kHz; the same arguments give the same samples. AugmentationError with the reason when it cannot.

        `language` is a code, '' where the corpus does not say.
        """
        ...


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Leaves texts as they are: views in another voice alone."""

    name: str = "text unchanged"
    about: str = "text unchanged"

    def rewrite(self, texts: Sequence[str]) -> list[Rewritten]:
        """The texts themselves."""
        return [Rewritten(text) for text in texts]
