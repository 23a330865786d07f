"""Forced alignments: when each phone, syllable and word of an utterance was spoken.

    data/NAME/alignments/wdseg.csv    utterance_id, level, label, kind, start_s, end_s: one row per segment, in order
    data/NAME/alignments/wdseg.json   how they were made, and which utterances have none, with the reason

A corpus may have several, told apart by their source: what a corpus brings along ('wdseg'), what another aligner made
('mfa'), what `emocache align` makes ('pocketsphinx'). Times count from the beginning of the utterance, in seconds, not of
a longer file that it is cut from. `emocache align` locks SOURCE.lock beside the table while it makes one.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from emocache.errors import CorpusError
from emocache.files import write_changed
from emocache.places import plain_name

FOLDER = "alignments"
LEVELS = ("phone", "syllable", "word")
SPEECH, SILENCE, NOISE, WHOLE = "speech", "silence", "noise", "whole"
KINDS = (SPEECH, SILENCE, NOISE, WHOLE)
"""What a segment holds; WHOLE is an utterance in one piece, where there is nothing better."""
COLUMNS = ("utterance_id", "level", "label", "kind", "start_s", "end_s")
LEAST_S = 1e-5
"""What is shorter is no segment."""
LATEST_S = 100_000
"""Nothing is spoken later than after a day and more; samples are counted in 32 bits."""
OVERLAP_S = 0.001
"""Segments that overlap by more than this are said to have been mended; what is less is rounding."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A phone, syllable or word, or a stretch of silence or noise between them: from `start_s` to before `end_s`."""

    label: str
    start_s: float
    end_s: float
    kind: str = SPEECH


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """One source's segments of a corpus: level -> utterance id -> segments in order of time, which do not overlap.

    `about` says in words how they were made. `without` maps the ids of utterances that have none to the reason, `notes` the
    ids of those whose segments had to be mended to what was done, `audio` and `texts` ids to the SHA-256 of
    the audio that they tell of, and of the words that were placed in it; nothing where that is not known.
    """

    source: str
    about: str
    segments: Mapping[str, Mapping[str, tuple[Segment, ...]]]
    without: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    audio: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def levels(self) -> tuple[str, ...]:
        """The levels that any utterance has, of LEVELS."""
        return tuple(level for level in LEVELS if self.segments.get(level))

    def of(self, level: str, utterance: str, duration_s: float, *, silence: bool = False) -> tuple[Segment, ...]:
        """The segments of an utterance but its silences (with `silence`, those too).

        One of kind WHOLE that lasts `duration_s` where there are none.
        """
        found = self.segments.get(level, {}).get(utterance, ())
        kept = tuple(one for one in found if silence or one.kind != SILENCE)
        return kept or (Segment("", 0.0, duration_s, WHOLE),)


def digest(segments: Sequence[Segment]) -> str:
    """SHA-256 of segments: another one whenever a label, a kind or a time (by a microsecond) is another."""
    return hashlib.sha256(_rows_text("", "", segments).encode()).hexdigest()


def tidy(segments: Iterable[Segment], duration_s: float) -> tuple[tuple[Segment, ...], str]:
    """Segments in order of time, within the utterance, without overlaps; and what had to be done, in words ('' for nothing).

    One that ends after the audio does is cut, one that begins before its predecessor ends begins there; those of which
    nothing is left are dropped.
    """
    kept: list[Segment] = []
    dropped = cut = moved = 0
    given = sorted(segments, key=lambda one: (one.start_s, one.end_s))
    for one in given:
        start_s = max(one.start_s, kept[-1].end_s if kept else 0.0)
        end_s = min(one.end_s, duration_s)
        if end_s - start_s < LEAST_S:
            dropped += 1
            continue
        moved += start_s > one.start_s + OVERLAP_S
        cut += end_s < one.end_s - OVERLAP_S
        kept.append(Segment(one.label, start_s, end_s, one.kind))
    said = [(dropped, "empty or beyond the audio: dropped"), (cut, "cut at the audio's end"), (moved, "moved to their predecessor's end")]
    return tuple(kept), "; ".join(f"{count} of {len(given)} segments {what}" for count, what in said if count)


def save(alignment: Alignment, data: Path, corpus: str) -> Path:
    """Write the table and what is known of it beside the manifest; where the table is."""
    folder = data / plain_name(corpus, "corpus") / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    about: dict[str, object] = {"about": alignment.about}
    about |= {name: dict(getattr(alignment, name)) for name in ("without", "notes", "audio", "texts")}
    path = folder / f"{plain_name(alignment.source, 'alignment')}.csv"
    write_changed(path.with_suffix(".json"), json.dumps(about, indent=1, ensure_ascii=False) + "\n")
    rows = [_rows_text(name, level, one) for level in alignment.levels for name, one in alignment.segments[level].items()]
    write_changed(path, _row_text(COLUMNS) + "".join(rows))
    return path


def sources(data: Path, corpus: str) -> list[str]:
    """The alignments that a prepared corpus has."""
    return sorted(path.stem for path in (data / corpus / FOLDER).glob("*.csv"))


def load(data: Path, corpus: str, source: str) -> Alignment:
    """One alignment of a prepared corpus; CorpusError when there is none of that name, or when it is damaged."""
    path = data / plain_name(corpus, "corpus") / FOLDER / f"{plain_name(source, 'alignment')}.csv"
    if not path.is_file():
        known = ", ".join(sources(data, corpus)) or "none"
        raise CorpusError(f"{corpus}: has no alignment {source!r} (there are: {known}); `emocache align` makes or reads one")
    try:
        about = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        made, without, notes = str(about["about"]), dict(about["without"]), dict(about["notes"])
        heard, texts = dict(about.get("audio", {})), dict(about.get("texts", {}))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CorpusError(f"{path.with_suffix('.json')}: missing or damaged ({error}); align again") from None
    return Alignment(source=source, about=made, segments=_read(path), without=without, notes=notes, audio=heard, texts=texts)


def _read(path: Path) -> dict[str, dict[str, tuple[Segment, ...]]]:
    """The table: level -> id -> segments."""
    found: dict[str, dict[str, list[Segment]]] = {}
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: cannot be read ({error}); align again") from None
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        if tuple(next(reader, ())) != COLUMNS:
            raise CorpusError(f"{path}: its columns are not {', '.join(COLUMNS)}; align again")
        for name, level, label, kind, start_s, end_s in reader:
            segment = Segment(label, float(start_s), float(end_s), kind)
            if kind not in KINDS or level not in LEVELS or not 0 <= segment.start_s < segment.end_s < LATEST_S:
                raise ValueError(f"{level} {kind} from {start_s} to {end_s}")
            found.setdefault(level, {}).setdefault(name, []).append(segment)
    except (ValueError, csv.Error) as error:
        raise CorpusError(f"{path}:{reader.line_num}: no segment ({error}); align again") from None
    return {level: {name: tuple(segments) for name, segments in by_id.items()} for level, by_id in found.items()}


def _rows_text(name: str, level: str, segments: Iterable[Segment]) -> str:
    """Segments as rows of the table."""
    return "".join(_row_text((name, level, one.label, one.kind, f"{one.start_s:.6f}", f"{one.end_s:.6f}")) for one in segments)


def _row_text(cells: Sequence[str]) -> str:
    sink = io.StringIO()
    csv.writer(sink, lineterminator="\n").writerow(cells)
    return sink.getvalue()
