"""CREMA-D: names, tables that may be missing, votes with ties, and the recording without audio."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache.corpora import cremad
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.types import LeftOut, Utterance

from . import trees

BROKEN = "1076_MTI_SAD_XX"


def test_a_recording_carries_all_that_the_corpus_says_of_it(tmp_path: Path) -> None:
    assert cremad.read(trees.cremad(tmp_path))[0] == Utterance(
        id="1001_IEO_ANG_HI",
        path="AudioWAV/1001_IEO_ANG_HI.wav",
        emotion="ang",
        speaker="1001",
        gender="M",
        transcript="It's eleven o'clock",
        language="en",
        extra={
            "sentence": "IEO",
            "intensity": "high",
            "age": "51",
            "race": "Caucasian",
            "ethnicity": "Not Hispanic",
            "voice_vote": "A",
            "voice_level": "55",
            "face_vote": "N",
            "face_level": "60",
            "multimodal_vote": "A",
            "multimodal_level": "70",
        },
    )


def test_the_recordings_alone_will_do_and_may_lie_deeper(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "CREMA-D")
    (root / "VideoDemographics.csv").unlink()
    (root / "processedResults" / "summaryTable.csv").unlink()
    first = cremad.read(tmp_path)[0]
    assert (first.path, first.gender, first.extra) == (
        "CREMA-D/AudioWAV/1001_IEO_ANG_HI.wav",
        None,
        {"sentence": "IEO", "intensity": "high"},
    )


def test_recordings_may_be_flac_and_suffixes_in_capitals(tmp_path: Path) -> None:
    for name in ("1001_IEO_ANG_HI.WAV", "1002_TIE_NEU_XX.FLAC", "1091_WSI_SAD_LO.flac"):
        trees.tone(tmp_path / "AudioWAV" / name)
    assert [utterance.path for utterance in cremad.read(tmp_path)] == [
        "AudioWAV/1001_IEO_ANG_HI.WAV", "AudioWAV/1002_TIE_NEU_XX.FLAC", "AudioWAV/1091_WSI_SAD_LO.flac",
    ]  # fmt: skip


def test_what_else_looks_like_a_recording_is_listed(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "corpus")
    trees.tone(root / "AudioWAV" / "more" / "1003_IEO_ANG_HI.wav")
    trees.tone(root / "AudioWAV" / "1001_IEO_ANG_HI.flac")
    trees.write(root / "AudioWAV" / "1003_IEO_DIS_HI.mp3", "x")
    trees.write(root / "AudioWAV" / "README.txt", "x")
    prepared = prepare("cremad", root, data=tmp_path / "data")
    names = ["AudioWAV/1001_IEO_ANG_HI.flac", "AudioWAV/1003_IEO_DIS_HI.mp3", "AudioWAV/more/1003_IEO_ANG_HI.wav"]
    assert [one.id for one in prepared.left_out] == names
    assert prepared.corpus.left_out == {"(no recording of the corpus)": 3}


def test_the_one_level_that_is_a_single_x_is_unspecified_too(tmp_path: Path) -> None:
    found = {utterance.id: utterance.extra["intensity"] for utterance in cremad.read(trees.cremad(tmp_path))}
    assert found["1040_ITH_SAD_X"] == found["1002_TIE_NEU_XX"] == "unspecified"


def test_the_one_recording_that_the_tables_call_otherwise_is_not_missing_and_has_its_votes(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "corpus")
    trees.write(root / "SentenceFilenames.csv", "Stimulus_Number,Filename\n1,1001_IEO_ANG_HI\n2,1040_ITH_SAD_XX\n")
    found = {utterance.id: utterance for utterance in prepare("cremad", root, data=tmp_path / "data").corpus.utterances}
    assert found["1040_ITH_SAD_X"].extra["voice_vote"] == "N:S"
    assert len(found) == 4


def test_ties_of_the_vote_are_left_out_by_name(tmp_path: Path) -> None:
    prepared = prepare("cremad", trees.cremad(tmp_path / "corpus"), data=tmp_path / "data", scheme="cremad-voted")
    assert [(u.id, u.emotion) for u in prepared.corpus.utterances] == [
        ("1001_IEO_ANG_HI", "ang"), ("1002_TIE_NEU_XX", "neu"), ("1091_WSI_SAD_LO", "sad"),
    ]  # fmt: skip
    assert prepared.left_out == (LeftOut("1040_ITH_SAD_X", "N:S", "voice_vote 'N:S' is no class of cremad-voted"),)


def test_votes_that_are_not_there_are_said_by_their_column(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "corpus")
    (root / "processedResults" / "summaryTable.csv").unlink()
    with pytest.raises(CorpusError, match=r"'cremad-voted' keeps none of 4 utterances by column voice_vote \(\(no label\) 4\)"):
        prepare("cremad", root, data=tmp_path / "data", scheme="cremad-voted")


def test_a_recording_that_the_list_names_and_that_is_not_there_is_missing(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "corpus")
    trees.write(root / "SentenceFilenames.csv", "Stimulus_Number,Filename\n1,1001_IEO_ANG_HI\n2,1003_DFA_HAP_XX\n")
    with pytest.raises(CorpusError, match="1 of 5 audio files are missing, first 1003_DFA_HAP_XX"):
        prepare("cremad", root, data=tmp_path / "data")


def empty(path: Path) -> None:
    soundfile.write(path, np.zeros(0), 16_000)


def silent(path: Path) -> None:
    soundfile.write(path, np.zeros(1600), 16_000)


@pytest.mark.parametrize("spoil", [Path.unlink, empty, silent])
def test_the_recording_without_audio_is_left_out_however_it_lacks_it(tmp_path: Path, spoil: object) -> None:
    root = trees.cremad(tmp_path / "corpus", ("1076_IEO_ANG_HI", BROKEN))
    spoil(root / "AudioWAV" / f"{BROKEN}.wav")  # type: ignore[operator]
    prepared = prepare("cremad", root, data=tmp_path / "data")
    assert [utterance.id for utterance in prepared.corpus.utterances] == ["1076_IEO_ANG_HI"]
    assert [one.id for one in prepared.left_out] == [BROKEN]
    assert any(f"{BROKEN} (has no audio)" in note for note in prepared.corpus.notes)


def test_a_corpus_without_it_is_complete_but_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cremad, "INFO", replace(cremad.INFO, expected={"cremad-6": {"ang": 1, "sad": 1}}))
    root = trees.cremad(tmp_path / "corpus", ("1076_IEO_ANG_HI",))
    corpus = prepare("cremad", root, data=tmp_path / "data").corpus
    assert corpus.differs == ()
    assert corpus.notes == (f"complete but for 1 utterances known to be broken: {BROKEN} (has no audio)",)


def test_a_mended_copy_of_it_is_kept(tmp_path: Path) -> None:
    corpus = prepare("cremad", trees.cremad(tmp_path / "corpus", ("1076_IEO_ANG_HI", BROKEN)), data=tmp_path / "data").corpus
    assert [utterance.id for utterance in corpus.utterances] == ["1076_IEO_ANG_HI", BROKEN]
    assert corpus.notes == ()


def test_a_clone_without_git_lfs_is_told_what_to_do(tmp_path: Path) -> None:
    root = trees.cremad(tmp_path / "corpus")
    for path in (root / "AudioWAV").iterdir():
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    with pytest.raises(CorpusError, match=r"4 of 4 audio files cannot be used, .* is a Git LFS pointer, not audio; run `git lfs pull`"):
        prepare("cremad", root, data=tmp_path / "data")


@pytest.mark.parametrize("name", ["1001_IEO_ANG", "1001_XXX_ANG_HI", "1001_IEO_JOY_HI", "angry"])
def test_a_name_that_is_not_crema_ds_is_named(tmp_path: Path, name: str) -> None:
    trees.tone(tmp_path / "AudioWAV" / f"{name}.wav")
    with pytest.raises(CorpusError, match=rf"{name}\.wav: not a CREMA-D name; expected such as 1001_IEO_ANG_HI"):
        cremad.read(tmp_path)


def test_the_published_numbers_add_up() -> None:
    assert sum(cremad.INFO.expected["cremad-6"].values()) == 7442
    assert len(cremad.SENTENCES) == 12
