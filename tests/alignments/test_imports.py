"""A folder of alignments finds its utterances, tells who has none, and never guesses."""

from pathlib import Path

import pytest

from emocache import alignment
from emocache.alignment import SILENCE, Segment
from emocache.alignments.imports import read_folder
from emocache.errors import CorpusError, UsageError
from emocache.types import Utterance
from tests.corpora.trees import write

from .test_sphinx import PHONES, SYLLABLES, WORDS
from .test_textgrid import LONG

ANN = Utterance(id="ann1", path="ann/ann1.wav", samples=32_000, speaker="ann")
BOB = Utterance(id="bob1", path="bob/bob1.wav", samples=32_000, speaker="bob")


def labels(found: alignment.Alignment, name: str, level: str = "word") -> list[str]:
    return [one.label for one in found.of(level, name, 9.0)]


def test_nested_folders_are_searched_and_files_are_found_by_id(tmp_path: Path) -> None:
    write(tmp_path / "ann" / "ann1.TextGrid", LONG)
    found = read_folder(tmp_path, [ANN, BOB])
    assert (found.source, found.levels) == ("mfa", ("word",))
    assert labels(found, "ann1") == ["hello", "<unk>"]
    assert found.without == {"bob1": "no file"}


def test_a_file_may_have_the_name_of_the_audio(tmp_path: Path) -> None:
    write(tmp_path / "take7.TextGrid", LONG)
    renamed = Utterance(id="first", path="raw/take7.wav", samples=32_000)
    assert labels(read_folder(tmp_path, [renamed]), "first") == ["hello", "<unk>"]


def test_an_utterance_cut_from_a_recording_gets_its_stretch_with_times_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "talk.TextGrid", LONG)
    early = Utterance(id="a", path="talk.wav", start_s=0.0, end_s=0.2)
    late = Utterance(id="b", path="talk.wav", start_s=0.2, end_s=1.25)
    found = read_folder(tmp_path, [early, late])
    assert found.segments["word"]["a"] == (Segment("", 0.0, 0.2, SILENCE),)
    silence, hello, unknown = found.segments["word"]["b"]
    assert (silence.start_s, silence.end_s, hello.end_s) == pytest.approx((0.0, 0.05, 0.8))
    assert (unknown.start_s, unknown.end_s) == pytest.approx((0.8, 1.05))
    assert found.notes == {"b": "word: 1 of 3 segments cut at the audio's end"}


def test_a_file_named_by_the_id_of_a_cut_utterance_tells_of_the_utterance_alone(tmp_path: Path) -> None:
    write(tmp_path / "b.TextGrid", LONG)
    found = read_folder(tmp_path, [Utterance(id="b", path="talk.wav", start_s=10.0, end_s=12.0)])
    assert found.segments["word"]["b"][1] == Segment("hello", 0.25, 1.0)


def test_the_speakers_own_tiers_are_taken_where_a_recording_has_several(tmp_path: Path) -> None:
    csv = "Begin,End,Label,Type,Speaker\n0.0,0.5,yes,words,ann\n0.2,0.9,no,words,bob\n0.5,1.0,,words,ann\n"
    write(tmp_path / "talk.csv", csv)
    said = [Utterance(id=name, path="talk.wav", speaker=speaker, start_s=0.0, end_s=1.0) for name, speaker in [("a", "ann"), ("b", "bob")]]
    found = read_folder(tmp_path, said)
    assert (labels(found, "a"), labels(found, "b")) == (["yes"], ["no"])


def test_speakers_that_the_corpus_does_not_know_are_merged_without_their_silences(tmp_path: Path) -> None:
    csv = "Begin,End,Label,Type,Speaker\n0.0,0.5,yes,words,x\n0.5,0.9,no,words,y\n0.5,1.0,,words,x\n"
    write(tmp_path / "ann1.csv", csv)
    found = read_folder(tmp_path, [ANN])
    assert [one.label for one in found.of("word", "ann1", 9.0, silence=True)] == ["yes", "no"]


def test_a_ctm_holds_many_utterances_and_its_channel_picks_the_speaker(tmp_path: Path) -> None:
    path = write(tmp_path / "all.ctm", "ann1 A 0.0 0.5 yes\ncall A 0.0 0.5 hello\ncall B 0.25 0.5 there\n")
    callers = [Utterance(id=f"call{channel}", path="call.wav", channel=channel, samples=16_000) for channel in (0, 1)]
    found = read_folder(path, [ANN, *callers])
    assert found.source == "ctm"
    assert [labels(found, name) for name in ("ann1", "call0", "call1")] == [["yes"], ["hello"], ["there"]]


def test_levels_come_from_several_files_of_an_utterance(tmp_path: Path) -> None:
    for suffix, text in ((".wdseg", WORDS), (".phseg", PHONES), (".syseg", SYLLABLES)):
        write(tmp_path / f"ann1{suffix}", text)
    write(tmp_path / "bob1.phseg", PHONES)
    found = read_folder(tmp_path, [ANN, BOB])
    assert found.source == "wdseg"
    assert found.levels == ("phone", "syllable", "word")
    assert found.without == {}
    assert found.notes["bob1"] == "no syllables; no words"


def test_the_shift_moves_all_times_and_is_written_down(tmp_path: Path) -> None:
    write(tmp_path / "ann1.syseg", SYLLABLES)
    plain, later = read_folder(tmp_path, [ANN]), read_folder(tmp_path, [ANN], shift_s=0.02, source="moved")
    assert later.source == "moved"
    assert [one.start_s for one in later.segments["syllable"]["ann1"]] == pytest.approx([0.43, 0.67])
    assert [one.start_s for one in plain.segments["syllable"]["ann1"]] == [0.41, 0.65]
    assert "+0.02 s" in later.about
    assert "+0.02 s" not in plain.about


def test_segments_beyond_the_audio_are_cut_and_said(tmp_path: Path) -> None:
    write(tmp_path / "ann1.wdseg", WORDS)
    found = read_folder(tmp_path, [ANN])
    assert found.segments["word"]["ann1"][-1].end_s == 2.0
    assert found.notes["ann1"] == "word: 2 of 6 segments empty or beyond the audio: dropped; 1 of 6 segments cut at the audio's end"


def test_files_of_nobody_are_counted(tmp_path: Path) -> None:
    for name in ("ann1", "carl1", "dora1"):
        write(tmp_path / f"{name}.TextGrid", LONG)
    assert read_folder(tmp_path, [ANN]).about.endswith("; 2 more belong to no utterance (first carl1.TextGrid)")


def test_an_empty_file_is_a_reason_to_have_none(tmp_path: Path) -> None:
    write(tmp_path / "ann1.syseg", "SFrm EFrm Syllable\n")
    write(tmp_path / "bob1.syseg", SYLLABLES)
    assert read_folder(tmp_path, [ANN, BOB]).without == {"ann1": "its file holds no segments of it"}


def test_segments_that_all_lie_beyond_the_audio_are_the_reason(tmp_path: Path) -> None:
    write(tmp_path / "ann1.syseg", SYLLABLES)
    write(tmp_path / "bob1.syseg", "SFrm EFrm Syllable\n 300 310 L_EY_T\n")
    found = read_folder(tmp_path, [ANN, BOB])
    assert found.without == {"bob1": "syllable: 1 of 1 segments empty or beyond the audio: dropped"}


def test_a_stretch_in_which_nothing_was_said_is_listed(tmp_path: Path) -> None:
    write(tmp_path / "talk.syseg", SYLLABLES)
    said = [Utterance(id=name, path="talk.wav", start_s=start_s, end_s=start_s + 1) for name, start_s in [("a", 0.0), ("b", 5.0)]]
    assert read_folder(tmp_path, said).without == {"b": "its file holds no segments of it"}


def test_a_damaged_file_stops_all_unless_it_may_be_skipped(tmp_path: Path) -> None:
    write(tmp_path / "ann1.syseg", SYLLABLES)
    write(tmp_path / "bob1.syseg", SYLLABLES.replace("60", "sixty"))
    write(tmp_path / "nobody.syseg", "not looked at")
    with pytest.raises(CorpusError, match=r"bob1\.syseg:2: "):
        read_folder(tmp_path, [ANN, BOB])
    found = read_folder(tmp_path, [ANN, BOB], skip_broken=True)
    assert "bob1.syseg:2: " in found.without["bob1"]
    assert list(found.segments["syllable"]) == ["ann1"]


def test_nothing_that_matches_is_answered_with_a_file_and_an_id(tmp_path: Path) -> None:
    write(tmp_path / "carl1.TextGrid", LONG)
    with pytest.raises(UsageError, match=r"none of 1 names there \(first 'carl1\.TextGrid'\) .* \(first 'ann1'\)"):
        read_folder(tmp_path, [ANN])


def test_two_files_of_one_name_are_told_apart_by_the_folder_of_the_audio(tmp_path: Path) -> None:
    write(tmp_path / "ann" / "one.TextGrid", LONG)
    write(tmp_path / "bob" / "one.TextGrid", LONG.replace("hello", "bye"))
    said = [Utterance(id=f"{name}-one", path=f"wav/{name}/one.wav", samples=32_000) for name in ("ann", "bob", "carl")]
    found = read_folder(tmp_path, said)
    assert (labels(found, "ann-one")[0], labels(found, "bob-one")[0]) == ("hello", "bye")
    assert found.without == {"carl-one": "no file"}


def test_two_files_that_cannot_be_told_apart_are_named(tmp_path: Path) -> None:
    write(tmp_path / "new" / "ann1.TextGrid", LONG)
    write(tmp_path / "old" / "ann1.TextGrid", LONG)
    with pytest.raises(CorpusError, match=r"new/ann1\.TextGrid and .*old/ann1\.TextGrid may both belong to utterance 'ann1'"):
        read_folder(tmp_path, [ANN])


def test_several_formats_in_one_folder_need_a_choice(tmp_path: Path) -> None:
    write(tmp_path / "ann1.TextGrid", LONG)
    write(tmp_path / "ann1.syseg", SYLLABLES)
    with pytest.raises(UsageError, match=r"several formats \(sphinx 1, textgrid 1\); say which with --format"):
        read_folder(tmp_path, [ANN])
    assert read_folder(tmp_path, [ANN], format="textgrid").source == "mfa"


def test_json_that_has_tiers_counts_as_an_alignment_whatever_lies_beside_it(tmp_path: Path) -> None:
    write(tmp_path / "ann1.json", '{"end": 1, "tiers": {"words": {"type": "interval", "entries": [[0.0, 0.5, "yes"]]}}}')
    write(tmp_path / "INFO.json", '{"title": "a corpus"}')
    assert labels(read_folder(tmp_path, [ANN]), "ann1") == ["yes"]


def test_other_json_and_csv_files_may_lie_around(tmp_path: Path) -> None:
    write(tmp_path / "ann1.TextGrid", LONG)
    write(tmp_path / "alignment_analysis.csv", "file,begin,end\n")
    write(tmp_path / "settings.json", "[]")
    write(tmp_path / "INFO.json", '{"title": "a corpus", "licence": "free"}')
    assert read_folder(tmp_path, [ANN]).levels == ("word",)


@pytest.mark.parametrize(
    ("format_", "folder", "message"),
    [
        ("praat", ".", "no format of alignments 'praat'; there are: sphinx, textgrid"),
        (None, "nowhere", "nowhere: no such folder or file of alignments"),
        (None, ".", r"holds no alignments \(\.wdseg, "),
        ("ctm", ".", r"holds no alignments \(\.ctm\)"),
    ],
)
def test_what_cannot_be_read_is_a_wrong_use(tmp_path: Path, format_: str | None, folder: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        read_folder(tmp_path / folder, [ANN], format=format_)


def test_what_was_read_can_be_kept_beside_the_manifest(tmp_path: Path) -> None:
    write(tmp_path / "mfa" / "ann1.TextGrid", LONG)
    found = read_folder(tmp_path / "mfa", [ANN, BOB])
    alignment.save(found, tmp_path / "data", "mine")
    assert alignment.load(tmp_path / "data", "mine", "mfa") == found
