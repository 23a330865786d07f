"""Levels of segments as readers must know them: how many are not what their name says, and whether their alignment is still the same."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from emocache import alignment
from emocache.alignment import KINDS, WHOLE
from emocache.errors import CacheError
from emocache.store.layout import SOURCE
from emocache.store.reader import Features
from emocache.types import SAMPLE_RATE, Utterance

MANY_FALLBACKS = 0.05
"""From this share on, results on segments are marked."""


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """Segments of some utterances; `nearest` hold no frame's centre and took the nearest one, `whole` utterances are one segment."""

    segments: int
    nearest: int
    utterances: int
    whole: int

    @property
    def many(self) -> bool:
        """Whether more than MANY_FALLBACKS of segments or utterances are not what their name says."""
        return self.nearest > MANY_FALLBACKS * self.segments or self.whole > MANY_FALLBACKS * self.utterances

    def __str__(self) -> str:
        nearest, whole = (100 * part / max(1, total) for part, total in ((self.nearest, self.segments), (self.whole, self.utterances)))
        return (
            f"{self.segments} segments, {nearest:.1f} % of them with the nearest frame; "
            f"{self.whole} of {self.utterances} utterances ({whole:.1f} %) in one piece for want of an alignment"
        )


def fallbacks(features: Features, level: str, ids: Sequence[str]) -> Fallbacks:
    """Of a level of segments, how many of these utterances' segments are none of an alignment, or hold no frame's centre."""
    columns = features.columns_of(ids, level)
    whole = columns["kind"] == KINDS.index(WHOLE)
    return Fallbacks(len(whole), int(columns["nearest"].sum()), len(ids), int(whole.sum()))


def check_aligned(features: Features, level: str, utterances: Iterable[Utterance], data: Path) -> bool:
    """CacheError when a level of segments was made from another alignment than the prepared corpus in `data` now has.

    False where that alignment is not at hand, so that nobody knows.
    """
    kind, _, rest = level.partition(SOURCE)
    source, *variants = rest.split("+")
    if source not in alignment.sources(data, features.corpus):
        return False
    aligned, known = alignment.load(data, features.corpus, source), features.aligned_as(level)
    stale = []
    for one in utterances:
        segments = aligned.of(kind, one.id, (one.samples or 0) / SAMPLE_RATE, silence="all" in variants)
        unknown = one.samples is None and segments[0].kind == WHOLE
        if not unknown and known.get(one.id) != alignment.digest(segments):
            stale.append(one.id)
    if stale:
        name = f"{features.corpus}/{features.name}"
        raise CacheError(
            f"{name}: {level} of {len(stale)} utterances (first {stale[0]!r}) was made from another alignment "
            f"than the corpus now has; run `emocache pool {name} --levels {level}`, or extract again"
        )
    return True
