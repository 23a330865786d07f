"""IEMOCAP's wdseg, phseg and syseg: frames to seconds, what is silence and noise, and damage named by line."""

from pathlib import Path

import pytest

from emocache.alignment import NOISE, SILENCE, SPEECH, Segment
from emocache.alignments import sphinx
from emocache.errors import CorpusError
from tests.corpora.trees import write

WORDS = """  SFrm  EFrm    SegAScr Word
\t    0    40     -52100 <s>
\t   41    72     -17530 WHAT(2)
\t   73    99     -10000 ++LAUGHTER++
\t  100  1099     -30000 <sil>
\t 1100  1105     -12000 OH
\t 1106  1110      -1200 </s>
 Total score:     -122830
"""
PHONES = """  SFrm  EFrm   SegAScr Phone
\t    0    40     -52100 SIL
\t   41    50      -4100 W SIL AH b
\t   51    72     -13430 T AH SIL e
\t   73    99     -10000 +LAUGHTER+
 Total score:      -79630
"""
SYLLABLES = "  SFrm  EFrm  Syllable\n   41    60  W_AH\n   65    72  T_AX\n"


def read(tmp_path: Path, name: str, text: str) -> tuple[Segment, ...]:
    [tier] = sphinx.read(write(tmp_path / name, text))
    return tier.segments


def test_a_segment_lasts_from_the_beginning_of_its_first_frame_to_the_end_of_its_last(tmp_path: Path) -> None:
    assert read(tmp_path, "u.wdseg", WORDS)[1] == Segment("WHAT", 0.41, 0.73, SPEECH)


def test_segments_that_follow_each_other_touch(tmp_path: Path) -> None:
    words = read(tmp_path, "u.wdseg", WORDS)
    assert [one.end_s for one in words[:-1]] == [one.start_s for one in words[1:]]
    assert words[-1].end_s == 11.11


def test_controls_are_silence_and_plus_signs_are_noise(tmp_path: Path) -> None:
    kinds = [one.kind for one in read(tmp_path, "u.wdseg", WORDS)]
    assert kinds == [SILENCE, SPEECH, NOISE, SILENCE, SPEECH, SILENCE]
    assert [one.kind for one in read(tmp_path, "u.phseg", PHONES)] == [SILENCE, SPEECH, SPEECH, NOISE]


def test_a_phone_is_named_without_its_neighbours(tmp_path: Path) -> None:
    assert [one.label for one in read(tmp_path, "u.phseg", PHONES)] == ["SIL", "W", "T", "+LAUGHTER+"]


def test_syllables_have_no_score_no_last_line_and_gaps_at_pauses(tmp_path: Path) -> None:
    assert read(tmp_path, "u.syseg", SYLLABLES) == (Segment("W_AH", 0.41, 0.61), Segment("T_AX", 0.65, 0.73))


def test_a_file_may_be_empty_after_its_header(tmp_path: Path) -> None:
    assert read(tmp_path, "u.syseg", "  SFrm  EFrm  Syllable\n") == ()
    assert read(tmp_path, "u.wdseg", "  SFrm  EFrm    SegAScr Word\n Total score:          0\n") == ()


def test_the_tier_says_its_level_and_recording(tmp_path: Path) -> None:
    [tier] = sphinx.read(write(tmp_path / "Ses01F_impro01_F000.phseg", PHONES))
    assert (tier.level, tier.recording) == ("phone", "Ses01F_impro01_F000")


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("u.wdseg", WORDS.replace("72     -17530", "7x     -17530"), r"u\.wdseg:3: .* is no row"),
        ("u.wdseg", WORDS.replace(" <sil>", ""), r"u\.wdseg:5: .* is no row"),
        ("u.wdseg", WORDS.replace("   41    72", "   72    41"), r"u\.wdseg:3: 'WHAT' begins at 0\.72 s and ends at 0\.42 s"),
        ("u.wdseg", WORDS.partition(" Total")[0], r"u\.wdseg:7: breaks off here, before its last line"),
        ("u.phseg", "  SFrm  EFrm   SegAScr Phone\n", r"u\.phseg:1: breaks off here, before its last line"),
        ("u.wdseg", "", r"u\.wdseg:1: expected the header"),
        ("u.phseg", PHONES.replace("W SIL AH b", "W SIL"), r"u\.phseg:3: .* is no row"),
        ("u.syseg", SYLLABLES.replace("W_AH", "W AH"), r"u\.syseg:2: .* is no row"),
        ("u.wdseg", WORDS.replace("72     -17530", f"{5000 * '7'}     -17530"), r"u\.wdseg:3: .* is no row"),
        ("u.syseg", PHONES, r"u\.syseg:1: expected the header 'SFrm EFrm Syllable'"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, name: str, text: str, where: str) -> None:
    with pytest.raises(CorpusError, match=f"{where}.*restore the file"):
        sphinx.read(write(tmp_path / name, text))
