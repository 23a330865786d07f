"""A transcript as the words that were said: lower case, no punctuation, numbers in words, remarks in brackets left out.

Numbers are read in English, the common way: 1984 as nineteen eighty four, 2,000 as two thousand, 007 figure by figure,
$5.50 as five dollars fifty, 7:30 as seven thirty. Who said it otherwise should have it written otherwise.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from emocache.errors import AlignmentError

INSTALL = 'pip install "emocache[align]"'
LONGEST_NUMBER = 12
"""Figures; what is longer is no quantity, and is read figure by figure."""
_REMARK = re.compile(r"\[[^\]]*\]|<[^>]*>|\{[^}]*\}|\([^)]*\)|\*[^*]+\*")
_MARKS = "'.,:$£€%&"
"""What may mean something inside or beside a word or number; all other marks only separate words."""
_LETTERS = rf"[^\s\d{_MARKS}]"
_NUMBER = r"\d+(?:,\d{3})*(?:\.\d+)?"
_TOKEN = re.compile(
    rf"(?P<initials>(?:{_LETTERS}\.){{2,}}{_LETTERS}?(?!{_LETTERS}))"
    rf"|(?P<unit>[$£€])\s?(?P<price>{_NUMBER})"
    r"|(?P<hour>\d{1,2}):(?P<minute>\d\d)(?!\d)"
    rf"|(?P<number>{_NUMBER})(?P<ending>st\b|nd\b|rd\b|th\b|'?s\b|%)?"
    rf"|(?P<word>{_LETTERS}+(?:'{_LETTERS}+)*)"
    r"|(?P<sign>[&%])"
)
_UNITS = {"$": ("dollar", "dollars"), "£": ("pound", "pounds"), "€": ("euro", "euros")}
_SIGNS = {"&": "and", "%": "percent"}
_QUOTES = str.maketrans(dict.fromkeys("\u2018\u2019\u02bc\u00b4`", "'"))


@dataclass(frozen=True, slots=True)
class Spoken:
    """The words of a transcript, and the remarks that stood in brackets ([LAUGHTER], (sighs), *cough*)."""

    words: tuple[str, ...]
    remarks: tuple[str, ...] = ()


def spoken(transcript: str, *, english: bool = True) -> Spoken:
    """The words that were said; AlignmentError when there are none, or numbers where they cannot be read in English.

    A hyphen separates words, an apostrophe within a word belongs to it.

    >>> spoken("It's 7:30 -- don't [LAUGHTER] wait!").words
    ("it's", 'seven', 'thirty', "don't", 'wait')
    """
    text = unicodedata.normalize("NFKC", transcript.translate(_QUOTES))
    remarks = tuple(_REMARK.findall(text))
    letters = (letter if _means(letter) else " " for letter in _REMARK.sub(" ", text).lower())
    words = tuple(word for token in _TOKEN.finditer("".join(letters)) for word in _said(token, english) if not _lone_marks(word))
    if not words:
        raise AlignmentError(f"its transcript holds no words ({' '.join(remarks)})" if remarks else "its transcript holds no words")
    return Spoken(words, remarks)


def plain(word: str) -> str:
    """A word without accents, for those who do not know them: 'cafe' for 'café'."""
    return "".join(letter for letter in unicodedata.normalize("NFD", word) if not unicodedata.combining(letter))


def _means(letter: str) -> bool:
    """Whether a character is a letter (or belongs to one), a figure, or one of _MARKS."""
    return unicodedata.category(letter)[0] in "LMN" or letter in _MARKS


def _lone_marks(word: str) -> bool:
    """Whether a word holds nothing but accents and the like, which belong to a letter that is not there."""
    return all(unicodedata.category(letter)[0] == "M" for letter in word)


def _said(token: re.Match[str], english: bool) -> list[str]:
    """One stretch of a transcript as words."""
    found = {name: text for name, text in token.groupdict().items() if text is not None}
    if "word" in found:
        return [found["word"]]
    if "initials" in found:
        return found["initials"].replace(".", " ").split()
    if not english:
        raise AlignmentError(f"numbers and signs are read in English alone, and it holds {token[0]!r}; write them as words")
    if "sign" in found:
        return [_SIGNS[found["sign"]]]
    if "unit" in found:
        return _price(found["price"], *_UNITS[found["unit"]])
    if "hour" in found:
        minute = found["minute"]
        return _words(found["hour"]) + ([] if minute == "00" else ["oh", *_words(minute[1])] if minute[0] == "0" else _words(minute))
    return _number(found["number"], found.get("ending", ""))


def _price(amount: str, one: str, many: str) -> list[str]:
    """'5.50' as five dollars fifty."""
    whole, _, part = amount.partition(".")
    return [*_words(whole), one if whole == "1" else many, *(_words(part) if part.strip("0") else [])]


def _number(number: str, ending: str) -> list[str]:
    """A number with what follows it: '21' and 'st' as twenty first, '90' and 's' as nineties."""
    if ending == "%":
        return [*_words(number), "percent"]
    if ending and ending[-1] == "s" and ending != "st":  # 1990s, 90's
        words = _words(number)
        return [*words[:-1], str(_engine().plural(words[-1]))]
    if ending and number.isdigit():
        return _split(_engine().number_to_words(f"{number}{ending}", andword=""))
    return _words(number)


def _words(number: str) -> list[str]:
    """A number in words; a year from 1100 to 1999 in two halves."""
    engine = _engine()
    if re.fullmatch(r"1[1-9]\d\d", number):
        century = _split(engine.number_to_words(number[:2]))
        return [*century, "hundred"] if number.endswith("00") else _split(engine.number_to_words(number, group=2, zero="oh"))
    figures = number.replace(",", "")
    if len(figures.partition(".")[0]) > LONGEST_NUMBER or re.match(r"0\d", figures):
        return _split(engine.number_to_words(figures, group=1))
    return _split(engine.number_to_words(figures, andword=""))


def _split(text: str) -> list[str]:
    """'twenty-one, ...' as words."""
    return re.findall(r"[a-z]+", text)


@cache
def _engine() -> Any:
    """What knows the names of numbers."""
    try:
        import inflect
    except ImportError:
        raise AlignmentError(f"it holds numbers; what reads them is not installed; run: {INSTALL}") from None
    return inflect.engine()
