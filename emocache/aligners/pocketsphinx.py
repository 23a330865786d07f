"""CMU pocketsphinx as a forced aligner: words, syllables and phones of English, with the model that its wheel brings.

Two passes over the same audio, as the library wants it: the first places the words (and chooses between pronunciations), the
second the phones in them. Each utterance is scaled by itself, and its noise estimated anew, so that what was aligned before
changes nothing.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emocache.aligners.base import Aligned, Waveform
from emocache.aligners.words import INSTALL, plain, spoken
from emocache.alignment import LEVELS, NOISE, SILENCE, Segment
from emocache.errors import AlignmentError, UsageError
from emocache.syllables import syllables
from emocache.types import SAMPLE_RATE

NAME = "pocketsphinx"
MODEL, DICTIONARY = "en-us/en-us", "en-us/cmudict-en-us.dict"
"""In the wheel's folder of models."""
HOP_S, WINDOW_S = 0.01, 0.025625
LEAD_S = (WINDOW_S - HOP_S) / 2
"""Frame f is computed from the samples of WINDOW_S from f HOP_S on, and stands for the HOP_S in the middle of these."""
BEAM = 1e-250
"""Paths less probable than the best one by this factor are given up. The library's own 1e-48 is meant for recognition: it loses
a quarter of emotional speech, whose words are known here. In its other way out of many words, `bestpath`, words get lost."""
LEAST_FRAMES = 3
"""A phone has three states, and each lasts a frame or more."""
UNKNOWN = ("skip", "guess")
"""What is done with a word that the dictionary lacks: its utterance has no alignment, or its pronunciation is guessed."""
_SILENCES = frozenset({"<s>", "</s>", "<sil>"})


@dataclass(frozen=True, slots=True)
class _Entry:
    """A word or silence of an alignment, and the phones in it."""

    name: str
    start_s: float
    end_s: float
    phones: tuple[Segment, ...]

    @property
    def filler(self) -> bool:
        """Whether this is no word of the transcript: <sil>, or [NOISE]."""
        return self.name in _SILENCES or self.name.startswith("[")


@dataclass(frozen=True, slots=True)
class PocketsphinxAligner:
    """`unknown` is one of UNKNOWN."""

    unknown: str = "skip"

    levels: ClassVar[tuple[str, ...]] = LEVELS
    languages: ClassVar[tuple[str, ...]] = ("en",)

    @property
    def about(self) -> str:
        """What it is; the digest is over the files of its model and dictionary."""
        more = ", noise by utterance, times of the middle of a frame"
        more += ", unknown words pronounced as espeak-ng would" if self.unknown == "guess" else ""
        return f"pocketsphinx {version(NAME)}, its en-us model and CMU dictionary (sha256 {_model_digest()[:16]}){more}"

    def align(self, wave: Waveform, transcript: str) -> Aligned:
        """Words, syllables and phones (ARPAbet without stress); silences stand in each level, without a label."""
        said, decoder = spoken(transcript), _decoder()
        samples = (np.clip(wave, -1, 1) * 32767).astype("<i2")
        if not samples.any():
            raise AlignmentError("its audio is silent")
        entries, note = self._entries(decoder, said.words)
        found = _two_passes(decoder, samples, entries)
        remarks = f"not aligned: {' '.join(said.remarks)}" if said.remarks else ""
        return Aligned(_segments(found, said.words), "; ".join(filter(None, (note, remarks))))

    def _entries(self, decoder: Any, words: Sequence[str]) -> tuple[list[str], str]:
        """The dictionary's word for each, and what was guessed."""
        known = {word: _entry(decoder, word) for word in dict.fromkeys(words)}
        unknown = [word for word, entry in known.items() if entry is None]
        if unknown and self.unknown == "skip":
            raise AlignmentError(f"not in the dictionary: {', '.join(unknown)} (write them otherwise, or use --oov guess)")
        guessed = {word: _guessed(decoder, word) for word in unknown}
        entries = [known[word] or guessed[word] for word in words]
        return entries, f"pronunciation guessed: {', '.join(unknown)}" if unknown else ""


def find(unknown: str = "skip") -> PocketsphinxAligner:
    """The aligner; UsageError when what it needs is not installed, or `unknown` is not one of UNKNOWN."""
    if unknown not in UNKNOWN:
        raise UsageError(f"--oov {unknown}: expected one of {', '.join(UNKNOWN)}")
    _library()
    if unknown == "guess" and find_spec("espeakng_loader") is None:
        raise UsageError('--oov guess: espeak-ng is not installed; run: pip install "emocache[demo]"')
    return PocketsphinxAligner(unknown)


def _entry(decoder: Any, word: str) -> str | None:
    """A word as the dictionary has it: as it is, with an apostrophe ('em, talkin'), or without accents."""
    tried = (word, f"'{word}", f"{word}'", plain(word))
    return next((one for one in tried if decoder.lookup_word(one)), None)


def _guessed(decoder: Any, word: str) -> str:
    """A word of which espeak-ng says how it is pronounced, added to the dictionary under a name that no transcript holds."""
    from emocache.aligners.guess import phones

    name = f"{word}~guess"
    if not decoder.lookup_word(name):
        decoder.add_word(name, " ".join(phones(word)), True)
    return name


def _two_passes(decoder: Any, samples: NDArray[np.int16], entries: Sequence[str]) -> list[_Entry]:
    """Words and silences in order of time, each with its phones."""
    sounds = sum(len(decoder.lookup_word(entry).split()) for entry in entries)
    if len(samples) < sounds * LEAST_FRAMES * HOP_S * SAMPLE_RATE:
        raise AlignmentError(f"its audio ({len(samples) / SAMPLE_RATE:.2f} s) is too short for {len(entries)} words of {sounds} phones")
    raw = samples.tobytes()
    try:
        _pass(decoder, raw, lambda: decoder.set_align_text(" ".join(entries)))
        if decoder.hyp() is None:
            raise AlignmentError("its words do not fit its audio: other words, too fast, or too noisy")
        _pass(decoder, raw, decoder.set_alignment)
    except RuntimeError as error:
        raise AlignmentError(f"pocketsphinx gives up on it ({error})") from None
    found = _read(decoder.get_alignment())
    if sum(not entry.filler for entry in found) != len(entries):
        raise AlignmentError("its words do not fit its audio: some found no place")
    return found


def _read(alignment: Any) -> list[_Entry]:
    """An alignment as plain values: what it gives points into it, and is gone with it."""
    placed = (entry for entry in alignment or () if entry.duration > 0)
    return [_Entry(entry.name, *_times(entry), tuple(Segment(phone.name, *_times(phone)) for phone in entry)) for entry in placed]


def _pass(decoder: Any, raw: bytes, prepare: Callable[[], object]) -> None:
    """One pass over all of an utterance (int16 samples); what the library knows of noise from the audio before is forgotten."""
    decoder.reinit_feat()
    prepare()
    decoder.start_utt()
    try:
        decoder.process_raw(raw, full_utt=True)
    finally:
        decoder.end_utt()


def _segments(found: Sequence[_Entry], words: Sequence[str]) -> dict[str, list[Segment]]:
    """The alignment by level; its words come in the order of `words`."""
    levels: dict[str, list[Segment]] = {level: [] for level in LEVELS}
    said = iter(words)
    for entry in found:
        if entry.filler:
            pause = Segment("", entry.start_s, entry.end_s, SILENCE if entry.name in _SILENCES else NOISE)
            for segments in levels.values():
                segments.append(pause)
            continue
        levels["phone"] += entry.phones
        levels["syllable"] += _syllables(entry.phones)
        levels["word"].append(Segment(next(said), entry.start_s, entry.end_s))
    return levels


def _syllables(phones: Sequence[Segment]) -> Iterator[Segment]:
    """The phones of a word as syllables, whose labels are phones joined by '_'."""
    rest = iter(phones)
    for syllable in syllables([phone.label for phone in phones]):
        own = [next(rest) for _ in syllable]
        yield Segment("_".join(syllable), own[0].start_s, own[-1].end_s)


def _times(entry: Any) -> tuple[float, float]:
    """Begin and end in seconds; the first frame stands for what is before it, too."""
    start_s = entry.start * HOP_S + LEAD_S if entry.start else 0.0
    return start_s, (entry.start + entry.duration) * HOP_S + LEAD_S


def _library() -> Any:
    """The library; UsageError when it is not installed."""
    try:
        import pocketsphinx
    except ImportError:
        raise UsageError(f"pocketsphinx is not installed; run: {INSTALL}") from None
    return pocketsphinx


@cache
def _decoder() -> Any:
    """A decoder with the model of the wheel, one per process."""
    library = _library()
    folder = _models()
    wide = {"beam": BEAM, "wbeam": BEAM, "pbeam": BEAM, "bestpath": False}
    files = {"hmm": str(folder / MODEL), "dict": str(folder / DICTIONARY), "lm": None}
    return library.Decoder(**files, **wide, samprate=SAMPLE_RATE, cmn="batch", loglevel="FATAL")


def _models() -> Path:
    """The wheel's own folder of models, whatever $POCKETSPHINX_PATH says."""
    return Path(_library().__file__).parent / "model"


@cache
def _model_digest() -> str:
    """SHA-256 over the files of the acoustic model and the dictionary."""
    whole = hashlib.sha256()
    for path in [*sorted((_models() / MODEL).iterdir()), _models() / DICTIONARY]:
        whole.update(f"{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return whole.hexdigest()
