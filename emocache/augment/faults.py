"""What makes a view useless: words or speech that are nothing, go on and on, or are those of the source."""

import re

import numpy as np

from emocache.audio import digest
from emocache.augment.base import Waveform
from emocache.types import SAMPLE_RATE, Utterance

LONGEST = 3
"""A view may be this many times as long as its source."""
SILENT = 1e-4
"""Nothing is heard where no sample is larger."""


def of_text(made: str, source: str) -> str:
    """Why a text in other words is of no use; '' where it is. Case and punctuation make no other words."""
    if not _words(made):
        return "its new text is empty"
    if len(made) > LONGEST * len(source):
        return f"its new text has {len(made)} characters, over {LONGEST} times the {len(source)} of the source"
    if _words(made) == _words(source):
        return "its new text is the same as the source"
    return ""


def of_speech(made: Waveform, source: Utterance) -> str:
    """Why synthetic speech is of no use; '' where it is. `source` carries the length and the digest of its audio."""
    if not np.isfinite(made).all():
        return "its speech holds samples that are not finite"
    if not len(made) or np.abs(made).max() <= SILENT:
        return "its speech is empty or silent"
    length = source.samples or 0
    if len(made) > LONGEST * length:
        return f"its speech lasts {len(made) / SAMPLE_RATE:.2f} s, over {LONGEST} times the {length / SAMPLE_RATE:.2f} s of the source"
    if digest(made) == source.audio_sha256:
        return "its speech is the same as the source"
    return ""


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
