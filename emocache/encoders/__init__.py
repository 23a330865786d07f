"""The encoders: one row per checkpoint, and `load` for them, for any hub id and for any local folder."""

from collections.abc import Mapping
from typing import Any

import torch

from emocache.encoders.base import LAYER_RULE, PRECISIONS, Encoder, EncoderSpec, speech_spec
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.encoders.weights import Source, locate
from emocache.errors import EncoderError, UsageError

__all__ = ["ENCODERS", "LAYER_RULE", "PRECISIONS", "Encoder", "EncoderSpec", "Source", "find", "load", "pick_device"]

ENCODERS: Mapping[str, EncoderSpec] = {
    "hubert-base": speech_spec("facebook/hubert-base-ls960", "hubert", 768, 12, "Apache-2.0"),
    "hubert-large": speech_spec("facebook/hubert-large-ll60k", "hubert", 1024, 24, "Apache-2.0"),
    "wav2vec2-base": speech_spec("facebook/wav2vec2-base", "wav2vec2", 768, 12, "Apache-2.0"),
    "wav2vec2-large": speech_spec("facebook/wav2vec2-large-lv60", "wav2vec2", 1024, 24, "Apache-2.0"),
    "wavlm-base-plus": speech_spec("microsoft/wavlm-base-plus", "wavlm", 768, 12, "CC BY-SA 3.0"),
    "wavlm-large": speech_spec("microsoft/wavlm-large", "wavlm", 1024, 24, "CC BY-SA 3.0"),
    "whisper-tiny.en": speech_spec("openai/whisper-tiny.en", "whisper", 384, 4, "MIT"),
    "whisper-base": speech_spec("openai/whisper-base", "whisper", 512, 6, "MIT"),
    "bert-base": EncoderSpec(repo="google-bert/bert-base-uncased", family="text", width=768, layers=12, licence="Apache-2.0"),
    "roberta-base": EncoderSpec(repo="FacebookAI/roberta-base", family="text", width=768, layers=12, licence="MIT"),
    "all-minilm-l6-v2": EncoderSpec(
        repo="sentence-transformers/all-MiniLM-L6-v2", family="text", width=384, layers=6, licence="Apache-2.0"
    ),
    "all-mpnet-base-v2": EncoderSpec(
        repo="sentence-transformers/all-mpnet-base-v2", family="text", width=768, layers=12, licence="Apache-2.0"
    ),
    "ecapa": EncoderSpec(repo="speechbrain/spkrec-ecapa-voxceleb", family="ecapa", width=192, layers=0, licence="Apache-2.0"),
}

SPEECH_KINDS = ("hubert", "wav2vec2", "wavlm")


def find(model: str) -> Source:
    """Find or fetch the weights of `model`: a row of ENCODERS, `org/name[@revision]`, or a folder."""
    return locate(model, ENCODERS)


def load(source: Source, device: torch.device, precision: str = "fp32") -> Encoder:
    """The encoder in a folder, frozen, on a device; EncoderError when it is of no supported kind or not what its row says."""
    encoder = _build(source, device, precision)
    spec = source.spec
    if spec is not None and (encoder.dim, encoder.layers[-1]) != (spec.width, spec.layers):
        got = f"{encoder.layers[-1]} blocks of {encoder.dim}"
        raise EncoderError(f"{source.name}: {source.folder} holds {got}, expected {spec.layers} blocks of {spec.width}")
    return encoder


def _build(source: Source, device: torch.device, precision: str) -> Encoder:
    """Pick the class by what the folder holds."""
    make_torchaudio_importable()  # transformers and SpeechBrain both import it
    from emocache.encoders.speaker import CHECKPOINT, SpeakerEncoder
    from emocache.encoders.speech import SpeechEncoder, WhisperEncoder
    from emocache.encoders.text import TextEncoder

    folder = str(source.folder)
    if (source.folder / CHECKPOINT).is_file():
        return SpeakerEncoder(folder, device, precision)
    config = _config(folder)
    if config.model_type == "whisper":
        return WhisperEncoder(folder, config, device, precision)
    if config.model_type in SPEECH_KINDS:
        return SpeechEncoder(folder, config, device, precision)
    if hasattr(config, "vocab_size") and not getattr(config, "conv_kernel", None) and not getattr(config, "is_encoder_decoder", False):
        return TextEncoder(folder, config, device, precision)
    kinds = f"{', '.join(SPEECH_KINDS)}, whisper, BERT-like text models and ECAPA-TDNN"
    raise EncoderError(f"{folder}: model type {config.model_type!r} is not supported; supported are {kinds}")


def _config(folder: str) -> Any:
    """The transformers configuration of a folder."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        return transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise EncoderError(
            f"{folder}: no transformers model and no {'embedding_model.ckpt'} in it ({str(error).splitlines()[0]})"
        ) from error


def pick_device(name: str | None) -> torch.device:
    """The device asked for, else a GPU that is there, else the CPU; a GPU that does not work is an error, never passed over."""
    try:
        device = torch.device(name) if name else torch.device("cuda" if _gpu_is_there() else "cpu")
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"device {name or 'cuda'} does not work here ({reason}); mend it, or say --device cpu") from error
    return device


def _gpu_is_there() -> bool:
    """Whether torch or the driver's own tool sees a GPU."""
    import shutil
    import subprocess

    if torch.cuda.is_available():
        return True
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return False
    listed = subprocess.run([tool, "--list-gpus"], capture_output=True, text=True, check=False)
    return listed.returncode == 0 and "GPU" in listed.stdout
