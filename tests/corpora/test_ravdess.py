"""RAVDESS: everything from the file name."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import audio
from emocache.corpora import ravdess
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.manifest import read_csv
from emocache.types import Utterance

from . import trees


def test_a_file_name_says_all_of_its_utterance(tmp_path: Path) -> None:
    utterance = ravdess.read(trees.ravdess(tmp_path, ("03-01-05-02-02-01-12",)))[0]
    assert utterance == Utterance(
        id="03-01-05-02-02-01-12",
        path="Actor_12/03-01-05-02-02-01-12.wav",
        emotion="angry",
        speaker="Actor_12",
        gender="F",
        transcript="Dogs are sitting by the door",
        language="en",
        extra={"emotion4": "ang", "intensity": "strong", "statement": "2", "repetition": "1"},
    )


def test_calm_is_a_class_of_eight_and_none_of_four(tmp_path: Path) -> None:
    utterance = ravdess.read(trees.ravdess(tmp_path, ("03-01-02-01-01-01-01",)))[0]
    assert utterance.emotion == "calm"
    assert utterance.label("emotion4") is None


def test_every_emotion_code_has_its_word(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path, tuple(f"03-01-0{code}-01-01-01-01" for code in range(1, 9)))
    words = ["neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"]
    assert [utterance.emotion for utterance in ravdess.read(root)] == words


def test_flac_and_one_folder_above_the_actors_will_do(tmp_path: Path) -> None:
    trees.tone(tmp_path / "audio" / "Actor_03" / "03-01-04-01-01-02-03.flac")
    utterance = ravdess.read(tmp_path)[0]
    assert (utterance.path, utterance.gender) == ("audio/Actor_03/03-01-04-01-01-02-03.flac", "M")


def test_actors_at_the_root_win_over_a_second_copy_below(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path)
    trees.ravdess(root / "audio_speech_actors_01-24")
    assert len(ravdess.read(root)) == len(trees.RAVDESS_NAMES)


def test_two_folders_of_actors_leave_the_choice_to_the_user(tmp_path: Path) -> None:
    trees.ravdess(tmp_path / "one")
    trees.ravdess(tmp_path / "two")
    with pytest.raises(CorpusError, match="Actor folders lie in one, two; give one of these"):
        ravdess.read(tmp_path)


def test_song_beside_the_speech_is_not_read(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path, ("03-01-03-01-01-01-01", "03-02-03-01-01-01-01"))
    assert [utterance.id for utterance in ravdess.read(root)] == ["03-01-03-01-01-01-01"]


def test_song_alone_is_not_the_speech_part(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path, ("03-02-03-01-01-01-01",))
    with pytest.raises(CorpusError, match="no speech among 1 audio files"):
        ravdess.read(root)


@pytest.mark.parametrize("name", ["03-01-09-01-01-01-01", "03-01-03-01-01-01-25", "03-01-03-01-01-01", "happy"])
def test_a_name_that_is_not_ravdess_is_named(tmp_path: Path, name: str) -> None:
    trees.tone(tmp_path / "Actor_01" / f"{name}.wav")
    with pytest.raises(CorpusError, match=f"{name}.wav: not a RAVDESS name; expected seven numbers"):
        ravdess.read(tmp_path)


def test_the_originals_with_a_chunk_before_their_audio_decode_and_two_channels_become_one(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path / "corpus", ("03-01-03-01-01-01-01",))
    path = root / "Actor_01" / "03-01-03-01-01-01-01.wav"
    soundfile.write(path, np.full((4800, 2), (0.5, -0.25)), 48_000, subtype="PCM_16")
    content = path.read_bytes()
    filler = b"FLLR" + (4044).to_bytes(4, "little") + bytes(4044)
    path.write_bytes(content[:4] + (len(content) - 8 + len(filler)).to_bytes(4, "little") + content[8:36] + filler + content[36:])
    corpus = prepare("ravdess", root, data=tmp_path / "data").corpus
    assert corpus.utterances[0].samples == 1600
    assert audio.load(path)[800] == pytest.approx(0.125, abs=1e-3)


def test_files_that_macos_leaves_are_not_audio(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path)
    trees.write(root / "Actor_01" / "._03-01-01-01-01-01-01.wav", "x")
    assert len(ravdess.read(root)) == len(trees.RAVDESS_NAMES)


def test_the_same_utterance_as_wav_and_flac_is_refused(tmp_path: Path) -> None:
    root = trees.ravdess(tmp_path / "corpus", ("03-01-03-01-01-01-01",))
    trees.tone(root / "Actor_01" / "03-01-03-01-01-01-01.flac")
    with pytest.raises(CorpusError, match="1 utterance ids stand more than once, first '03-01-03-01-01-01-01'"):
        prepare("ravdess", root, data=tmp_path / "data")


def test_expected_counts_follow_from_the_design_of_the_recordings() -> None:
    per_emotion = 24 * 2 * 2 * 2  # actors, statements, repetitions, intensities
    eight = ravdess.INFO.expected["ravdess-8"]
    assert sum(eight.values()) == 1440
    assert eight["neutral"] == per_emotion / 2
    assert ravdess.INFO.expected["ravdess-4"] == {"ang": 192, "hap": 192, "sad": 192, "neu": 96}


def test_the_real_corpus_is_complete_and_agrees_with_its_own_list(ravdess_root: Path) -> None:
    found = {utterance.id: utterance for utterance in ravdess.read(ravdess_root)}
    assert Counter(utterance.emotion for utterance in found.values()) == ravdess.INFO.expected["ravdess-8"]
    for row in read_csv(ravdess_root / "manifest.csv"):
        mine = found[row.id]
        assert (mine.path, mine.emotion, mine.speaker, mine.gender, mine.transcript) == (
            row.path, row.emotion, row.speaker, row.gender, row.transcript,
        )  # fmt: skip
        assert {name: mine.extra[name] for name in ("emotion4", "intensity")} == {
            name: row.extra[name] for name in ("emotion4", "intensity")
        }
