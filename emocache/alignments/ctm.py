"""CTM, the time-marked words of NIST and Kaldi: recording, channel, start, duration, token and perhaps confidence, one a line."""

from pathlib import Path

from emocache.alignment import Segment
from emocache.alignments.tiers import Tier, rows, seconds, segment, text_of, whole
from emocache.errors import CorpusError


def read(path: Path) -> list[Tier]:
    """A tier for every recording and channel, in the order of the file; lines that begin with ;; are comments.

    The tokens are phones where the file's name says so ('phones.ctm'), else words. Channels are A and B, 1 and 2, or, where
    a 0 occurs, counted from that. CorpusError names the line of what is damaged.
    """
    found: dict[tuple[str, str], list[Segment]] = {}
    for where, fields in rows(text_of(path), path):
        if fields[0].startswith(";;"):
            continue
        if len(fields) not in {5, 6}:
            raise CorpusError(f"{where}: {len(fields)} fields, expected recording, channel, start, duration, token and perhaps confidence")
        recording, channel, start, duration, token = fields[:5]
        start_s = seconds(start, where)
        found.setdefault((recording, channel), []).append(segment(token, start_s, start_s + seconds(duration, where), where))
    level = "phone" if "phone" in path.name.lower() else "word"
    first = 0 if any(channel == "0" for _, channel in found) else 1
    return [
        Tier(recording=recording, level=level, segments=tuple(segments), channel=_channel(channel, first))
        for (recording, channel), segments in found.items()
    ]


def _channel(name: str, first: int) -> int | None:
    """The number of a channel, from 0; None for a name that says none."""
    number = whole(name)
    return {"A": 0, "B": 1}.get(name.upper()) if number is None else number - first
