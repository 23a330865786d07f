"""The synthesiser's phonemes in the phones of IEMOCAP's alignments.

The phones are ARPAbet without stress, with AX, AXR and IX, as CMU Sphinx has them.
"""

from collections.abc import Mapping

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

_STRESS = "',%="


def phones(phoneme: str) -> tuple[str, ...]:
    """The phones of one of the synthesiser's phonemes; KeyError for one without a counterpart."""
    return ARPABET[phoneme.lstrip(_STRESS)]
