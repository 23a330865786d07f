"""Praat's TextGrid, long and short, as the Montreal Forced Aligner and people write it.

Both are one format to Praat: numbers, "texts" and <flags> that stand free count, all else ("xmin =", "intervals [1]:",
comments from "!" to the line's end) is for the reader's eye. A text may hold line ends, and doubles its quotes.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from emocache.alignment import Segment
from emocache.alignments.tiers import Tier, named, segment, text_of, whole
from emocache.errors import CorpusError

_TOKEN = re.compile(r'"(?P<text>(?:[^"]|"")*)"|![^\n]*|(?P<number>[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)(?=\s|$)|(?P<flag><\w+>)|[^\s"]+')


class _Tokens:
    """What counts in a TextGrid, one after the other; CorpusError names the line where something else is expected."""

    def __init__(self, path: Path) -> None:
        self.path, self.content, self.position = path, text_of(path), 0
        self.found: Iterator[re.Match[str]] = (match for match in _TOKEN.finditer(self.content) if match.lastgroup)

    def where(self) -> str:
        """File and line of what was read last."""
        return f"{self.path}:{self.content.count(chr(10), 0, self.position) + 1}"

    def take(self, group: str, expected: str) -> str:
        """The next token, which must be of this group."""
        match = next(self.found, None)
        if match is None:
            self.position = len(self.content.rstrip())
            raise CorpusError(f"{self.where()}: breaks off where {expected} should come; restore the file")
        self.position = match.start()
        if match.lastgroup != group:
            raise CorpusError(f"{self.where()}: {match[0][:40]!r} stands where {expected} should; restore the file")
        return match[group]

    def text(self, expected: str) -> str:
        return self.take("text", expected).replace('""', '"')

    def number(self, expected: str) -> float:
        return float(self.take("number", expected))

    def count(self, expected: str) -> int:
        """A whole number."""
        text = self.take("number", expected)
        found = whole(text)
        if found is None:
            raise CorpusError(f"{self.where()}: {text[:40]!r} stands where {expected} should; restore the file")
        return found

    def finish(self) -> None:
        """Nothing may come after what was counted."""
        if match := next(self.found, None):
            self.position = match.start()
            raise CorpusError(f"{self.where()}: {match[0][:40]!r} stands after all that its counts announce; restore the file")

    def numbers(self, *expected: str) -> list[float]:
        return [self.number(one) for one in expected]


def read(path: Path) -> list[Tier]:
    """The tiers of words, phones and syllables, each of one speaker where names say so ('Ann - words').

    Tiers of other names and tiers of points are passed over; CorpusError when nothing else is there, or for damage.
    """
    tokens = _Tokens(path)
    if not tokens.content.startswith("File type") or not tokens.take("text", "a TextGrid's first line").startswith("ooTextFile"):
        raise CorpusError(f"{path}:1: is no TextGrid in Praat's text formats; save it as one")
    tokens.text("the class TextGrid")
    tokens.numbers("the time at which all begins", "the time at which all ends")
    exists = tokens.take("flag", "<exists>") == "<exists>"
    read_tiers = [_tier(tokens) for _ in range(tokens.count("the number of tiers") if exists else 0)]
    tokens.finish()
    tiers = [tier for _, tier in read_tiers if tier]
    if not tiers:
        names = ", ".join(repr(name) for name, _ in read_tiers) or "none"
        raise CorpusError(f"{path}: has no tier 'words', 'phones' or 'syllables' (tiers: {names}); rename the one that is meant")
    return tiers


def _tier(tokens: _Tokens) -> tuple[str, Tier | None]:
    """The next tier's name, and the tier where it is one of a level."""
    kind, name = tokens.text("a tier's class"), tokens.text("a tier's name")
    tokens.numbers("the time at which a tier begins", "the time at which a tier ends")
    count = tokens.count("the number of a tier's entries")
    if kind != "IntervalTier":
        for _ in range(count):
            tokens.number("the time of a point")
            tokens.text("the text of a point")
        return name, None
    segments = tuple(_interval(tokens) for _ in range(count))
    level = named(name)
    return name, level and Tier(recording=tokens.path.stem, level=level[0], speaker=level[1], segments=segments)


def _interval(tokens: _Tokens) -> Segment:
    start_s, end_s = tokens.numbers("the time at which an interval begins", "the time at which an interval ends")
    label = tokens.text("the text of an interval")
    return segment(label, start_s, end_s, tokens.where())
