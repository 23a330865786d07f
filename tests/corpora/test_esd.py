"""ESD: two layouts, two languages, four encodings."""

from pathlib import Path

import pytest

from emocache.corpora import esd, tables
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.types import Utterance

from . import trees


def read(root: Path) -> dict[str, Utterance]:
    return {utterance.id: utterance for utterance in esd.read(root)}


def test_a_file_and_its_line_say_all_of_an_utterance(tmp_path: Path) -> None:
    assert read(trees.esd(tmp_path))["0001_000371"] == Utterance(
        id="0001_000371",
        path="0001/Happy/train/0001_000371.wav",
        emotion="happy",
        speaker="0001",
        gender="F",
        split="train",
        transcript="打远一看。",
        language="zh",
    )


def test_texts_are_read_in_every_encoding_that_they_come_in(tmp_path: Path) -> None:
    texts = [utterance.transcript for utterance in esd.read(trees.esd(tmp_path))]
    assert texts == ["打远一看。", "他不在。", "The nine the eggs, I keep.", "A café, chef."]


@pytest.mark.parametrize("encoding", ["gb2312", "utf-16", "utf-16-le", "utf-8", "utf-8-sig"])
def test_a_speakers_text_may_have_been_encoded_anew(tmp_path: Path, encoding: str) -> None:
    root = trees.esd(tmp_path)
    trees.write(root / "0001" / "0001.txt", "0001_000371\t打远一看。\t快乐\r\n".encode(encoding))
    assert read(root)["0001_000371"].transcript == "打远一看。"


def test_a_missing_transcript_is_no_transcript(tmp_path: Path) -> None:
    root = trees.esd(tmp_path)
    (root / "0001" / "0001.txt").unlink()
    trees.write(root / "0003" / "0003.txt", "0003_001101\tanother\tSad\n\n0003_001100\n")
    assert [utterance.transcript for utterance in esd.read(root)][:2] == [None, None]


def test_both_layouts_are_read_and_evaluation_is_for_validation(tmp_path: Path) -> None:
    root = trees.esd(tmp_path, ("0011/Angry/0011_000351", "0011/Angry/evaluation/0011_000352", "0011/Sad/test/0011_001051"))
    assert {name: utterance.split for name, utterance in read(root).items()} == {
        "0011_000351": None, "0011_000352": "dev", "0011_001051": "test",
    }  # fmt: skip


def test_recordings_may_be_flac_and_suffixes_in_capitals(tmp_path: Path) -> None:
    root = trees.esd(tmp_path, ())
    for name in ("0011_000351.WAV", "0011_000352.flac", "0011_000353.FLAC", "._0011_000354.wav"):
        trees.tone(root / "0011" / "Angry" / name)
    assert list(read(root)) == ["0011_000351", "0011_000352", "0011_000353"]


def test_recordings_in_folders_that_esd_has_not_are_listed(tmp_path: Path) -> None:
    root = trees.esd(tmp_path / "esd")
    strays = ["0001/0001_000001.wav", "0001/Happy/dev/0001_000391.wav", "0001/Joy/0001_000392.wav", "0021/Sad/0021_001051.WAV"]
    for name in (*strays, "0001/Happy/dev/._0001_000391.wav"):
        trees.tone(root / name)
    prepared = prepare("esd", root, data=tmp_path / "data")
    assert [one.id for one in prepared.left_out] == strays
    assert {one.reason for one in prepared.left_out} == {tables.STRAY}
    assert prepared.corpus.left_out == {"(no recording of the corpus)": 4}
    assert "0001/Happy/dev/0001_000391.wav,," in (tmp_path / "data" / "esd" / "left_out.csv").read_text()


def test_an_utterance_that_lies_in_both_layouts_is_refused(tmp_path: Path) -> None:
    root = trees.esd(tmp_path / "corpus", ("0011/Angry/0011_000351", "0011/Angry/train/0011_000351"))
    with pytest.raises(CorpusError, match="1 utterance ids stand more than once, first '0011_000351'"):
        prepare("esd", root, data=tmp_path / "data")


def test_the_first_ten_speak_mandarin_and_the_others_english(tmp_path: Path) -> None:
    assert [utterance.language for utterance in esd.read(trees.esd(tmp_path))] == ["zh", "zh", "en", "en"]
    assert esd.INFO.language is None


def test_speakers_one_folder_deeper_are_found(tmp_path: Path) -> None:
    trees.esd(tmp_path / "Emotion Speech Dataset")
    assert esd.read(tmp_path)[0].path == "Emotion Speech Dataset/0001/Happy/train/0001_000371.wav"


@pytest.mark.parametrize("name", ["0012/Sad/0011_001051", "0011/Sad/11_1"])
def test_a_name_that_is_not_of_its_speaker_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(CorpusError, match="not an ESD name of this speaker; expected such as 0011_000371"):
        esd.read(trees.esd(tmp_path, (name,)))


def test_a_speaker_without_recordings_is_named(tmp_path: Path) -> None:
    (trees.esd(tmp_path) / "0020").mkdir()
    with pytest.raises(CorpusError, match="0020: no recordings in Neutral, Happy, Angry, Sad, Surprise"):
        esd.read(tmp_path)


def test_counts_by_split_are_checked_only_where_there_are_splits(tmp_path: Path) -> None:
    flat = prepare("esd", trees.esd(tmp_path / "flat", ("0011/Angry/0011_000351",)), data=tmp_path / "data").corpus
    assert "angry: 1 utterances, expected 7000" in flat.differs
    split = prepare("esd", trees.esd(tmp_path / "split"), data=tmp_path / "data").corpus
    assert "dev, angry: 1 utterances, expected 400" in split.differs


def test_the_published_numbers_add_up() -> None:
    assert sum(esd.INFO.expected["esd-5"].values()) == 35_000
    assert len(esd.MALE) == len(esd.MANDARIN) == 10
