"""How an English word that no dictionary has may be pronounced: what espeak-ng's rules say, in ARPAbet."""

from functools import cache

from emocache.aligners.words import plain
from emocache.errors import AlignmentError

VOICE = "en-us"
_STRESS = "',%=|"
_FURTHER = {"?": ("T",), "x": ("K",), "n-": ("AH", "N"), "O": ("AO",), "A~": ("AA", "N"), ";": ()}
"""Phonemes of other words than the demo corpus has; ';' only links two vowels."""
_PLAIN = {"AX": "AH", "AXR": "ER", "IX": "IH"}
"""Phones that the CMU dictionary does not tell apart from others."""


@cache
def phones(word: str) -> tuple[str, ...]:
    """The phones of a word, ARPAbet without stress; AlignmentError when espeak-ng does not speak it as an English one.

    UsageError when espeak-ng is not installed.
    """
    from emocache.demo import espeak
    from emocache.demo.phones import ARPABET

    if not plain(word).isascii():
        raise AlignmentError(f"not in the dictionary, and in no letters that English is written in: {word}")
    table = {**ARPABET, **_FURTHER}
    names = [one.text.lstrip(_STRESS) for one in espeak.speak(word, VOICE, espeak.Prosody()).phonemes]
    said = [name for name in names if name and not name.startswith(espeak.PAUSE)]
    strange = [name for name in said if name not in table]
    if strange or not said:
        raise AlignmentError(f"not in the dictionary, and espeak-ng does not speak it as an English word: {word} ({' '.join(strange)})")
    found: list[str] = []
    for phone in (_PLAIN.get(phone, phone) for name in said for phone in table[name]):
        if (phone, found[-1:]) != ("R", ["R"]):  # "A@" holds an r, and another may follow
            found.append(phone)
    return tuple(found)
