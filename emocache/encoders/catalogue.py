"""The encoders by name: facts that are known before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """One checkpoint: where it is, and what a loaded model is checked against.

    `family` is transformers' model type (or 'ecapa'), `width` the dimension of a row, `layers` the number of transformer
    blocks (layers 0..layers are cached), `hop` and `receptive` are the step and the reach of a frame in samples at 16 kHz
    (0 where there are no frames).
    """

    repo: str
    family: str
    width: int
    layers: int
    licence: str
    revision: str = "main"
    hop: int = 0
    receptive: int = 0


def _speech(repo: str, family: str, width: int, layers: int, licence: str) -> EncoderSpec:
    """An encoder whose convolutions give a frame of 25 ms every 20 ms."""
    return EncoderSpec(repo=repo, family=family, width=width, layers=layers, licence=licence, hop=320, receptive=400)


def _whisper(repo: str, width: int, layers: int) -> EncoderSpec:
    """Whisper: 25 ms log-mel windows every 10 ms, then two convolutions of 3, the second with stride 2."""
    return EncoderSpec(repo=repo, family="whisper", width=width, layers=layers, licence="MIT", hop=320, receptive=400 + 4 * 160)


def _text(repo: str, family: str, width: int, layers: int, licence: str) -> EncoderSpec:
    """A text encoder."""
    return EncoderSpec(repo=repo, family=family, width=width, layers=layers, licence=licence)


ENCODERS: Mapping[str, EncoderSpec] = {
    "hubert-base": _speech("facebook/hubert-base-ls960", "hubert", 768, 12, "Apache-2.0"),
    "hubert-large": _speech("facebook/hubert-large-ll60k", "hubert", 1024, 24, "Apache-2.0"),
    "wav2vec2-base": _speech("facebook/wav2vec2-base", "wav2vec2", 768, 12, "Apache-2.0"),
    "wav2vec2-large": _speech("facebook/wav2vec2-large-lv60", "wav2vec2", 1024, 24, "Apache-2.0"),
    "wavlm-base-plus": _speech("microsoft/wavlm-base-plus", "wavlm", 768, 12, "CC BY-SA 3.0"),
    "wavlm-large": _speech("microsoft/wavlm-large", "wavlm", 1024, 24, "CC BY-SA 3.0"),
    "whisper-tiny.en": _whisper("openai/whisper-tiny.en", 384, 4),
    "whisper-base": _whisper("openai/whisper-base", 512, 6),
    "bert-base": _text("google-bert/bert-base-uncased", "bert", 768, 12, "Apache-2.0"),
    "roberta-base": _text("FacebookAI/roberta-base", "roberta", 768, 12, "MIT"),
    "all-minilm-l6-v2": _text("sentence-transformers/all-MiniLM-L6-v2", "bert", 384, 6, "Apache-2.0"),
    "all-mpnet-base-v2": _text("sentence-transformers/all-mpnet-base-v2", "mpnet", 768, 12, "Apache-2.0"),
    "ecapa": EncoderSpec(repo="speechbrain/spkrec-ecapa-voxceleb", family="ecapa", width=192, layers=0, licence="Apache-2.0"),
}
