"""The encoders: one row per checkpoint, and `load` for them, for any hub id and for any local folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emocache.encoders.catalogue import ENCODERS, EncoderSpec
from emocache.encoders.snapshot import CHECKPOINT, CONFIG, SETTINGS, SPEECH_KINDS, checkpoint
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
from emocache.encoders.weights import Source, find
from emocache.errors import EncoderError, UsageError
from emocache.files import first_line

if TYPE_CHECKING:
    import torch

    from emocache.encoders.base import LAYER_RULE, PRECISIONS, Encoder

__all__ = ["ENCODERS", "LAYER_RULE", "PRECISIONS", "Encoder", "EncoderSpec", "Source", "configuration", "find", "load"]


def __getattr__(name: str) -> Any:
    """What needs torch, when it is asked for: the catalogue does without."""
    if name not in {"LAYER_RULE", "PRECISIONS", "Encoder"}:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from emocache.encoders import base

    return getattr(base, name)


def load(source: Source, device: "torch.device", precision: str = "fp32", *, window_s: float | None = None) -> "Encoder":
    """The encoder in a folder, frozen, on a device; EncoderError when it is of no supported kind or not what its row says.

    `window_s` shortens the window of Whisper; UsageError for other kinds.
    """
    encoder = _build(source, device, precision, window_s)
    if window_s is not None and encoder.family != "whisper":
        raise UsageError(f"--window: {source.name} has no window to shorten; only Whisper has")
    if source.spec is not None:
        _check(encoder, source.spec, source)
    return encoder


def _check(encoder: "Encoder", spec: EncoderSpec, source: Source) -> None:
    """EncoderError when a folder does not hold what its row says."""
    got = (encoder.family, encoder.layers[-1], encoder.dim, encoder.hop)
    expected = (spec.family, spec.layers, spec.width, spec.hop)
    if got != expected:
        text = "{} with {} blocks of {}, hop {}"
        raise EncoderError(f"{source.name}: {source.folder} holds {text.format(*got)}, expected {text.format(*expected)}")


def _build(source: Source, device: "torch.device", precision: str, window_s: float | None) -> "Encoder":
    """Pick the class by what the folder holds."""
    make_torchaudio_importable()  # transformers and SpeechBrain both import it
    if source.computed:
        return _computed(source, device, precision)
    from emocache.encoders.emotion2vec import Emotion2vecEncoder
    from emocache.encoders.speaker import SpeakerEncoder
    from emocache.encoders.speech import SpeechEncoder, WhisperEncoder
    from emocache.encoders.text import TextEncoder
    from emocache.encoders.wav2vec1 import Wav2Vec1Encoder

    folder = str(source.folder)
    if (source.folder / CHECKPOINT).is_file():
        return SpeakerEncoder(folder, device, precision)
    pickled = checkpoint(source.folder, source.spec.file if source.spec else "")
    if pickled is not None:
        kind = Emotion2vecEncoder if (source.folder / SETTINGS).is_file() else Wav2Vec1Encoder
        return kind(pickled, device, precision)
    config = configuration(folder)
    if config.model_type == "whisper":
        return WhisperEncoder(folder, config, device, precision, window_s)
    if config.model_type in SPEECH_KINDS:
        return SpeechEncoder(folder, config, device, precision)
    if _reads_text(config):
        return TextEncoder(folder, config, device, precision)
    kinds = f"{', '.join(SPEECH_KINDS)}, whisper, BERT-like text models, wav2vec 1.0, emotion2vec, ECAPA-TDNN and x-vectors"
    raise EncoderError(f"{folder}: model type {config.model_type!r} is not supported; supported are {kinds}")


def _computed(source: Source, device: "torch.device", precision: str) -> "Encoder":
    """What needs no weights; in no precision but full, since a spectrum's range is wider than that of half a float."""
    from emocache.encoders.egemaps import DescriptorsEncoder, FunctionalsEncoder
    from emocache.encoders.spectrogram import ImageEncoder, LogMelEncoder, MelImageEncoder

    if precision != "fp32":
        raise UsageError(f"--precision {precision}: {source.name} is computed in fp32 alone")
    kinds: tuple[Callable[[torch.device, str], Encoder], ...]
    kinds = (LogMelEncoder, ImageEncoder, MelImageEncoder, FunctionalsEncoder, DescriptorsEncoder)
    return next(kind for kind in kinds if kind.family == source.name)(device, precision)


def _reads_text(config: Any) -> bool:
    """Whether a model is built like BERT: it is given tokens, was trained to fill gaps, and has no decoder."""
    import transformers

    given = getattr(transformers.MODEL_MAPPING.get(type(config), None), "main_input_name", "")
    fills_gaps = type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING
    return given == "input_ids" and fills_gaps and not getattr(config, "is_encoder_decoder", False)


def configuration(folder: str) -> Any:
    """The transformers configuration of a folder."""
    import transformers

    from emocache.encoders.base import AS_IT_LIES

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not Path(folder, CONFIG).is_file():
        inside = [path.parent for path in Path(folder).glob(f"*/{CONFIG}")]
        latest = max(inside, key=lambda path: (len(path.name), path.name), default=None)  # checkpoint-1000 after checkpoint-500
        hint = f"; did you mean {latest}?" if latest else f": it needs {CONFIG}, weights, and a tokenizer or preprocessor"
        raise EncoderError(f"{folder}: no transformers model and no {CHECKPOINT} in it{hint}")
    try:
        return transformers.AutoConfig.from_pretrained(folder, **AS_IT_LIES)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        own = "it wants code of its own to be run, which emocache never does" if "trust_remote_code" in str(error) else first_line(error)
        raise EncoderError(f"{folder}: its {CONFIG} describes no model that transformers knows ({own})") from error
