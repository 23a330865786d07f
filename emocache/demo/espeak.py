"""Speech from text with espeak-ng, through ctypes on the library in the wheel `espeakng-loader`.

The calls and structures are those of espeak-ng's `speak_lib.h` (API revision 12).
"""

import _ctypes
import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CDLL, CFUNCTYPE, POINTER, c_char_p, c_int, c_short, c_size_t, c_uint, c_void_p
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError

SPOKEN_RATE = 22_050
"""Samples per second of everything that espeak-ng speaks."""

PAUSE = "_"
"""First character of the names that espeak-ng gives to its pauses among the phonemes."""

_REINSTALL = "install its wheel again: pip install --force-reinstall espeakng-loader"
_SYNCHRONOUS = 2  # espeak_Synth returns when all is spoken; no thread is started
_PHONEME_EVENTS = 1
_UTF8 = 1
_END, _WORD, _PHONEME = 0, 1, 7  # kinds of event


@dataclass(frozen=True, kw_only=True, slots=True)
class Prosody:
    """How a sentence is spoken, in espeak-ng's own units and with its defaults."""

    rate_wpm: int = 175
    """Words per minute, 80 to 450."""
    volume: int = 100
    """0 to 200."""
    pitch: int = 50
    """0 to 99, on the scale of the voice."""
    pitch_range: int = 50
    """0 (monotone) to 99."""
    word_gap: int = 0
    """Pause between words, in units of 10 ms at the default rate."""


@dataclass(frozen=True, slots=True)
class Timed:
    """A word or phoneme and the seconds at which it begins and ends."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """Samples at 22,050 Hz, and when each word and phoneme was spoken.

    Phonemes follow each other without gaps; those that begin with PAUSE are silence. A word lasts from the beginning of
    its first phoneme to the end of its last.
    """

    samples: NDArray[np.int16]
    words: tuple[Timed, ...]
    phonemes: tuple[Timed, ...]


class _Name(ctypes.Union):
    _fields_ = (("number", c_int), ("name", c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", c_int),
        ("unique_identifier", c_uint),
        ("text_position", c_int),  # in characters, from 1
        ("length", c_int),
        ("audio_position", c_int),
        ("sample", c_int),
        ("user_data", c_void_p),
        ("id", _Name),
    )


_Callback = CFUNCTYPE(c_int, POINTER(c_short), c_int, POINTER(_Event))


class _Sink:
    """Collects what espeak-ng hands to its callback, piece by piece."""

    def __init__(self) -> None:
        self.audio = bytearray()
        self.words: list[int] = []
        self.phonemes: list[tuple[str, int, int]] = []
        """Name, first sample, and how many words had begun."""

    def __call__(self, wave: Any, count: int, events: Any) -> int:
        """Take one piece, given as pointers to c_short and _Event; 0 asks for the next one."""
        if wave and count:
            self.audio += ctypes.string_at(wave, 2 * count)
        for event in _until_end(events):
            if event.type == _WORD:
                self.words.append(event.text_position - 1)
            elif event.type == _PHONEME:
                self.phonemes.append((event.id.string.decode("utf-8"), event.sample, len(self.words)))
        return 0


def _until_end(events: Any) -> Iterator[_Event]:
    """The events of one piece, without the one that ends the list."""
    position = 0
    while events[position].type != _END:
        yield events[position]
        position += 1


def speak(text: str, voice: str, prosody: Prosody) -> Speech:
    """Speak one sentence; the same arguments give the same samples, whatever was spoken before.

    `voice` is a language with an optional variant, such as "en-us+f1". Raises UsageError for an unknown voice, for a
    setting out of range, and when the wheel `espeakng-loader` is not installed.
    """
    sink = _Sink()
    callback = _Callback(sink)
    with _fresh_library() as library:
        library.espeak_SetSynthCallback(callback)
        _set_voice(library, voice)
        _set_prosody(library, prosody)
        spoken = text.encode("utf-8") + b"\0"
        library.espeak_Synth(spoken, c_size_t(len(spoken)), c_uint(0), c_int(1), c_uint(0), c_uint(_UTF8), None, None)
    return _timed(text, sink)


def check() -> None:
    """UsageError when espeak-ng cannot speak here."""
    with _fresh_library():
        pass


def _set_voice(library: CDLL, voice: str) -> None:
    """Choose the voice; espeak-ng itself would take an unknown variant for none."""
    _, _, variant = voice.partition("+")
    variants = Path(_loader().get_data_path()) / "voices" / "!v"
    if library.espeak_SetVoiceByName(voice.encode()) != 0 or (variant and not (variants / variant).is_file()):
        raise UsageError(f"espeak-ng has no voice {voice!r}; give a language and perhaps a variant, such as 'en-us+f1'")


def _set_prosody(library: CDLL, prosody: Prosody) -> None:
    """Hand over the settings by the numbers that `speak_lib.h` gives them."""
    settings = (
        ("rate_wpm", 1, prosody.rate_wpm, 80, 450),
        ("volume", 2, prosody.volume, 0, 200),
        ("pitch", 3, prosody.pitch, 0, 99),
        ("pitch_range", 4, prosody.pitch_range, 0, 99),
        ("word_gap", 7, prosody.word_gap, 0, 100),
    )
    for name, number, value, lowest, highest in settings:
        if not lowest <= value <= highest:
            raise UsageError(f"espeak-ng: {name} is {value}, expected {lowest} to {highest}")
        library.espeak_SetParameter(c_int(number), c_int(value), c_int(0))


@contextmanager
def _fresh_library() -> Iterator[CDLL]:
    """The library as if just started, unloaded again afterwards.

    What was spoken before changes later samples (the phase of the voice and the position in its table of flutter live
    on in static variables, even through espeak_Terminate), so nothing short of loading it anew repeats exactly.
    """
    loader = _loader()
    try:
        library = CDLL(loader.get_library_path())
    except OSError as error:
        raise UsageError(f"espeak-ng cannot be loaded ({error}); {_REINSTALL}") from None
    try:
        if library.espeak_Initialize(_SYNCHRONOUS, 0, loader.get_data_path().encode(), _PHONEME_EVENTS) != SPOKEN_RATE:
            raise UsageError(f"espeak-ng does not start; {_REINSTALL}")
        library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # the noise of breathy voices
        yield library
    finally:
        library.espeak_Terminate()
        if sys.platform == "win32":
            _ctypes.FreeLibrary(library._handle)
        else:
            _ctypes.dlclose(library._handle)


def _loader() -> ModuleType:
    """The wheel that holds the library and its voices."""
    try:
        return import_module("espeakng_loader")
    except ImportError:
        raise UsageError('espeak-ng, which is to speak here, is not installed; run: pip install "emocache[demo]"') from None


def _timed(text: str, sink: _Sink) -> Speech:
    """Begins of words and phonemes, as espeak-ng reports them, to stretches of time."""
    samples = np.frombuffer(bytes(sink.audio), dtype="<i2").astype(np.int16)
    ends = [start for _, start, _ in sink.phonemes[1:]] + [len(samples)]
    of_word: list[list[Timed]] = [[] for _ in [None, *sink.words]]
    phonemes = []
    for (name, start, word), end in zip(sink.phonemes, ends, strict=True):
        if end > start:
            phonemes.append(Timed(name, start / SPOKEN_RATE, end / SPOKEN_RATE))
            of_word[word] += [phonemes[-1]] if name[0] != PAUSE else []
    return Speech(samples, tuple(_words(text, sink.words, of_word[1:])), tuple(phonemes))


def _words(text: str, begins: list[int], of_word: list[list[Timed]]) -> Iterator[Timed]:
    """The words, whose texts begin at these characters; words that are spoken as one share its phonemes evenly.

    One of which nothing is heard, such as a dash, is none.
    """
    whole = [_word_begin(text, begin) for begin in begins]
    for (position, following), phonemes in zip(pairwise([*whole, len(text)]), of_word, strict=True):
        tokens = text[position:following].split()
        for index, token in enumerate(tokens):
            mine = phonemes[len(phonemes) * index // len(tokens) : len(phonemes) * (index + 1) // len(tokens)]
            if mine:
                yield Timed(token.strip('.,;:?!"'), mine[0].start_s, mine[-1].end_s)


def _word_begin(text: str, position: int) -> int:
    """Where the word at this character begins; from inside a word the next one, since that is how espeak-ng counts "so much"."""
    return position if position == 0 or text[position - 1].isspace() else text.find(" ", position) + 1
