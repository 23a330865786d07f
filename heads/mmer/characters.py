"""The characters that CTC learns: the vocabulary of facebook/wav2vec2-base, which is not made from the corpus."""

from itertools import pairwise

BLANK = 0
WORD_END = "|"
VOCABULARY = ("<pad>", "<s>", "</s>", "<unk>", *"|ETAOINHSRDLUMWCFGYPBVK'XJQZ")
"""Token by number; <pad> is the blank of CTC, and the other three in angle brackets are never a target."""
_NUMBERS = {token: number for number, token in enumerate(VOCABULARY) if len(token) == 1}


def symbols(transcript: str) -> list[int]:
    """The target of a transcript: upper case, words with | between them, and what the vocabulary lacks deleted.

    Thus "{LG}" becomes the letters LG, as in the released code. Empty where nothing is left.
    """
    words = ("".join(letter for letter in word if letter in _NUMBERS and letter != WORD_END) for word in transcript.upper().split())
    return [_NUMBERS[letter] for letter in WORD_END.join(word for word in words if word)]


def frames_needed(target: tuple[int, ...]) -> int:
    """Rows without which CTC is infinite: one for each character, and one blank between two that are alike."""
    return len(target) + sum(one == other for one, other in pairwise(target))
