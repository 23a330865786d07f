"""From the tiers of each utterance to the Alignment of a corpus."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from emocache.alignment import LEVELS, SILENCE, Alignment, Segment, tidy
from emocache.alignments.tiers import Tier
from emocache.errors import CorpusError
from emocache.types import SAMPLE_RATE, Utterance

NO_FILE = "no file"
EMPTY = "its file holds no segments of it"


def gather(
    utterances: Iterable[Utterance],
    tiers_of: Callable[[Utterance], Sequence[Tier]],
    *,
    source: str,
    about: str,
    skip_broken: bool = False,
) -> Alignment:
    """What `tiers_of` gives for each utterance (times from its beginning, nothing where it has no file), tidied.

    Who has no segments at all stands in `without`, who lacks a level that others have in `notes`. A damaged file is a
    CorpusError, unless `skip_broken` lists the utterance among those without.
    """
    segments: dict[str, dict[str, tuple[Segment, ...]]] = {}
    without: dict[str, str] = {}
    notes: dict[str, list[str]] = {}
    audio: dict[str, str] = {}
    for utterance in utterances:
        try:
            tiers = tiers_of(utterance)
        except CorpusError as error:
            if not skip_broken:
                raise
            without[utterance.id] = str(error)
            continue
        made, notes[utterance.id] = _tidied(tiers, duration_s(utterance))
        if not made:
            without[utterance.id] = "; ".join(notes[utterance.id]) or (EMPTY if tiers else NO_FILE)
        elif utterance.audio_sha256 is not None:
            audio[utterance.id] = utterance.audio_sha256
        for level, ones in made.items():
            segments.setdefault(level, {})[utterance.id] = ones
    said = {name: "; ".join([*notes[name], *_lacking(name, segments)]) for name in notes if name not in without}
    noted = {name: text for name, text in said.items() if text}
    return Alignment(source=source, about=about, segments=segments, without=without, notes=noted, audio=audio)


def duration_s(utterance: Utterance) -> float:
    """How long an utterance lasts: as heard, else as cut, else without an end."""
    if utterance.samples is not None:
        return utterance.samples / SAMPLE_RATE
    return math.inf if utterance.end_s is None else utterance.end_s - (utterance.start_s or 0.0)


def moved(tier: Tier, by_s: float) -> Tier:
    """The tier with all times `by_s` later."""
    return replace(tier, segments=tuple(replace(one, start_s=one.start_s + by_s, end_s=one.end_s + by_s) for one in tier.segments))


def first_of_level(files: Iterable[Sequence[Tier]]) -> list[Tier]:
    """The tiers of several files of one recording: each level from the first that has segments of it."""
    found: list[Tier] = []
    for tiers in files:
        have = {tier.level for tier in found if tier.segments}
        found += [tier for tier in tiers if tier.level not in have]
    return found


def _tidied(tiers: Sequence[Tier], length_s: float) -> tuple[dict[str, tuple[Segment, ...]], list[str]]:
    """Segments by level, within the utterance, and what had to be done. Silences of one speaker say nothing of another."""
    made, notes = {}, []
    for level in LEVELS:
        same = [tier for tier in tiers if tier.level == level]
        ones = [one for tier in same for one in tier.segments if len(same) == 1 or one.kind != SILENCE]
        kept, note = tidy(ones, length_s)
        if kept:
            made[level] = kept
        if note:
            notes.append(f"{level}: {note}")
    return made, notes


def _lacking(name: str, segments: Mapping[str, Mapping[str, object]]) -> list[str]:
    """The levels that others have and this utterance has not."""
    return [f"no {level}s" for level in LEVELS if level in segments and name not in segments[level]]
