"""Every token knows its word: for every kind of tokenizer, and for scripts with and without spaces."""

import unicodedata
from pathlib import Path

import pytest
import torch

from emocache import encoders
from emocache.encoders.text import TextEncoder
from emocache.types import Utterance
from tests import checkpoints

CPU = torch.device("cpu")
KINDS = {
    "WordPiece": checkpoints.bert,
    "bytes": checkpoints.roberta,
    "unigram": checkpoints.sentencepiece,
    "SentencePiece": lambda folder: checkpoints.sentencepiece(folder, "DebertaV2"),
}
TEXTS = [
    "kids are talking, don't you know",
    "  leading,  double\tand\ntrailing  ",
    "café naïve 😀 ok 😀😀",
    "я не знаю",
    "我 不 知道",
    "我不知道",
    "ไม่ รู้",
    "x",
    "a\u3000b\u00a0c",
]


@pytest.fixture(scope="module", params=list(KINDS))
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TextEncoder:
    folder: Path = KINDS[request.param](tmp_path_factory.mktemp("models") / "model")
    loaded = encoders.load(encoders.find(str(folder)), CPU)
    assert isinstance(loaded, TextEncoder)
    return loaded


def _spans(text: str) -> list[tuple[int, int]]:
    """Begin and end of every white-space word."""
    spans, at = [], 0
    for word in text.split():
        begin = text.index(word, at)
        spans.append((begin, at := begin + len(word)))
    return spans


@pytest.mark.parametrize("text", TEXTS)
def test_the_tokens_of_a_word_cover_it_and_nothing_else(encoder: TextEncoder, text: str) -> None:
    columns = encoder.columns(Utterance(id="a", path="a", transcript=text))
    tokens = list(zip(columns["word"], columns["begin"], columns["end"], strict=True))
    for number, (begin, end) in enumerate(_spans(text)):
        of_word = [set(range(first, last)) for word, first, last in tokens if word == number]
        assert of_word, f"no token of {text[begin:end]!r}"
        letters = {i for i in range(begin, end) if unicodedata.category(text[i]) != "Mn"}  # BERT drops marks above and below
        assert letters <= set().union(*of_word) <= set(range(begin, end))
    assert max(columns["word"]) == len(text.split()) - 1


@pytest.mark.parametrize("text", TEXTS)
def test_words_are_in_order_and_special_tokens_are_in_none(encoder: TextEncoder, text: str) -> None:
    word = encoder.columns(Utterance(id="a", path="a", transcript=text))["word"]
    assert word[0] == word[-1] == -1
    said = [number for number in word if number >= 0]
    assert said == sorted(said)
    assert len(said) + 2 >= len(word) - 1  # at most a token for the space at the very end


@pytest.mark.parametrize("text", ["", "   "])
def test_a_text_without_words_has_special_tokens_and_none_of_a_word(encoder: TextEncoder, text: str) -> None:
    utterance = Utterance(id="a", path="a", transcript=text)
    columns = encoder.columns(utterance)
    assert set(columns["word"]) == {-1}
    assert encoder.encode([text], (0,))[0].shape[1] == encoder.rows(utterance) == len(columns["word"])
    assert "no transcript" in str(encoder.note(utterance))


def test_a_text_in_a_script_without_spaces_is_one_word_until_it_is_given_with_spaces(encoder: TextEncoder) -> None:
    words = [max(encoder.columns(Utterance(id="a", path="a", transcript=text))["word"]) + 1 for text in ("我不知道", "我 不 知道")]
    assert words == [1, 3]


def test_a_name_of_a_special_token_that_was_said_is_a_word(encoder: TextEncoder) -> None:
    said = str(encoder._tokenizer.sep_token)
    columns = encoder.columns(Utterance(id="a", path="a", transcript=f"know {said} know"))
    assert max(columns["word"]) == 2


def test_a_cut_text_keeps_the_words_of_its_tokens(encoder: TextEncoder) -> None:
    text = "know " * 200
    utterance = Utterance(id="a", path="a", transcript=text)
    columns = encoder.columns(utterance)
    assert len(columns["word"]) == encoder.rows(utterance) == encoder._limit
    assert str(encoder.note(utterance)).startswith("text cut from ")
    assert columns["word"][0] == columns["word"][-1] == -1
