"""What every aligner is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emocache.alignment import Segment

Waveform = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Aligned:
    """One utterance's segments by level, in order of time, and what a user should know of them ('' for nothing)."""

    segments: Mapping[str, Sequence[Segment]]
    note: str = ""


class Aligner(Protocol):
    """Places the words of a transcript in a waveform.

    `about` says in words what it is, with version and a digest of its model: other words, other alignments. `languages` are
    the codes of those it knows; none where that is unknown.
    """

    @property
    def about(self) -> str: ...

    @property
    def levels(self) -> tuple[str, ...]: ...

    @property
    def languages(self) -> tuple[str, ...]: ...

    def align(self, wave: Waveform, transcript: str) -> Aligned:
        """The segments of `wave` (float32 [samples], 16 kHz), in seconds; AlignmentError with the reason when there are none."""
        ...
