"""A transcript as the words that were said."""

import sys

import pytest

from emocache.aligners.words import spoken
from emocache.errors import AlignmentError

READ = {
    "Kids are talking by the door.": "kids are talking by the door",
    "\u201cDon\u2019t\u201d \u2014 she said\u2026 \u2018no\u2019": "don't she said no",
    "x-ray well--known, uh-huh": "x ray well known uh huh",
    "I was born in 1984, not 1905 or 1900": "i was born in nineteen eighty four not nineteen oh five or nineteen hundred",
    "2005 or 2,000,001": "two thousand five or two million one",
    "the 1990s, the 21st and 3rd": "the nineteen nineties the twenty first and third",
    "$5.50, £1 and 50%": "five dollars fifty one pound and fifty percent",
    "at 7:30, 8:00 and 9:05": "at seven thirty eight and nine oh five",
    "007 rang 3.14 times": "zero zero seven rang three point one four times",
    "1234567890123": "one two three four five six seven eight nine zero one two three",
    "the U.S. army, i.e. A&E": "the u s army i e a and e",
    "mp3": "mp three",
}


@pytest.mark.parametrize("transcript", READ)
def test_a_transcript_is_read_as_a_person_would(transcript: str) -> None:
    pytest.importorskip("inflect", reason="numbers in words are the extra emocache[align]")
    assert " ".join(spoken(transcript).words) == READ[transcript]


def test_remarks_in_brackets_are_no_words_and_are_told_apart() -> None:
    said = spoken("[LAUGHTER] well (sighs) I <noise> know {breath} that *cough*")
    assert said.words == ("well", "i", "know", "that")
    assert said.remarks == ("[LAUGHTER]", "(sighs)", "<noise>", "{breath}", "*cough*")


@pytest.mark.parametrize("transcript", ["", "  ", "...", "--", "[LAUGHTER]", "'", "\u0301", "\u0301.\u0301."])
def test_a_transcript_without_words_is_refused_with_what_it_holds(transcript: str) -> None:
    with pytest.raises(AlignmentError, match="holds no words"):
        spoken(transcript)


def test_an_accent_without_its_letter_is_no_word() -> None:
    assert spoken("cafe\u0301 \u0301 now").words == ("caf\u00e9", "now")


def test_words_of_other_scripts_stay_whole() -> None:
    assert spoken("नमस्ते दुनिया, über-cool", english=False).words == ("नमस्ते", "दुनिया", "über", "cool")


@pytest.mark.parametrize("transcript", ["ich habe 5 Katzen", "50 %", "um 7:30"])
def test_numbers_of_other_languages_are_not_read_in_english(transcript: str) -> None:
    with pytest.raises(AlignmentError, match="write them as words"):
        spoken(transcript, english=False)


def test_without_the_extra_numbers_are_refused_and_words_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from emocache.aligners import words

    words._engine.cache_clear()
    monkeypatch.setitem(sys.modules, "inflect", None)
    assert spoken("no numbers here").words == ("no", "numbers", "here")
    with pytest.raises(AlignmentError, match=r'pip install "emocache\[align\]"'):
        spoken("5 cats")
