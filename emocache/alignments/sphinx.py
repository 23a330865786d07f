"""The alignments that IEMOCAP brings, made with CMU Sphinx-3: .wdseg (words), .phseg (phones), .syseg (syllables).

      SFrm  EFrm    SegAScr Word          SFrm  EFrm   SegAScr Phone          SFrm  EFrm  Syllable
         0    40     -52100 <s>              0    40    -52100 SIL              41    72  W_AH_T
        41    72     -17530 WHAT(2)         41    47     -4100 W SIL AH b
     Total score:     -69630              Total score:   -69630               (no such line)

Frame f lasts from f/100 to (f + 1)/100 s and EFrm is inclusive, so a segment lasts from SFrm/100 + shift to
(EFrm + 1)/100 + shift seconds. The shift is `shift_s` of read_folder, 0 unless it is given.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from emocache.alignment import Segment
from emocache.alignments.tiers import Tier, rows, segment, text_of, whole
from emocache.errors import CorpusError

LEVELS = {".wdseg": "word", ".phseg": "phone", ".syseg": "syllable"}
_FRAMES_PER_S = 100
_HEADS = {".wdseg": "SFrm EFrm SegAScr Word", ".phseg": "SFrm EFrm SegAScr Phone", ".syseg": "SFrm EFrm Syllable"}
_FIELDS = {".wdseg": (4,), ".phseg": (4, 7), ".syseg": (3,)}
"""Of a row: a phone may be followed by its neighbours and its place in the word."""
_LABEL_AT = {".wdseg": 3, ".phseg": 3, ".syseg": 2}
_VARIANT = re.compile(r"(?<=.)\(\d+\)$")
"""WHAT(2) is another pronunciation of WHAT."""


def read(path: Path) -> list[Tier]:
    """The one tier of a file, by its suffix; its rows split at white space, since columns shift from frame 1000 on.

    CorpusError names file and line of whatever is damaged; a file of words or phones that lacks its last line is.
    """
    suffix = path.suffix.lower()
    head, *body = list(rows(text_of(path), path)) or [("", [])]
    if " ".join(head[1]) != _HEADS[suffix]:
        raise CorpusError(f"{path}:1: expected the header {_HEADS[suffix]!r}; restore the file")
    if suffix != ".syseg" and (last := body.pop() if body else head)[1][:2] != ["Total", "score:"]:
        raise CorpusError(f"{last[0]}: breaks off here, before its last line 'Total score: ...'; restore the file")
    segments = tuple(_segment(fields, where, suffix) for where, fields in body)
    return [Tier(recording=path.stem, level=LEVELS[suffix], segments=segments)]


def _segment(fields: Sequence[str], where: str, suffix: str) -> Segment:
    """One row."""
    first, last = whole(fields[0]), whole(fields[1]) if len(fields) > 1 else None
    if len(fields) not in _FIELDS[suffix] or first is None or last is None:
        raise CorpusError(f"{where}: {' '.join(fields)[:80]!r} is no row of {_HEADS[suffix]!r}; restore the file")
    label = _VARIANT.sub("", fields[_LABEL_AT[suffix]])
    return segment(label, first / _FRAMES_PER_S, (last + 1) / _FRAMES_PER_S, where)
