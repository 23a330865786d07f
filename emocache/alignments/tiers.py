"""What a file of alignments holds, whatever its format: tiers of segments, and which labels are silence or noise."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emocache.alignment import NOISE, SILENCE, SPEECH, Segment
from emocache.errors import CorpusError
from emocache.files import line_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Tier:
    """The segments of one level in one recording, in seconds from its beginning.

    `speaker` and `channel` (0 = first) say whose they are where a recording has several.
    """

    recording: str
    level: str
    segments: tuple[Segment, ...]
    speaker: str | None = None
    channel: int | None = None


_LEVEL_OF = {
    **dict.fromkeys(("word", "words"), "word"),
    **dict.fromkeys(("phone", "phones", "phoneme", "phonemes"), "phone"),
    **dict.fromkeys(("syllable", "syllables"), "syllable"),
}
_SILENT = {"", "sil", "sp", "<sil>", "<s>", "</s>", "<eps>", "!sil"}
_NOISE = re.compile(r"\+{1,2}[^+]+\+{1,2}|\{.+\}|\[.+\]")


def named(name: str) -> tuple[str, str | None] | None:
    """The level and the speaker that a tier's name stands for: 'phones', 'Words', 'Ann - words'; None for any other tier."""
    speaker, _, level = name.rpartition(" - ")
    found = _LEVEL_OF.get(level.strip().lower())
    return None if found is None else (found, speaker.strip() or None)


def kind(label: str) -> str:
    """What a segment with this label holds. An unknown word (`<unk>`, its phone `spn`) is speech."""
    if label.lower() in _SILENT:
        return SILENCE
    return NOISE if _NOISE.fullmatch(label) else SPEECH


def segment(label: str, start_s: float, end_s: float, where: str) -> Segment:
    """A segment of the kind that its label says. CorpusError when it ends before it begins; `where` names file and line."""
    label = " ".join(label.split())
    if not 0 <= end_s - start_s < float("inf"):
        raise CorpusError(f"{where}: {label!r} begins at {start_s:g} s and ends at {end_s:g} s; restore the file")
    return Segment(label, start_s, end_s, kind(label))


def seconds(text: str, where: str) -> float:
    """A time as a number; CorpusError when it is none."""
    try:
        return float(text)
    except ValueError:
        raise CorpusError(f"{where}: {text!r} is no time in seconds; restore the file") from None


def whole(text: str) -> int | None:
    """A whole number of nine figures at most; None for anything else."""
    return int(text) if text.isdecimal() and len(text) <= 9 else None


def text_of(path: Path) -> str:
    """The text of a file that is UTF-8, or UTF-16 with a byte-order mark, with plain line feeds. CorpusError for any other."""
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8-sig"
    try:
        return raw.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        tried, place = encoding.removesuffix("-sig").upper(), f"{path}:{line_of(error)}"
        raise CorpusError(f"{place}: is not {tried} ({error.reason} at byte {error.start}); save it as UTF-8") from None


def rows(text: str, path: Path) -> Iterator[tuple[str, list[str]]]:
    """The fields of every line that is not blank, split at white space, and where the line stands."""
    for number, line in enumerate(text.split("\n"), start=1):
        if fields := line.split():
            yield f"{path}:{number}", fields
