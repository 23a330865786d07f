"""MSP-Podcast: consensus labels in two formats, speakers that nobody knows, and a test set without labels."""

import csv
import json
from pathlib import Path

import pytest

from emocache.corpora import msp_podcast
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError
from emocache.types import Utterance

from . import trees


def test_a_row_carries_all_that_the_corpus_says_of_it(tmp_path: Path) -> None:
    assert msp_podcast.read(trees.msp_podcast(tmp_path))[0] == Utterance(
        id="MSP-PODCAST_0001_0008",
        path="Audios/MSP-PODCAST_0001_0008.wav",
        emotion="neutral",
        speaker="127",
        gender="M",
        split="train",
        transcript="so this is the show",
        language="en",
        arousal=2.2,
        valence=4.0,
        dominance=4.6,
        extra={"podcast": "0001"},
    )


def test_unknown_is_no_speaker_and_no_gender(tmp_path: Path) -> None:
    second = msp_podcast.read(trees.msp_podcast(tmp_path))[1]
    assert (second.speaker, second.gender, second.transcript) == (None, None, None)


def test_recordings_without_labels_are_listed_and_left_out_by_name(tmp_path: Path) -> None:
    prepared = prepare("msp-podcast", trees.msp_podcast(tmp_path / "corpus"), data=tmp_path / "data")
    assert [utterance.split for utterance in prepared.corpus.utterances] == ["train", "dev", "test2"]
    assert [(one.id, one.reason) for one in prepared.left_out] == [
        ("MSP-PODCAST_0002_0033", "emotion 'no agreement' is no class of msp-podcast-4"),
        ("MSP-PODCAST_test3_0001", "no emotion"),
    ]


def test_test3_is_a_split_of_its_own_with_and_without_rows(tmp_path: Path) -> None:
    rows = (*trees.MSP_ROWS, "MSP-PODCAST_test3_0001.wav,,,,,Unknown,Unknown,Test3")
    for root in (trees.msp_podcast(tmp_path / "without"), trees.msp_podcast(tmp_path / "with", rows)):
        last = msp_podcast.read(root)[-1]
        assert (last.id, last.split, last.emotion, last.valence) == ("MSP-PODCAST_test3_0001", "test3", None, None)


def test_the_json_file_says_the_same_as_the_csv_file(tmp_path: Path) -> None:
    root = trees.msp_podcast(tmp_path)
    before = msp_podcast.read(root)
    path = root / "Labels" / "labels_consensus.csv"
    with path.open(newline="") as file:
        labels = {row.pop("FileName"): row | {"EmoVal": float(row["EmoVal"])} for row in csv.DictReader(file)}
    path.with_suffix(".json").write_text(json.dumps(labels))
    path.unlink()
    assert msp_podcast.read(root) == before


def test_eight_classes_and_four(tmp_path: Path) -> None:
    rows = tuple(f"MSP-PODCAST_0001_000{n}.wav,{code},4,4,4,1,Male,Train" for n, code in enumerate("NASHFDUCOX"))
    root = trees.msp_podcast(tmp_path / "corpus", rows)
    four = prepare("msp-podcast", root, data=tmp_path / "data").corpus.utterances
    eight = prepare("msp-podcast", root, data=tmp_path / "data", scheme="msp-podcast-8").corpus.utterances
    assert [utterance.emotion for utterance in four] == ["neutral", "angry", "sad", "happy"]
    assert [utterance.emotion for utterance in eight][4:] == ["fear", "disgust", "surprise", "contempt"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("MSP-PODCAST_0001_0001.wav,Q,4,4,4,1,Male,Train", "EmoClass is 'Q', expected one of A, S, H"),
        ("MSP-PODCAST_0001_0001.wav,N,4,4,4,1,Male,Tset", "Split_Set is 'Tset', expected one of Train"),
        ("MSP-PODCAST_0001_0001.wav,N,high,4,4,1,Male,Train", "arousal is 'high', expected a number"),
    ],
)
def test_a_row_that_cannot_be_is_named_by_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    with pytest.raises(CorpusError, match=rf"labels_consensus\.csv:2: {message}"):
        msp_podcast.read(trees.msp_podcast(tmp_path, (row,)))


@pytest.mark.parametrize("content", ["{", "[]", '{"a.wav": 3}'])
def test_damaged_json_is_named(tmp_path: Path, content: str) -> None:
    trees.write(tmp_path / "labels_consensus.json", content)
    with pytest.raises(CorpusError, match=r"labels_consensus\.json: damaged"):
        msp_podcast.read(tmp_path)
