"""EmoDB's hand-made labels."""

from pathlib import Path

import pytest

from emocache.alignment import SILENCE, SPEECH, Segment
from emocache.alignments import emodb
from emocache.errors import CorpusError
from emocache.types import Utterance
from tests.corpora.trees import write

SYLLABLES = "0.25\t.\n0.5 sch\xf6n\n0.75   \xfcber\n1.0\t.\n".encode("latin-1")
PHONES = b"signal 03a01Fa\ntype 0\ncolor 121\nseparator ;\nnfields 1\n#\n    0.25  121 .\n    0.5  121 S\t1\n    0.75  121 2:\n"
SAID = Utterance(id="03a01Fa", path="wav/03a01Fa.wav", samples=16_000)
OTHER = Utterance(id="08b02Wa", path="wav/08b02Wa.wav", samples=16_000)


def test_a_syllable_begins_where_the_one_before_it_ended(tmp_path: Path) -> None:
    [tier] = emodb.read(write(tmp_path / "03a01Fa.silb", SYLLABLES))
    assert (tier.level, tier.recording) == ("syllable", "03a01Fa")
    pause = Segment(".", 0.0, 0.25, SILENCE)
    assert tier.segments == (pause, Segment("sch\xf6n", 0.25, 0.5), Segment("\xfcber", 0.5, 0.75), Segment(".", 0.75, 1.0, SILENCE))


@pytest.mark.parametrize(("suffix", "level"), [("lablaut", "phone"), ("labsilb", "syllable")])
def test_labels_come_after_a_header_with_a_colour_and_perhaps_more(tmp_path: Path, suffix: str, level: str) -> None:
    [tier] = emodb.read(write(tmp_path / f"u.{suffix}", PHONES))
    assert tier.level == level
    assert tier.segments == (Segment(".", 0.0, 0.25, SILENCE), Segment("S", 0.25, 0.5), Segment("2:", 0.5, 0.75))


def test_only_a_dot_is_a_pause(tmp_path: Path) -> None:
    [tier] = emodb.read(write(tmp_path / "u.silb", "0.25\tsil\n0.5\tber\n0.75\t.\n"))
    assert [one.kind for one in tier.segments] == [SPEECH, SPEECH, SILENCE]


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    assert emodb.read(write(tmp_path / "u.silb", ""))[0].segments == ()


@pytest.mark.parametrize(
    ("name", "text", "where"),
    [
        ("u.silb", SYLLABLES.replace(b"0.75 ", b"0,75 "), r"u\.silb:3: '0,75' is no time"),
        ("u.silb", SYLLABLES.replace(b"0.75 ", b"0.45 "), r"u\.silb:3: '\xfcber' begins at 0\.5 s and ends at 0\.45 s"),
        ("u.silb", b"0.25\t.\n0.5\n", r"u\.silb:2: '0\.5' lacks a field"),
        ("u.lablaut", PHONES.replace(b"0.5  121 S\t1", b"0.5"), r"u\.lablaut:8: '0\.5' lacks a field"),
        ("u.lablaut", PHONES.replace(b"#\n", b""), r"u\.lablaut:9: no line '#' ends its header"),
    ],
)
def test_damage_is_named_by_file_and_line(tmp_path: Path, name: str, text: bytes, where: str) -> None:
    with pytest.raises(CorpusError, match=f"{where}.*restore the file"):
        emodb.read(write(tmp_path / name, text))


def test_a_corpus_without_labels_brings_no_alignment(tmp_path: Path) -> None:
    assert emodb.emodb_alignment(tmp_path, [SAID]) == []


def test_labels_beside_the_audio_are_found_by_id_and_who_has_none_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "silb" / "03a01Fa.silb", SYLLABLES)
    write(tmp_path / "lablaut" / "03a01Fa.lablaut", PHONES)
    write(tmp_path / "silb" / "08b02Wa.silb", "")
    [alignment] = emodb.emodb_alignment(tmp_path, [SAID, OTHER])
    assert alignment.source == "emodb"
    assert [one.label for one in alignment.of("syllable", "03a01Fa", 1.0)] == ["sch\xf6n", "\xfcber"]
    assert [one.label for one in alignment.of("phone", "03a01Fa", 1.0)] == ["S", "2:"]
    assert alignment.without == {"08b02Wa": "its file holds no segments of it"}


def test_syllables_are_those_of_labsilb_only_where_silb_has_none(tmp_path: Path) -> None:
    write(tmp_path / "silb" / "03a01Fa.silb", SYLLABLES)
    write(tmp_path / "silb" / "08b02Wa.silb", "")
    for name in ("03a01Fa", "08b02Wa"):
        write(tmp_path / "labsilb" / f"{name}.labsilb", PHONES)
    [alignment] = emodb.emodb_alignment(tmp_path, [SAID, OTHER])
    assert [one.label for one in alignment.of("syllable", "03a01Fa", 1.0)] == ["sch\xf6n", "\xfcber"]
    assert [one.label for one in alignment.of("syllable", "08b02Wa", 1.0)] == ["S", "2:"]


def test_a_damaged_file_is_listed_and_stops_nothing(tmp_path: Path) -> None:
    write(tmp_path / "silb" / "03a01Fa.silb", "soon\t.\n")
    write(tmp_path / "silb" / "08b02Wa.silb", SYLLABLES)
    [alignment] = emodb.emodb_alignment(tmp_path, [SAID, OTHER])
    assert "03a01Fa.silb:1: 'soon' is no time" in alignment.without["03a01Fa"]
    assert list(alignment.segments["syllable"]) == ["08b02Wa"]
