"""The Montreal Forced Aligner's other outputs: JSON and CSV.

{"start": 0, "end": 1.3, "tiers": {"words": {"type": "interval", "entries": [[0.0, 0.55, "montreal"], ...]}, ...}}
Begin,End,Label,Type,Speaker
0.0,0.55,montreal,words,michael
"""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

from emocache.alignment import Segment
from emocache.alignments.tiers import Tier, named, seconds, segment, text_of
from emocache.errors import CorpusError

_LONE = re.compile("[\ud800-\udfff]")
"""Half a character, which JSON can hold and no file of text."""
COLUMNS = ["Begin", "End", "Label", "Type", "Speaker"]


def read_json(path: Path) -> list[Tier]:
    """The tiers of words, phones and syllables. CorpusError names the line, or the tier and entry, of what is damaged."""
    try:
        tiers = json.loads(text_of(path))["tiers"].items()
    except json.JSONDecodeError as error:
        raise CorpusError(f"{path}:{error.lineno}: is no JSON ({error.msg}); restore the file") from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path}: is no JSON of an alignment ({error}); restore the file") from None
    except (KeyError, TypeError, AttributeError):
        raise CorpusError(f"{path}: has no object 'tiers'; give JSON as the Montreal Forced Aligner writes it") from None
    found = [(name, level, tier) for name, tier in tiers if (level := named(name))]
    if not found:
        names = ", ".join(repr(name) for name, _ in tiers) or "none"
        raise CorpusError(f"{path}: has no tier 'words', 'phones' or 'syllables' (tiers: {names}); rename the one that is meant")
    return [
        Tier(recording=path.stem, level=level, speaker=speaker, segments=_entries(tier, f"{path}: tier {name!r}"))
        for name, (level, speaker), tier in found
    ]


def _entries(tier: Any, where: str) -> tuple[Segment, ...]:
    """The entries of one tier of a JSON file."""
    if not isinstance(tier, dict) or not isinstance(tier.get("entries"), list):
        raise CorpusError(f"{where}: has no list 'entries'; restore the file")
    segments = []
    for number, entry in enumerate(tier["entries"], start=1):
        match entry:
            case [int() | float() as start_s, int() | float() as end_s, str(label)] if not _LONE.search(label):
                place = f"{where}, entry {number}"
                segments.append(segment(label, seconds(str(start_s), place), seconds(str(end_s), place), place))
            case _:
                raise CorpusError(f"{where}, entry {number}: is {entry!r}, expected [begin, end, label]; restore the file")
    return tuple(segments)


def read_csv(path: Path) -> list[Tier]:
    """The tiers of words, phones and syllables of every speaker. CorpusError names the line of what is damaged."""
    found: dict[tuple[str, str | None], list[Segment]] = {}
    reader = csv.reader(io.StringIO(text_of(path), newline=""), strict=True)
    try:
        if next(reader, None) != COLUMNS:
            raise CorpusError(f"{path}:1: expected the columns {','.join(COLUMNS)}, as the Montreal Forced Aligner writes them")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if len(row) != len(COLUMNS):
                raise CorpusError(f"{where}: holds {len(row)} of {len(COLUMNS)} columns; restore the file")
            begin, end, label, name, speaker = row
            if level := named(name):
                one = segment(label, seconds(begin, where), seconds(end, where), where)
                found.setdefault((level[0], speaker or level[1]), []).append(one)
    except csv.Error as error:
        raise CorpusError(f"{path}:{reader.line_num}: is no CSV ({error}); restore the file") from None
    return [Tier(recording=path.stem, level=level, speaker=speaker, segments=tuple(ones)) for (level, speaker), ones in found.items()]
