"""The synthesiser's phonemes in the phones of IEMOCAP's alignments, and phones to syllables.

The phones are ARPAbet without stress, with AX, AXR and IX, as CMU Sphinx has them.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise

ARPABET: Mapping[str, tuple[str, ...]] = {
    "p": ("P",), "b": ("B",), "t": ("T",), "t#": ("T",), "t2": ("T",), "d": ("D",), "k": ("K",), "g": ("G",),
    "f": ("F",), "v": ("V",), "T": ("TH",), "D": ("DH",), "s": ("S",), "z": ("Z",), "S": ("SH",), "Z": ("ZH",),
    "tS": ("CH",), "dZ": ("JH",), "h": ("HH",), "m": ("M",), "n": ("N",), "N": ("NG",),
    "l": ("L",), "r": ("R",), "r-": ("R",), "w": ("W",), "j": ("Y",), ";": ("Y",),
    "i": ("IY",), "i:": ("IY",), "I": ("IH",), "I2": ("IX",), "I#": ("IX",), "E": ("EH",), "a": ("AE",), "aa": ("AE",),
    "V": ("AH",), "0": ("AA",), "A:": ("AA",), "O:": ("AO",), "O2": ("AO",), "U": ("UH",), "u:": ("UW",),
    "@": ("AX",), "@2": ("AX",), "@-": ("AX",), "a#": ("AX",), "3": ("AXR",), "3:": ("ER",),
    "aI": ("AY",), "eI": ("EY",), "oU": ("OW",), "aU": ("AW",), "OI": ("OY",),
    "@L": ("AX", "L"), "A@": ("AA", "R"), "O@": ("AO", "R"), "o@": ("AO", "R"), "e@": ("EH", "R"), "U@": ("UH", "R"),
    "i@3": ("IH", "R"), "i@": ("IY", "AX"), "aI@": ("AY", "AX"), "aI3": ("AY", "AXR"),
}  # fmt: skip
"""Phonemes of espeak-ng's American English, without the mark of stress; what it speaks as one may be two phones."""

VOWELS = frozenset({
    "IY", "IH", "IX", "EH", "AE", "AH", "AA", "AO", "UH", "UW", "AX", "AXR", "ER", "AY", "EY", "OW", "AW", "OY",
})  # fmt: skip
ONSETS = frozenset({
    "P", "B", "T", "D", "K", "G", "F", "V", "TH", "DH", "S", "Z", "SH", "ZH", "CH", "JH", "HH", "M", "N", "L", "R", "W", "Y",
    "P R", "P L", "B R", "B L", "T R", "T W", "D R", "D W", "K R", "K L", "K W", "G R", "G L", "F R", "F L", "TH R", "SH R",
    "S P", "S T", "S K", "S M", "S N", "S L", "S W", "P Y", "B Y", "K Y", "F Y", "V Y", "M Y", "HH Y",
    "S P R", "S P L", "S T R", "S K R", "S K W",
})  # fmt: skip
"""What an English syllable may begin with before its vowel."""

_STRESS = "',%="


def phones(phoneme: str) -> tuple[str, ...]:
    """The phones of one of the synthesiser's phonemes; KeyError for one without a counterpart."""
    return ARPABET[phoneme.lstrip(_STRESS)]


def syllable_ends(word: Sequence[str]) -> list[int]:
    """After how many of a word's phones each of its syllables ends.

    Each vowel makes one, and of the consonants between two vowels it has before it as many as may begin a syllable. What
    stands before the first vowel and after the last stays there; a word without a vowel is one syllable.
    """
    nuclei = [position for position, phone in enumerate(word) if phone in VOWELS]
    begins = [0]
    for before, nucleus in pairwise(nuclei):
        begin = nucleus
        while begin - 1 > before and " ".join(word[begin - 1 : nucleus]) in ONSETS:
            begin -= 1
        begins.append(begin)
    return [*begins[1:], len(word)]
