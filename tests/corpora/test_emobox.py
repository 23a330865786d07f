"""EmoBox: folds become `fold` or `split`, paths count from the clone, labels stay the corpus's own."""

import json
from pathlib import Path

import pytest

from emocache.corpora import emobox
from emocache.corpora.prepare import prepare
from emocache.errors import CorpusError, UsageError
from emocache.types import Utterance

from . import trees


def rewrite(path: Path, **changes: object) -> None:
    """Change the first row of a file."""
    first, *rest = path.read_text().splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | changes), *rest]) + "\n")


def test_a_row_carries_all_that_emobox_says_of_it(tmp_path: Path) -> None:
    found = {utterance.id: utterance for utterance in emobox.read(trees.emobox(tmp_path))}
    assert found["toy-a"] == Utterance(
        id="toy-a",
        path="../../downloads/toy/a.wav",
        emotion="exc",
        fold="1",
        extra={
            "dataset": "toy",
            "type": "raw",
            "length": "0.1",
            "channels": "1",
            "emobox_label": "Happy",
            "fold_1": "test",
            "fold_2": "train",
        },
    )


def test_the_fold_of_an_utterance_is_the_one_that_tests_it(tmp_path: Path) -> None:
    found = {utterance.id: (utterance.fold, utterance.split) for utterance in emobox.read(trees.emobox(tmp_path))}
    assert found == {"toy-a": ("1", None), "toy-b": ("2", None), "toy-c": ("1", None)}


def test_a_single_fold_is_a_split_with_its_own_validation_part(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path, folds=1)
    test = home / "fold_1" / "toy_test_fold_1.jsonl"
    first, second = test.read_text().splitlines()
    test.write_text(first + "\n")
    trees.write(home / "fold_1" / "toy_valid_fold_1.jsonl", second + "\n")
    assert [(utterance.id, utterance.split, utterance.fold) for utterance in emobox.read(home)] == [
        ("toy-b", "train", None), ("toy-c", "valid", None), ("toy-a", "test", None),
    ]  # fmt: skip


def test_where_an_utterance_is_tested_twice_nobody_has_a_fold_but_all_have_their_parts(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path)
    one, two = (home / f"fold_{n}" / f"toy_test_fold_{n}.jsonl" for n in (1, 2))
    train = home / "fold_2" / "toy_train_fold_2.jsonl"
    two.write_text(two.read_text() + train.read_text().splitlines()[0] + "\n")
    train.write_text("\n".join(train.read_text().splitlines()[1:]) + "\n")
    assert one.is_file()
    found = emobox.read(home)
    assert {utterance.fold for utterance in found} == {None}
    assert all(utterance.extra["fold_1"] and utterance.extra["fold_2"] for utterance in found)


def test_audio_elsewhere_is_found_by_root(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path / "clone")
    (tmp_path / "clone" / "downloads").rename(tmp_path / "downloads")
    corpus = prepare("emobox", home, name="toy", data=tmp_path / "data", audio_root=tmp_path).corpus
    assert corpus.utterances[0].path.startswith("downloads/toy/")


def test_where_the_audio_lies_is_known_though_the_first_file_is_missing(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path / "clone")
    first, *rest = emobox.read(home)
    (home / first.path).unlink()
    done = prepare("emobox", home, name="toy", data=tmp_path / "data", skip_broken=True)
    assert list(done.skipped) == [first.id]
    assert [utterance.id for utterance in done.corpus.utterances] == [utterance.id for utterance in rest]


def test_the_second_spelling_of_a_file_is_not_read_beside_the_first(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path)
    before = emobox.read(home)
    trees.write(home / "fold_1" / "toy_test_fold1.jsonl", (home / "fold_1" / "toy_train_fold_1.jsonl").read_text())
    assert emobox.read(home) == before


def test_channel_counts_channels_and_picks_none(tmp_path: Path) -> None:
    assert all(utterance.channel is None for utterance in emobox.read(trees.emobox(tmp_path)))


def test_start_and_end_time_cut_a_longer_recording(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path, folds=1)
    rewrite(home / "fold_1" / "toy_train_fold_1.jsonl", start_time=0.25, end_time=1.5, spk="p1", sex="F")
    first = emobox.read(home)[0]
    assert (first.start_s, first.end_s, first.speaker, first.gender) == (0.25, 1.5, "p1", "F")


def test_it_needs_a_name_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="emobox does not say what its corpus is called; give --name"):
        prepare("emobox", trees.emobox(tmp_path), data=tmp_path / "data")


def test_what_a_fold_both_trains_and_tests_on_is_refused(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path)
    train, tested = (home / "fold_1" / f"toy_{part}_fold_1.jsonl" for part in ("train", "test"))
    train.write_text(train.read_text() + tested.read_text().splitlines()[0] + "\n")
    with pytest.raises(CorpusError, match="stands in fold 1 twice, in train and in test"):
        emobox.read(home)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"wav": ""}, r"toy_train_fold_2\.jsonl:1: no wav"),
        ({"type": "feature"}, r"toy_train_fold_2\.jsonl:1: type is 'feature'; only audio"),
        ({"emo": "sad"}, r"toy_train_fold_2\.jsonl:1: toy-a has another wav or emo than in .*toy_test_fold_1\.jsonl:1"),
        ({"key": "toy-b"}, "has another wav or emo"),
    ],
)
def test_a_row_that_cannot_be_is_named_by_file_and_line(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    home = trees.emobox(tmp_path)
    rewrite(home / "fold_2" / "toy_train_fold_2.jsonl", **changes)
    with pytest.raises(CorpusError, match=message):
        emobox.read(home)


def test_a_fold_without_its_test_part_is_named(tmp_path: Path) -> None:
    home = trees.emobox(tmp_path)
    (home / "fold_2" / "toy_test_fold_2.jsonl").unlink()
    with pytest.raises(CorpusError, match=r"fold_2: no train and test \.jsonl"):
        emobox.read(home)
