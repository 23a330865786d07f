"""How an English word that no dictionary has may be pronounced: what espeak-ng's rules say, in ARPAbet."""

from functools import cache

from emocache.aligners.words import plain
from emocache.errors import AlignmentError

VOICE = "en-us"
_TABLE = """
    p P, b B, t T, t# T, t2 T, d D, k K, g G, ? T, tS CH, dZ JH, f F, v V, T TH, D DH, s S, z Z, S SH, Z ZH, h HH, x K,
    m M, n N, N NG, l L, r R, r- R, w W, j Y, n- AH N, @L AH L,
    I IH, I2 IH, I# IH, i IY, i: IY, E EH, a AE, aa AE, a# AH, 0 AA, A: AA, O AO, O: AO, O2 AO, V AH, U UH, u: UW, @ AH, @- AH,
    3 ER, 3: ER, eI EY, aI AY, aU AW, oU OW, OI OY, A~ AA N,
    A@ AA R, O@ AO R, o@ AO R, e@ EH R, U@ UH R, i@3 IH R, i@ IY AH, aI@ AY AH, aI3 AY ER
"""
_PHONES = {name: tuple(phones) for name, *phones in (row.split() for row in _TABLE.split(","))}
"""Names that espeak-ng's voice gives to its phonemes -> phones; those with an r of their own may be followed by another."""
_SILENT = {";", ""}


@cache
def phones(word: str) -> tuple[str, ...]:
    """The phones of a word, ARPAbet without stress; AlignmentError when espeak-ng does not speak it as an English one.

    UsageError when espeak-ng is not installed.
    """
    from emocache.demo import espeak

    if not plain(word).isascii():
        raise AlignmentError(f"not in the dictionary, and in no letters that English is written in: {word}")
    names = [one.text.lstrip("',%=|") for one in espeak.speak(word, VOICE, espeak.Prosody()).phonemes]
    said = [name for name in names if name not in _SILENT and not name.startswith(espeak.PAUSE)]
    if not said or (strange := [name for name in said if name not in _PHONES]):
        raise AlignmentError(
            f"not in the dictionary, and espeak-ng speaks it with sounds that English has not: {word} ({' '.join(strange)})"
        )
    found: list[str] = []
    for phone in (phone for name in said for phone in _PHONES[name]):
        if (phone, found[-1:]) != ("R", ["R"]):
            found.append(phone)
    return tuple(found)
