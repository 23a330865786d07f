"""Counts held against the published ones, by class and split, with what is known to be broken."""

from dataclasses import replace

from emocache.corpora import published
from emocache.types import CorpusInfo, Utterance

INFO = CorpusInfo(
    title="Toy",
    licence="CC0",
    share="free",
    citation="none",
    scheme="toy",
    expected={"toy": {"calm": 2, "sad": 1}},
    expected_splits={"toy": {"train": {"calm": 1, "sad": 1}, "test": {"calm": 1}}},
    broken={"c": "has no audio"},
    longest_s=1.0,
)
A = Utterance(id="a", path="a.wav", emotion="calm", split="train")
B = Utterance(id="b", path="b.wav", emotion="calm", split="test")
C = Utterance(id="c", path="c.wav", emotion="sad", split="train")


def test_a_whole_corpus_does_not_differ() -> None:
    assert published.differs(INFO, "toy", [A, B, C]) == ()
    assert published.notes(INFO, "toy", [A, B, C], []) == ()


def test_the_right_number_of_a_class_in_the_wrong_split_differs() -> None:
    assert published.differs(INFO, "toy", [A, replace(B, split="train"), C]) == (
        "train, calm: 2 utterances, expected 1",
        "test, calm: 0 utterances, expected 1",
    )


def test_a_split_that_nobody_published_differs() -> None:
    assert published.differs(INFO, "toy", [A, B, C, replace(A, id="d", split="extra")]) == ("extra, calm: 1 utterances, expected 0",)


def test_without_splits_the_whole_is_compared() -> None:
    assert published.differs(INFO, "toy", [replace(one, split=None) for one in (A, C)]) == ("calm: 1 utterances, expected 2",)


def test_a_scheme_without_published_counts_never_differs() -> None:
    assert published.differs(INFO, "as-is", [A]) == ()


def test_a_corpus_that_lacks_only_what_is_known_to_be_broken_is_complete_but_for_that() -> None:
    assert published.notes(INFO, "toy", [A, B], [C]) == ("complete but for 1 utterances known to be broken: c (has no audio)",)


def test_what_is_known_to_be_broken_does_not_excuse_what_else_is_missing() -> None:
    assert published.notes(INFO, "toy", [A], [C]) == ("left out as 1 utterances known to be broken: c (has no audio)",)
    assert published.differs(INFO, "toy", [A, C]) == ("test, calm: 0 utterances, expected 1",)


def test_long_utterances_are_named_only_where_a_corpus_has_a_measure() -> None:
    long = replace(B, samples=32_000)
    assert published.notes(INFO, "toy", [A, long], []) == ("b lasts 2 s, and is kept; listen to it",)
    assert published.notes(replace(INFO, longest_s=None), "toy", [A, long], []) == ()
