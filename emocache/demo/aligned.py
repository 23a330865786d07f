"""A spoken turn as the files of IEMOCAP's ForcedAlignment: .wdseg, .phseg and .syseg, from the synthesiser's own times.

Frames last 10 ms and the last one of a segment is inclusive. Words, phones and syllables meet at the same frames. Pauses are
<s> before the first word, </s> after the last and <sil> between, SIL among the phones, and gaps between syllables. Scores are
0, since nothing had to be aligned.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby

from emocache.demo import phones
from emocache.demo.espeak import PAUSE, SPOKEN_RATE, Speech
from emocache.syllables import syllables

_FRAMES_PER_S = 100
_SIL = "SIL"
_FOOTER = f" Total score: {0:>13}\n"


@dataclass(frozen=True, slots=True)
class _Phone:
    """A phone of the word of that number, or (None) a pause, from frame `first` to before frame `end`."""

    name: str
    word: int | None
    first: int
    end: int


def files(speech: Speech) -> dict[str, str]:
    """Suffix -> what the file holds."""
    framed = _framed(speech)
    return {".wdseg": _wdseg(framed, [word.text.upper() for word in speech.words]), ".phseg": _phseg(framed), ".syseg": _syseg(framed)}


def _framed(speech: Speech) -> list[_Phone]:
    """Phones and pauses, one beginning where the other ends; a phone has a frame at least, and a pause that has none is left out."""
    last = len(speech.samples) * _FRAMES_PER_S // SPOKEN_RATE
    found: list[_Phone] = []
    for name, word, end_s in _timed(speech):
        first = found[-1].end if found else 0
        end = max(round(end_s * _FRAMES_PER_S), first + 1) if word is not None else min(round(end_s * _FRAMES_PER_S), last)
        if word is None and found and found[-1].word is None:
            found[-1] = replace(found[-1], end=max(end, first))
        elif end > first:
            found.append(_Phone(name, word, first, end))
    return found


def _timed(speech: Speech) -> Iterator[tuple[str, int | None, float]]:
    """Every phone or pause, the number of its word, and when it ends; two phones that are spoken as one share its time evenly."""
    yield _SIL, None, speech.phonemes[0].start_s
    for phoneme in speech.phonemes:
        if phoneme.text.startswith(PAUSE):
            yield _SIL, None, phoneme.end_s
            continue
        [word] = [number for number, one in enumerate(speech.words) if one.start_s <= phoneme.start_s < one.end_s]
        names = phones.phones(phoneme.text)
        step_s = (phoneme.end_s - phoneme.start_s) / len(names)
        for number, name in enumerate(names, start=1):
            yield name, word, phoneme.start_s + number * step_s


def _by_word(framed: Iterable[_Phone]) -> list[tuple[int | None, list[_Phone]]]:
    """Phones of one word, or a pause, together."""
    return [(word, list(group)) for word, group in groupby(framed, key=lambda phone: phone.word)]


def _wdseg(framed: list[_Phone], words: list[str]) -> str:
    lines = ["  SFrm  EFrm    SegAScr Word\n"]
    groups = _by_word(framed)
    for number, (word, group) in enumerate(groups):
        pause = "<s>" if number == 0 else "</s>" if number == len(groups) - 1 else "<sil>"
        label = pause if word is None else words[word]
        lines.append(f"\t{group[0].first:5d} {group[-1].end - 1:5d} {0:11d} {label}\n")
    return "".join([*lines, _FOOTER])


def _phseg(framed: list[_Phone]) -> str:
    """Each phone with its neighbours and its place: at a word's beginning, end, in its inside, or single."""
    lines = ["  SFrm  EFrm   SegAScr Phone\n"]
    names = [_SIL, *(phone.name for phone in framed), _SIL]
    words = [None, *(phone.word for phone in framed), None]
    for at, phone in enumerate(framed, start=1):
        begins, ends = words[at - 1] != phone.word, words[at + 1] != phone.word
        place = {(True, True): "s", (True, False): "b", (False, True): "e", (False, False): "i"}[begins, ends]
        context = "" if phone.word is None else f" {names[at - 1]} {names[at + 1]} {place}"
        lines.append(f"\t{phone.first:5d} {phone.end - 1:5d} {0:10d} {phone.name}{context}\n")
    return "".join([*lines, _FOOTER])


def _syseg(framed: list[_Phone]) -> str:
    lines = ["  SFrm  EFrm  Syllable\n"]
    for word, group in _by_word(framed):
        if word is None:
            continue
        rest = iter(group)
        for names in syllables([phone.name for phone in group]):
            label, syllable = "_".join(names), [next(rest) for _ in names]
            lines.append(f"\t{syllable[0].first:5d} {syllable[-1].end - 1:5d}  {label}\n")
    return "".join(lines)
