"""Languages by their ISO 639-1 codes, however a manifest spells them, and whether an encoder knows them."""

from collections import Counter
from collections.abc import Iterable

NAMES = {
    "am": "amh amharic", "ar": "ara arabic", "bn": "ben bengali bangla", "cs": "ces cze czech", "da": "dan danish",
    "de": "deu ger german deutsch", "el": "ell gre greek", "en": "eng english", "es": "spa spanish espanol español",
    "et": "est estonian", "fa": "fas per persian farsi", "fi": "fin finnish", "fr": "fra fre french français francais",
    "he": "heb hebrew", "hi": "hin hindi", "hu": "hun hungarian", "id": "ind indonesian", "it": "ita italian italiano",
    "ja": "jpn japanese", "ko": "kor korean", "nl": "nld dut dutch", "no": "nor norwegian", "pl": "pol polish",
    "pt": "por portuguese", "ro": "ron rum romanian", "ru": "rus russian", "sr": "srp serbian", "sv": "swe swedish",
    "sw": "swa swahili", "ta": "tam tamil", "te": "tel telugu", "th": "tha thai", "tr": "tur turkish", "uk": "ukr ukrainian",
    "ur": "urd urdu", "vi": "vie vietnamese", "yue": "cantonese", "zh": "zho chi cmn chinese mandarin putonghua",
}  # fmt: skip
"""Code -> longer codes and names, in lower case."""
_CODES = {name: code for code, names in NAMES.items() for name in names.split()}


def code(text: str) -> str:
    """The code of a language as people write it: 'en-US', 'eng' and 'English' are 'en'; what is not known stays as it is.

    >>> code("en_GB"), code("Mandarin"), code("tlh")
    ('en', 'zh', 'tlh')
    """
    plain = text.strip().lower().replace("_", "-").split("-")[0].split(" ")[0]
    return _CODES.get(plain, plain)


def known(text: str) -> str | None:
    """The code, when a text is a language's code or name."""
    found = code(text)
    return found if found in NAMES else None


def named(languages: tuple[str, ...] | int) -> str:
    """The languages of an encoder as a cell: codes, how many, or a dash where nothing is known."""
    return f"{languages} languages" if isinstance(languages, int) else ", ".join(languages) or "-"


def strangers(spoken: Iterable[str | None], known: tuple[str, ...] | int) -> dict[str, int]:
    """How many utterances are in a language that an encoder was not trained on, by code; none where nothing is known."""
    if isinstance(known, int) or not known:
        return {}
    counts = Counter(code(language) for language in spoken if language)
    return {language: count for language, count in counts.most_common() if language not in known}
