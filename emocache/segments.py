"""Levels of segments: one row per phone, syllable or word of a forced alignment.

word@wdseg            the words of alignment `wdseg`, silences left out; an utterance without any is one segment
word@wdseg+all        silences too
word@wdseg+outer      another rule than the frames whose centre the segment holds; see pooling.RULES
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import Tensor

from emocache import alignment, pooling
from emocache.alignment import Alignment, Segment
from emocache.errors import CorpusError, UsageError
from emocache.levels import Columns, Level, Native, has_segments, kinds_of, levels_of
from emocache.places import plain_name
from emocache.store import Features, text_digest
from emocache.store.layout import SOURCE
from emocache.types import SAMPLE_RATE, Utterance

SILENCE_TOO = "all"


@dataclass(frozen=True, slots=True)
class SegmentName:
    """The name of a level of segments, taken apart."""

    kind: str
    source: str
    rule: str = pooling.CENTRE
    silence: bool = False

    def __str__(self) -> str:
        variants = [one for one in (self.rule, SILENCE_TOO if self.silence else "") if one]
        return "+".join([f"{self.kind}{SOURCE}{self.source}", *variants])


def parse_segments(text: str) -> SegmentName:
    """'word@wdseg+outer+all' taken apart; UsageError for anything else."""
    kind, _, rest = text.partition(SOURCE)
    source, *variants = rest.split("+")
    if kind not in alignment.LEVELS:
        raise UsageError(f"--levels {text}: expected one of {', '.join(alignment.LEVELS)} before {SOURCE!r}")
    known = {*pooling.RULES, SILENCE_TOO} - {pooling.CENTRE}
    rules = [one for one in variants if one != SILENCE_TOO]
    if unfit := [one for one in variants if one not in known] or rules[1:]:
        raise UsageError(f"--levels {text}: {unfit[0]!r} does not go here; '+' takes {', '.join(sorted(known))}, and one rule at most")
    return SegmentName(kind, plain_name(source, "alignment"), rules[0] if rules else pooling.CENTRE, SILENCE_TOO in variants)


def choose(native: Native, asked: Sequence[str], data: Path, corpus: str) -> dict[str, Level]:
    """The levels that are asked for, by their full names; a kind of segments alone means the corpus's only alignment that has it.

    UsageError that lists what there is.
    """
    known = levels_of(native)
    chosen: dict[str, Level] = {}
    aligned: dict[str, Alignment] = {}
    for text in dict.fromkeys(asked):
        if text in known:
            chosen[text] = known[text]
            continue
        kinds = [f"{kind}{SOURCE}ALIGNMENT" for kind in alignment.LEVELS] if has_segments(native) else []
        if text.partition(SOURCE)[0].partition("+")[0] not in alignment.LEVELS or not kinds:
            raise UsageError(f"--levels: no level {text!r} here; there are {', '.join([*known, *kinds])}{_untimed(native)}")
        name = parse_segments(text if SOURCE in text else _only(text, data, corpus))
        if name.source not in aligned:
            aligned[name.source] = alignment.load(data, corpus, name.source)
        if name.kind not in aligned[name.source].levels:
            there = ", ".join(aligned[name.source].levels) or "nothing"
            raise UsageError(f"--levels {text}: alignment {name.source!r} of {corpus} has {there}, but no {name.kind}s")
        chosen[str(name)] = segment_level(native, name, aligned[name.source])
    return chosen


def _untimed(native: Native) -> str:
    """Why frames have no levels of segments."""
    if native.native != "frames" or has_segments(native):
        return ""
    return " (where its frames lie in time is not known; if an older release stored them, extract the level once)"


def _only(text: str, data: Path, corpus: str) -> str:
    """'word+all' with the only alignment that has words: 'word@mfa+all'."""
    kind, plus, variants = text.partition("+")
    sources = [source for source in alignment.sources(data, corpus) if kind in alignment.load(data, corpus, source).levels]
    if len(sources) == 1:
        return f"{kind}{SOURCE}{sources[0]}{plus}{variants}"
    if sources:
        choices = ", ".join(f"{kind}{SOURCE}{source}" for source in sources)
        raise UsageError(f"--levels {text}: {corpus} has several alignments with {kind}s; choose one of {choices}")
    raise UsageError(f"--levels {text}: {corpus} has no alignment with {kind}s; make one with `emocache align --corpus {corpus}`")


def segment_level(native: Native, name: SegmentName, aligned: Alignment) -> Level:
    """The level of an alignment's segments; CorpusError for an utterance whose audio or words are others since it was aligned."""

    def segments(utterance: Utterance) -> Sequence[Segment]:
        other = "audio" if aligned.audio.get(utterance.id) not in {None, utterance.audio_sha256} else ""
        other = "words" if aligned.texts.get(utterance.id) not in {None, text_digest(utterance)} else other
        if other:
            raise CorpusError(
                f"{utterance.id}: alignment {name.source!r} was made of other {other} than the corpus now has; "
                "run `emocache align` again (with --from, once its files are of the new audio)"
            )
        return aligned.of(name.kind, utterance.id, (utterance.samples or 0) / SAMPLE_RATE, silence=name.silence)

    def columns(utterance: Utterance) -> Columns:
        return _segment_columns(native, name, segments(utterance), utterance)

    return Level(
        about=kinds_of(native)[name.kind].about,
        dim=native.dim,
        pool=lambda states, utterance: pool_segments(states, columns(utterance), name, native.hop, native.centre),
        rows=lambda utterance: len(segments(utterance)),
        columns=columns,
        made_from=lambda utterance: alignment.digest(segments(utterance)),
    )


def stored_segments(native: Native, name: str, features: Features) -> Level:
    """The same of segments that are where their stored rows say."""
    parsed = parse_segments(name)

    def columns(utterance: Utterance) -> Columns:
        return features.columns(utterance.id, name)

    return Level(
        about=kinds_of(native)[parsed.kind].about,
        dim=native.dim,
        pool=lambda states, utterance: pool_segments(states, columns(utterance), parsed, native.hop, native.centre),
        rows=lambda utterance: len(columns(utterance)["begin"]),
        columns=columns,
    )


def pool_segments(states: Tensor, columns: Columns, name: SegmentName, hop: int, centre: int) -> Tensor:
    """Frames [layers, frames, dim] as segments [layers, segments, dim], by their columns `begin` and `end`."""
    found = pooling.spans(columns["begin"], columns["end"], frames=states.shape[1], hop=hop, centre=centre, rule=name.rule)
    return pooling.mean_of_spans(states, found)


def _segment_columns(native: Native, name: SegmentName, segments: Sequence[Segment], utterance: Utterance) -> Columns:
    """What each row of segments stands for; see `store.Features.columns`."""
    begin = np.array([round(one.start_s * SAMPLE_RATE) for one in segments], np.int32)
    end = np.array([round(one.end_s * SAMPLE_RATE) for one in segments], np.int32)
    found = pooling.spans(begin, end, frames=native.rows(utterance), hop=native.hop, centre=native.centre, rule=name.rule)
    return {
        "label": np.array([one.label.encode() for one in segments], np.bytes_),
        "kind": np.array([alignment.KINDS.index(one.kind) for one in segments], np.int32),
        "begin": begin, "end": end,
        "nearest": found.nearest.astype(np.int32),
    }  # fmt: skip
