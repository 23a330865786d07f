"""Syllables from the phones of a word, by maximal onset: between two vowels, as many consonants as can begin an English
word go with the second.

The onsets are those of Giegerich, English Phonology (1992), chapter 6, and those of the names and loans that the CMU
dictionary has beside them (S F, SH M, SH N, SH L, SH W, V W, HH W).
"""

from collections.abc import Sequence
from itertools import pairwise

_VOWELS = "AA AE AH AO AW AX AXR AY EH ER EY IH IX IY OW OY UH UW UX"
_ONSETS = """
    B, CH, D, DH, F, G, HH, JH, K, L, M, N, P, R, S, SH, T, TH, V, W, Y, Z, ZH,
    P L, P R, P Y, B L, B R, B Y, T R, T W, T Y, D R, D W, D Y, K L, K R, K W, K Y, G L, G R, G W, G Y,
    F L, F R, F Y, V W, V Y, TH R, TH W, TH Y, SH L, SH M, SH N, SH R, SH W, HH W, HH Y, M Y, N Y, L Y,
    S P, S T, S K, S F, S M, S N, S L, S W, S Y, S P L, S P R, S P Y, S T R, S T Y, S K L, S K R, S K W, S K Y
"""
VOWELS = frozenset(_VOWELS.split())
"""ARPAbet without stress."""
ONSETS = frozenset(tuple(onset.split()) for onset in _ONSETS.split(","))


def syllables(phones: Sequence[str]) -> list[tuple[str, ...]]:
    """The phones of one word (ARPAbet, with or without stress), in syllables; a word without a vowel is one.

    >>> syllables("EH K S T R AH".split())
    [('EH', 'K'), ('S', 'T', 'R', 'AH')]
    """
    vowels = [i for i, phone in enumerate(phones) if _bare(phone) in VOWELS]
    starts = [0] + [_onset(phones, before + 1, vowel) for before, vowel in pairwise(vowels)]
    return [tuple(phones[start:end]) for start, end in zip(starts, [*starts[1:], len(phones)], strict=True)]


def _onset(phones: Sequence[str], first: int, vowel: int) -> int:
    """Where the onset of the vowel at `vowel` begins, at `first` or behind it."""
    return next((i for i in range(first, vowel) if tuple(map(_bare, phones[i:vowel])) in ONSETS), vowel)


def _bare(phone: str) -> str:
    """A phone without its stress."""
    return phone.rstrip("012")
