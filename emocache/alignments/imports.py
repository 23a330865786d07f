"""A folder of alignments matched to the utterances of a corpus.

A file belongs to an utterance when its name without the suffix is the utterance's id, or the name of its audio file; of a
CTM, the names of its recordings count. Folders inside are searched, and where a name occurs more than once, the last folder
must be that of the audio. What has the audio's name tells of the whole file: an utterance cut out of it gets its stretch.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path, PurePath

from emocache import audio
from emocache.alignment import LEAST_S, LEVELS, SILENCE, Alignment
from emocache.alignments.formats import Format, chosen
from emocache.alignments.gather import first_of_level, gather, moved
from emocache.alignments.tiers import Tier
from emocache.errors import CorpusError, UsageError
from emocache.heard import HEARD
from emocache.types import Corpus, Utterance

_KEPT_OPEN = 32
"""Long recordings whose tiers are remembered, since several utterances may be cut out of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """One recording's part of one file; of two with the same `slot`, only one can belong to an utterance."""

    name: str
    slot: int
    path: Path
    tiers: Callable[[], Sequence[Tier]]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Match:
    """What belongs to an utterance, by slot; `whole` when it tells of more than the utterance."""

    held: tuple[_Held, ...] = ()
    whole: bool = False


def read_corpus(
    root: Path,
    corpus: Corpus,
    data: Path,
    *,
    format: str | None = None,
    source: str | None = None,
    shift_s: float = 0.0,
    skip_broken: bool = False,
) -> Alignment:
    """`read_folder` for the utterances of a prepared corpus.

    Audio that nobody has heard yet is decoded first, so that segments end where it does; an utterance whose audio cannot be read is
    listed in `without`. CorpusError when that is all of them.
    """
    unheard = [utterance for utterance in corpus.utterances if utterance.samples is None]
    scanned, unreadable = audio.scan(unheard, corpus.audio_root, data / corpus.name / HEARD)
    by_id = {utterance.id: utterance for utterance in scanned}
    heard = [by_id.get(utterance.id, utterance) for utterance in corpus.utterances if utterance.id not in unreadable]
    if not heard:
        first = next(iter(unreadable.values()))
        raise CorpusError(f"{corpus.name}: none of {len(unreadable)} audio files can be read (first {first}); restore the audio")
    found = read_folder(root, heard, format=format, source=source, shift_s=shift_s, skip_broken=skip_broken)
    without = {**found.without, **unreadable}
    return replace(found, without={one.id: without[one.id] for one in corpus.utterances if one.id in without})


def read_folder(
    root: Path,
    utterances: Sequence[Utterance],
    *,
    format: str | None = None,
    source: str | None = None,
    shift_s: float = 0.0,
    skip_broken: bool = False,
) -> Alignment:
    """The alignments in `root` (a folder, or one file) of these utterances; times become `shift_s` later.

    `format` is one of FORMATS (None: what is there). Utterances without a file, or with an empty one, are listed in
    `without`; `about` says how many files belong to nobody. UsageError when none belongs to anybody. CorpusError for a
    damaged file or two that exclude each other; with `skip_broken`, a damaged file's utterance is listed in `without`
    (but for a CTM, which does not say whose the damage is).
    """
    if not math.isfinite(shift_s):
        raise UsageError(f"a shift of {shift_s} s is none; give seconds")
    kind, files = chosen(root, format)
    everything = _held(kind, files)
    matches = _matches(utterances, everything)
    used = {id(one) for match in matches.values() for one in match.held}
    if not used:
        raise UsageError(
            f"{root}: none of {len(everything)} names there (first {_first(everything)!r}) is an utterance's id or the name of its audio "
            f"(first {utterances[0].id if utterances else ''!r}); rename them, or give the folder of this corpus"
        )
    unused = [one for one in everything if id(one) not in used]
    return gather(
        utterances,
        lambda utterance: _tiers(utterance, matches[utterance.id], shift_s),
        source=source or kind.source,
        about=_about(kind, root, shift_s, unused),
        skip_broken=skip_broken,
    )


def _about(kind: Format, root: Path, shift_s: float, unused: Sequence[_Held]) -> str:
    """In words, what was read and how."""
    shift = f", all times {shift_s:+g} s" if shift_s else ""
    rest = f"; {len(unused)} more belong to no utterance (first {_first(unused)})" if unused else ""
    return f"{kind.about}, read from {root.name}{shift}{rest}"


def _first(held: Sequence[_Held]) -> str:
    """The name of the first, with its file's where that is another."""
    one = held[0]
    return one.path.name if one.path.stem == one.name else f"{one.name} in {one.path.name}"


def _held(kind: Format, files: Sequence[Path]) -> list[_Held]:
    """What the files hold: one recording each, read when it is wanted, or many."""
    if not kind.many:
        read = lru_cache(_KEPT_OPEN)(kind.read)
        return [
            _Held(name=path.stem, slot=kind.suffixes.index(path.suffix.lower()), path=path, tiers=partial(read, path)) for path in files
        ]
    parts: defaultdict[tuple[str, str, Path], list[Tier]] = defaultdict(list)
    for path in files:
        for tier in kind.read(path):
            parts[tier.recording, tier.level, path].append(tier)
    return [
        _Held(name=name, slot=LEVELS.index(level), path=path, tiers=partial(tuple[Tier, ...], tiers))
        for (name, level, path), tiers in parts.items()
    ]


def _matches(utterances: Sequence[Utterance], everything: Sequence[_Held]) -> dict[str, _Match]:
    """What belongs to each utterance."""
    by_name: defaultdict[str, list[_Held]] = defaultdict(list)
    for one in everything:
        by_name[one.name].append(one)
    recordings = Counter(PurePath(path).stem for path in {utterance.path for utterance in utterances})
    return {utterance.id: _match(utterance, by_name, recordings) for utterance in utterances}


def _match(utterance: Utterance, by_name: Mapping[str, list[_Held]], recordings: Mapping[str, int]) -> _Match:
    """By the id, or else by the name of the audio, which several audio files may have."""
    path = PurePath(utterance.path)
    cut = (utterance.start_s, utterance.end_s) != (None, None)
    if utterance.id in by_name and not (cut and path.stem == utterance.id):
        return _Match(held=_only(by_name[utterance.id], utterance))
    found = by_name.get(path.stem, [])
    if recordings[path.stem] > 1:
        found = [one for one in found if one.path.parent.name == path.parent.name]
    return _Match(held=_only(found, utterance), whole=cut)


def _only(found: Sequence[_Held], utterance: Utterance) -> tuple[_Held, ...]:
    """One for each slot, by slot; where there are more, those in a folder that is named like the audio's."""
    folder = PurePath(utterance.path).parent.name
    best: dict[int, _Held] = {}
    for slot in sorted({one.slot for one in found}):
        same = [one for one in found if one.slot == slot]
        near = [one for one in same if one.path.parent.name == folder] if len(same) > 1 else same
        if len(near) != 1:
            raise CorpusError(f"{same[0].path} and {same[1].path} may both belong to utterance {utterance.id!r}; take one away")
        best[slot] = near[0]
    return tuple(best.values())


def _tiers(utterance: Utterance, match: _Match, shift_s: float) -> list[Tier]:
    """The utterance's own tiers, with times from its beginning; a level is taken from the first file that has it."""
    found = first_of_level(one.tiers() for one in match.held)
    mine = [moved(tier, shift_s) for tier in _spoken_by(utterance, found)]
    return [_stretch(tier, utterance) for tier in mine] if match.whole else mine


def _spoken_by(utterance: Utterance, tiers: list[Tier]) -> list[Tier]:
    """Of tiers of several speakers or channels, those of the utterance's; all of them when none is."""
    by_speaker = [tier for tier in tiers if tier.speaker is not None and tier.speaker == utterance.speaker]
    by_channel = [tier for tier in tiers if tier.channel is not None and tier.channel == utterance.channel]
    return by_speaker or by_channel or tiers


def _stretch(tier: Tier, utterance: Utterance) -> Tier:
    """What a recording's tier says of an utterance in it; silence that reaches beyond the utterance is cut."""
    start_s, end_s = utterance.start_s or 0.0, float("inf") if utterance.end_s is None else utterance.end_s
    inside = [one for one in tier.segments if min(one.end_s, end_s) - max(one.start_s, start_s) >= LEAST_S]
    cut = [replace(one, start_s=max(one.start_s, start_s), end_s=min(one.end_s, end_s)) if one.kind == SILENCE else one for one in inside]
    return moved(replace(tier, segments=tuple(cut)), -start_s)
