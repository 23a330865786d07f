"""Any CTC model of transformers as a forced aligner: words, from the best way of their characters through its frames.

Frame t stands for the time from t to t + 1 hops (20 ms for most). A word lasts from its first character's frame to its last
one's; what is between two words is silence where it is longer than SILENCE_S, else it is shared evenly. Such models show a
character in a frame or two of those that it sounds in, so that ends of words come early, by some tens of milliseconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from emocache.aligners.base import Aligned, Waveform
from emocache.aligners.viterbi import best_path, least_frames
from emocache.aligners.words import plain, spoken
from emocache.alignment import SILENCE, Segment
from emocache.encoders import configuration, find
from emocache.encoders.snapshot import SPEECH_KINDS, has_tokenizer
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.errors import AlignmentError, EncoderError
from emocache.files import first_line
from emocache.types import SAMPLE_RATE

if TYPE_CHECKING:
    from emocache.encoders import Source

SILENCE_S = 0.2
LONGEST_S = 90
"""Longer audio would need memory that grows with the square of its length."""
Spans = Sequence[tuple[int, int]]
"""First and last (exclusive) frame of each word."""


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Character -> number; `gap` is that of the mark between words, where there is one."""

    numbers: dict[str, int]
    blank: int
    gap: int | None

    def spell(self, word: str) -> list[int]:
        """A word in numbers, letter by letter: as it is, in the other case, or without accents; AlignmentError for other characters."""
        found = [next((self.numbers[one] for one in _forms(letter) if one in self.numbers), None) for letter in word]
        if None in found:
            raise AlignmentError(f"the model has no character for {word[found.index(None)]!r} in {word!r}")
        return [number for number in found if number is not None]


def _forms(letter: str) -> tuple[str, ...]:
    bare = plain(letter)
    return (letter, letter.upper(), letter.lower(), bare, bare.upper())


class CtcAligner:
    """`model` gives float [1, frames, vocabulary] for a scaled waveform [1, samples]; `hop_s` are the seconds of a frame."""

    levels: ClassVar[tuple[str, ...]] = ("word",)

    def __init__(self, source: "Source", extract: Any, model: Any, vocabulary: Vocabulary, digest: str) -> None:
        self._extract, self._model, self._vocabulary = extract, model, vocabulary
        self.hop_s = model.config.inputs_to_logits_ratio / SAMPLE_RATE
        known = source.spec.languages if source.spec else ()
        self.languages = known if isinstance(known, tuple) else ()
        self.about = (
            f"CTC by {source.name} from {source.origin} at {source.revision[:12]} (sha256 {digest[:16]}), "
            f"transformers {version('transformers')}; pauses beyond {SILENCE_S} s are silence"
        )

    def align(self, wave: Waveform, transcript: str) -> Aligned:
        """The words; English numbers are read where the model is known to be English."""
        said = spoken(transcript, english="en" in self.languages)
        if len(wave) > LONGEST_S * SAMPLE_RATE:
            raise AlignmentError(f"lasts {len(wave) / SAMPLE_RATE:.1f} s; a CTC model is given {LONGEST_S} s at most")
        spelt = [self._vocabulary.spell(word) for word in said.words]
        text, firsts = _joined(spelt, self._vocabulary.gap)
        scores = self._scores(wave)
        if len(scores) < least_frames(text):
            raise AlignmentError(f"its audio ({len(wave) / SAMPLE_RATE:.2f} s) is too short for {len(text)} characters")
        spans = word_spans(best_path(scores, text, self._vocabulary.blank), firsts, [len(word) for word in spelt])
        note = f"not aligned: {' '.join(said.remarks)}" if said.remarks else ""
        return Aligned({"word": segments(said.words, spans, len(wave) / SAMPLE_RATE, self.hop_s)}, note)

    def _scores(self, wave: Waveform) -> NDArray[np.float32]:
        """Log-probabilities [frames, vocabulary]; no frames for audio that is too short for one."""
        scaled = self._extract(wave, sampling_rate=SAMPLE_RATE, return_tensors="pt").input_values
        if int(self._model._get_feat_extract_output_lengths(scaled.shape[1])) < 1:
            return np.empty((0, len(self._vocabulary.numbers)), np.float32)
        with torch.inference_mode():
            logits = self._model(scaled.to(self._model.device)).logits[0]
        found: NDArray[np.float32] = logits.float().log_softmax(-1).cpu().numpy()
        return found


def load(model: str, device: torch.device) -> tuple[CtcAligner, str]:
    """A named encoder, hub id or folder as an aligner, and its name; EncoderError when it is no CTC model."""
    from transformers import MODEL_FOR_CTC_MAPPING, AutoModelForCTC

    from emocache.encoders.base import UNUSED, from_pretrained, weights_digest
    from emocache.encoders.speech import feature_extractor

    make_torchaudio_importable()
    source = find(model)
    if source.computed:
        raise EncoderError(f"{model}: has no weights; aligning takes a CTC model, such as wav2vec2-base-960h")
    folder = str(source.folder)
    config = configuration(folder)
    if config.model_type not in SPEECH_KINDS or type(config) not in MODEL_FOR_CTC_MAPPING or getattr(config, "add_adapter", False):
        raise EncoderError(f"{model}: is of type {config.model_type!r}, and no CTC model over samples; try wav2vec2-base-960h")
    vocabulary = _vocabulary(source.folder, config.vocab_size)
    unused = [part for part in UNUSED if part != "lm_head"]  # what gives the characters must be there, and counts
    network = from_pretrained(AutoModelForCTC, folder, f"{model} as a CTC model", unused).to(device)
    return CtcAligner(source, feature_extractor(folder), network, vocabulary, weights_digest(network, unused)), source.name


def _vocabulary(folder: Path, size: int) -> Vocabulary:
    """The characters of a model; EncoderError when they are not there, or not of this model."""
    from transformers import AutoTokenizer

    from emocache.encoders.base import AS_IT_LIES

    if not (has_tokenizer(folder) or (folder / "vocab.json").is_file()):
        raise EncoderError(f"{folder}: has no vocab.json, so it was not trained to write characters; try wav2vec2-base-960h")
    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), **AS_IT_LIES)
    except (OSError, ValueError, ImportError, KeyError, TypeError, AttributeError) as error:
        raise EncoderError(f"{folder}: its vocabulary cannot be loaded ({first_line(error)})") from error
    numbers = {name: number for name, number in tokenizer.get_vocab().items() if number < size}
    if tokenizer.pad_token_id is None or max(numbers.values(), default=-1) != size - 1 or tokenizer.pad_token_id >= size:
        raise EncoderError(f"{folder}: its vocabulary of {len(numbers)} characters does not fit its model, which gives {size}")
    gap = numbers.get(getattr(tokenizer, "word_delimiter_token", None) or "|")
    return Vocabulary({name: number for name, number in numbers.items() if number != gap}, tokenizer.pad_token_id, gap)


def _joined(spelt: Sequence[Sequence[int]], gap: int | None) -> tuple[NDArray[np.int64], list[int]]:
    """All characters in one row with the mark between words, and where in it each word begins."""
    text: list[int] = []
    firsts = []
    for word in spelt:
        text += [gap] if text and gap is not None else []
        firsts.append(len(text))
        text += word
    return np.array(text, np.int64), firsts


def word_spans(path: NDArray[np.int64], firsts: Sequence[int], lengths: Sequence[int]) -> Spans:
    """The frames of each word on a path: those from its first character's first to its last one's last."""
    begins = [int(np.searchsorted(path, 2 * first + 1, side="left")) for first in firsts]
    ends = [int(np.searchsorted(path, 2 * (first + length) - 1, side="right")) for first, length in zip(firsts, lengths, strict=True)]
    return list(zip(begins, ends, strict=True))


def segments(words: Sequence[str], spans: Spans, duration_s: float, hop_s: float) -> list[Segment]:
    """Words and silences in seconds; what is between them belongs to silence when it is long, and else to both."""
    times = [(first * hop_s, last * hop_s) for first, last in spans]
    gaps = [(0.0, times[0][0]), *((before[1], after[0]) for before, after in pairwise(times)), (times[-1][1], duration_s)]
    pauses = [end_s - start_s > SILENCE_S for start_s, end_s in gaps]
    borders = [gap if pause else (sum(gap) / 2, sum(gap) / 2) for gap, pause in zip(gaps[1:-1], pauses[1:-1], strict=True)]
    starts = [times[0][0], *(after for _, after in borders)]
    ends = [*(before for before, _ in borders), times[-1][1]]
    spoken_ = [Segment(word, start_s, end_s) for word, start_s, end_s in zip(words, starts, ends, strict=True)]
    silent = [Segment("", *gap, SILENCE) for gap, pause in zip(gaps, pauses, strict=True) if pause]
    return sorted([*spoken_, *silent], key=lambda one: one.start_s)
