"""MELD: three splits that count their dialogues anew, clips, and what is known to be broken."""

from pathlib import Path

import pytest

from emocache.corpora import meld
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError, UsageError
from emocache.types import Utterance

from . import trees

BROKEN_ROWS = {
    "train": ("1,Yes.,Ross,neutral,neutral,125,2,1,1,t,t", "2,No.,Ross,joy,positive,125,3,1,1,t,t"),
    "dev": ("1,Hm.,Ross,anger,negative,110,7,1,1,t,t", "2,Oh.,Ross,fear,negative,110,8,1,1,t,t"),
}


def read(root: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in meld.read(root)}


def test_a_row_carries_all_that_the_corpus_says_of_it(tmp_path: Path) -> None:
    assert meld.read(trees.meld(tmp_path))[0] == Utterance(
        id="train_dia0_utt0",
        path="train_splits/dia0_utt0.wav",
        emotion="neutral",
        speaker="Ross",
        split="train",
        dialogue="train_dia0",
        turn=0,
        transcript="It’s “fine”, really",
        language="en",
        extra={
            "sentiment": "neutral",
            "season": "8",
            "episode": "21",
            "episode_start": "00:16:16,059",
            "episode_end": "00:16:21,731",
        },
    )


def test_the_same_dialogue_number_in_three_splits_is_three_dialogues(tmp_path: Path) -> None:
    found = read(trees.meld(tmp_path))
    assert list(found) == ["train_dia0_utt0", "train_dia0_utt1", "dev_dia0_utt0", "test_dia0_utt0"]
    assert {utterance.dialogue for utterance in found.values()} == {"train_dia0", "dev_dia0", "test_dia0"}


def test_clips_that_no_table_lists_are_not_read(tmp_path: Path) -> None:
    root = trees.meld(tmp_path)
    assert (root / "dev_splits_complete" / "dia99_utt0.wav").is_file()
    assert not any("dia99" in name for name in read(root))


def test_tables_and_clips_may_lie_deeper(tmp_path: Path) -> None:
    root = trees.meld(tmp_path)
    (root / "train").mkdir()
    for name in ("train_sent_emo.csv", "train_splits"):
        (root / name).rename(root / "train" / name)
    assert read(root)["train_dia0_utt1"].path == "train/train_splits/dia0_utt1.wav"


def test_a_wav_or_a_flac_is_taken_before_the_mp4_of_its_name(tmp_path: Path) -> None:
    root = trees.meld(tmp_path)
    folder = root / "train_splits"
    trees.write(folder / "dia0_utt0.mp4", "video")
    (folder / "dia0_utt1.wav").unlink()
    trees.tone(folder / "dia0_utt1.flac")
    (folder / "dia0_utt1.flac").with_suffix(".mp4").write_text("video")
    (root / "test_sent_emo.csv").write_text(trees.MELD_HEADER + "1,No!,Monica,anger,negative,5,5,3,19,t,t\n")
    found = read(root)
    assert [Path(found[f"train_dia0_utt{n}"].path).name for n in (0, 1)] == ["dia0_utt0.wav", "dia0_utt1.flac"]
    assert found["test_dia5_utt5"].path == "output_repeated_splits_test/dia5_utt5.mp4"


def test_without_ffmpeg_an_mp4_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = trees.meld(tmp_path / "corpus")
    (root / "train_splits" / "dia0_utt0.wav").rename(root / "train_splits" / "dia0_utt0.mp4")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UsageError, match=r"dia0_utt0\.mp4: needs ffmpeg, which is not on PATH; install it, or put a \.wav"):
        prepare("meld", root, data=tmp_path / "data")


def test_a_clip_that_is_missing_stops_and_is_named(tmp_path: Path) -> None:
    root = trees.meld(tmp_path / "corpus")
    (root / "test_sent_emo.csv").write_text(trees.MELD_HEADER + "1,No!,Monica,anger,negative,5,5,3,19,t,t\n")
    with pytest.raises(CorpusError, match=r"1 of 4 audio files are missing, first test_dia5_utt5"):
        prepare("meld", root, data=tmp_path / "data")


def test_what_is_known_to_be_broken_is_left_out_by_name(tmp_path: Path) -> None:
    root = trees.meld(tmp_path / "corpus", BROKEN_ROWS)
    (root / "train_splits" / "dia125_utt3.wav").write_bytes(b"no audio at all, really" * 9)
    (root / "dev_splits_complete" / "dia110_utt7.wav").unlink()
    prepared = prepare("meld", root, data=tmp_path / "data")
    assert [utterance.id for utterance in prepared.corpus.utterances] == ["train_dia125_utt2", "dev_dia110_utt8"]
    assert [(one.id, one.label) for one in prepared.left_out] == [("train_dia125_utt3", "joy"), ("dev_dia110_utt7", "anger")]
    assert prepared.corpus.notes[0].startswith("left out as 2 utterances known to be broken: train_dia125_utt3 (its clip cannot")


def test_the_absurdly_long_are_pointed_out_and_kept(tmp_path: Path) -> None:
    root = trees.meld(tmp_path / "corpus")
    trees.tone(root / "train_splits" / "dia0_utt1.wav", seconds=61)
    corpus = prepare("meld", root, data=tmp_path / "data").corpus
    assert corpus.notes == ("train_dia0_utt1 lasts 61 s, and is kept; listen to it",)
    assert len(corpus.utterances) == 4


def test_sentiment_is_a_scheme_of_its_own(tmp_path: Path) -> None:
    corpus = prepare("meld", trees.meld(tmp_path / "corpus"), data=tmp_path / "data", scheme="meld-sentiment").corpus
    assert [(u.emotion, u.label("raw_emotion")) for u in corpus.utterances][1] == ("positive", "joy")


def test_differences_name_class_and_split(tmp_path: Path) -> None:
    differs = prepare("meld", trees.meld(tmp_path / "corpus"), data=tmp_path / "data").corpus.differs
    assert "train, neutral: 1 utterances, expected 4710" in differs
    assert "test, fear: 0 utterances, expected 50" in differs
    assert len(differs) == 21


def test_the_published_numbers_of_rows_add_up() -> None:
    splits = meld.INFO.expected_splits
    assert [sum(counts.values()) for counts in splits["meld-7"].values()] == [9989, 1109, 2610]
    assert [sum(counts.values()) for counts in splits["meld-sentiment"].values()] == [9989, 1109, 2610]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("Sr No.,Utterance\n1,a\n", r"train_sent_emo\.csv: no column Speaker, Emotion, .*; restore the file"),
        (trees.MELD_HEADER + "1,a,b\n", r"train_sent_emo\.csv:2: not as many fields as the header"),
        (trees.MELD_HEADER + "1,a,Ross,joy,positive,0,first,1,1,t,t\n", r"train_sent_emo\.csv:2: turn is 'first', expected a whole number"),
    ],
)
def test_a_damaged_table_is_named_by_file_and_line(tmp_path: Path, content: str, message: str) -> None:
    trees.write(tmp_path / "train_sent_emo.csv", content)
    with pytest.raises(CorpusError, match=message):
        meld.read(tmp_path)
