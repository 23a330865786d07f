"""The encoders by name: facts that are known before anything is loaded."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """One checkpoint: where it is, and what a loaded model is checked against.

    `family` is transformers' model type, or the name of another architecture, `width` the dimension of a row, `layers` the
    number of blocks (layers 0..layers are cached), `hop` and `receptive` are the step and the reach of a frame in samples at
    16 kHz (0 where there are no frames). `repo` is empty where there are no weights: the features are computed from samples alone.
    `file` is the one file that is wanted of a repo with many models.
    """

    repo: str
    family: str
    width: int
    layers: int
    licence: str
    revision: str = "main"
    hop: int = 0
    receptive: int = 0
    file: str = ""


def _speech(repo: str, family: str, width: int, layers: int, licence: str) -> EncoderSpec:
    """An encoder whose convolutions give a frame of 25 ms every 20 ms."""
    return EncoderSpec(repo=repo, family=family, width=width, layers=layers, licence=licence, hop=320, receptive=400)


def _whisper(repo: str, width: int, layers: int) -> EncoderSpec:
    """Whisper: 25 ms log-mel windows every 10 ms, then two convolutions of 3, the second with stride 2."""
    return EncoderSpec(repo=repo, family="whisper", width=width, layers=layers, licence="MIT", hop=320, receptive=400 + 4 * 160)


def _emotion2vec(name: str, width: int) -> EncoderSpec:
    """emotion2vec: a prenet of 4 blocks and 8 more."""
    licence = "FunASR model licence"
    return EncoderSpec(repo=f"emotion2vec/{name}", family="emotion2vec", width=width, layers=12, licence=licence, hop=320, receptive=400)


def _computed(family: str, width: int, hop: int = 0, receptive: int = 0, licence: str = "none: computed") -> EncoderSpec:
    """Features of samples alone."""
    return EncoderSpec(repo="", family=family, width=width, layers=0, licence=licence, hop=hop, receptive=receptive)


OPENSMILE = "openSMILE research licence: not for commercial use"


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
    "xvector": EncoderSpec(repo="speechbrain/spkrec-xvect-voxceleb", family="xvector", width=512, layers=0, licence="Apache-2.0"),
    "wav2vec1-large": EncoderSpec(
        repo="s3prl/converted_ckpts", file="wav2vec_large.pt", family="wav2vec", width=512, layers=1, licence="MIT", hop=160, receptive=465
    ),
    "emotion2vec-base": _emotion2vec("emotion2vec_base", 768),
    "emotion2vec-plus-seed": _emotion2vec("emotion2vec_plus_seed", 768),
    "emotion2vec-plus-base": _emotion2vec("emotion2vec_plus_base", 768),
    "emotion2vec-plus-large": _emotion2vec("emotion2vec_plus_large", 1024),
    "log-mel": _computed("log-mel", 80, hop=160, receptive=400),
    "spectrogram-140": _computed("spectrogram-140", 140, hop=915, receptive=1280),
    "spectrogram-140-mel": _computed("spectrogram-140-mel", 140, hop=915, receptive=1280),
    "egemaps": _computed("egemaps", 88, licence=OPENSMILE),
    "egemaps-lld": _computed("egemaps-lld", 25, hop=160, receptive=1280, licence=OPENSMILE),
}
