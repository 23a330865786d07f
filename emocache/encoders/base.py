"""What every encoder is: a frozen model that turns a batch of waveforms or texts into hidden states per layer.

Layer 0 is the input of block 1, layer l the output of block l, and the last one is taken after the model's final norm
where it has one. Hooks read them off: the `hidden_states` of transformers differ between its versions in exactly that.
"""

import contextlib
import hashlib
import json
import pickle
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocache.encoders import snapshot
from emocache.errors import EncoderError
from emocache.files import first_line
from emocache.types import Utterance

LAYER_RULE = "0 = input of block 1, l = output of block l, last after the final norm"
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
AS_IT_LIES = {"local_files_only": True, "trust_remote_code": False}
"""How transformers reads a folder: nothing is fetched, and no code that lies in it is run (nor is anybody asked to allow it)."""
UNUSED = ("pooler", "masked_spec_embed", "decoder", "lm_head", "proj_out", "embeddings.position_ids")
"""Parts of a checkpoint that no cached feature depends on: they may be missing, and count in no digest."""


DECISIVE = (
    "model_type", "hidden_size", "d_model", "num_attention_heads", "encoder_attention_heads", "num_hidden_layers", "encoder_layers",
    "intermediate_size", "encoder_ffn_dim", "hidden_act", "activation_function", "feat_extract_activation", "layer_norm_eps",
    "do_stable_layer_norm", "feat_extract_norm", "feat_proj_layer_norm", "conv_dim", "conv_kernel", "conv_stride", "conv_bias",
    "num_conv_pos_embeddings", "num_conv_pos_embedding_groups", "conv_pos_batch_norm", "num_buckets", "max_bucket_distance",
    "relative_attention_num_buckets", "position_embedding_type", "max_position_embeddings", "max_source_positions", "num_mel_bins",
    "scale_embedding", "pad_token_id", "position_biased_input", "relative_attention", "pos_att_type", "share_att_key", "norm_rel_ebd",
    "is_decoder", "position_buckets", "max_relative_positions", "activation", "position_embeddings_type", "rotary_embedding_base",
)  # fmt: skip
"""Settings of transformers models that change what the same weights compute."""


Batching = Literal["padded", "equal"]
"""Which inputs may share a forward pass without changing each other's rows: any, or those of one length alone."""


class Encoder(ABC):
    """A frozen model on a device.

    `modality` is 'audio' or 'text', `native` the level it gives ('frames', 'tokens' or 'utterance'), `layers` every layer
    it has, `dim` the width of a row, `hop` the samples from one frame to the next, `centre` the sample in the middle of frame 0
    (-1 where frames have no certain place in time);
    `weights` is the digest of its tensors, `configuration` of the settings that decide numbers, and `preprocessing` says in words what
    happens before the first layer: all three are part of the key. `sentence_rule` says how a text becomes one row.
    """

    modality: str
    native: str
    family: str
    layers: tuple[int, ...]
    dim: int
    weights: str
    configuration: str
    preprocessing: str
    hop: int = 0
    centre: int = -1
    batching: Batching = "equal"
    sentence_rule: str = "first token"

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device = device
        self.precision = precision

    @abstractmethod
    def rows(self, utterance: Utterance) -> int:
        """Rows of the native level, known before encoding; 0 for an utterance that is too short."""

    @abstractmethod
    def prepare(self, value: Any) -> Any:
        """What the model is given of a waveform (float32 [samples]) or a text: the work before it that needs no device."""

    @abstractmethod
    def forward(self, batch: Sequence[Any], layers: Sequence[int]) -> list[Tensor]:
        """Encode what `prepare` gave: for each, float32 [layers, rows, dim] on the device. Batch mates change nothing."""

    def encode(self, batch: Sequence[Any], layers: Sequence[int]) -> list[Tensor]:
        """Encode waveforms or texts: for each, float32 [layers, rows, dim] on the device."""
        prepared = [self.prepare(value) for value in batch]
        if self.batching == "padded":
            return self.forward(prepared, layers)
        return [rows for one in prepared for rows in self.forward([one], layers)]

    def size(self, utterance: Utterance) -> int:
        """What an utterance counts in a batch: samples, or tokens."""
        return utterance.samples or 0

    def columns(self, utterance: Utterance) -> Mapping[str, NDArray[np.int32]]:
        """What each native row stands for, column -> int32 [rows]; nothing by default."""
        return {}

    def note(self, utterance: Utterance) -> str | None:
        """Something a user should know about how this utterance will be encoded, such as a cut text."""
        return None

    @contextlib.contextmanager
    def computing(self) -> Iterator[None]:
        """Inference in the declared precision, and in no other: a GPU would use TF32 by itself."""
        with contextlib.ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(_tf32(self.precision == "tf32"))
            if self.precision in _AUTOCAST:
                stack.enter_context(torch.autocast(self.device.type, _AUTOCAST[self.precision]))
            yield


@contextlib.contextmanager
def _tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in matrix products and convolutions for a while, by whichever of torch's two switches there is."""
    parts: list[Any] = [torch.backends.cuda.matmul, getattr(torch.backends.cudnn, "conv", torch.backends.cudnn)]
    newer = all(hasattr(part, "fp32_precision") for part in parts)
    parts = parts if newer else [torch.backends.cuda.matmul, torch.backends.cudnn]
    name, value = ("fp32_precision", "tf32" if allowed else "ieee") if newer else ("allow_tf32", allowed)
    before = [getattr(part, name) for part in parts]
    for part in parts:
        setattr(part, name, value)
    try:
        yield
    finally:
        for part, old in zip(parts, before, strict=True):
            setattr(part, name, old)


class _Reached(Exception):
    """The highest layer that is wanted has been computed."""


@contextlib.contextmanager
def tapped(blocks: Any, layers: Sequence[int]) -> Iterator[dict[int, Tensor]]:
    """While open, a forward pass leaves the states [batch, time, dim] of the layers below the last one, and ends where it can."""
    states: dict[int, Tensor] = {}
    highest = max(layers)

    def keep(layer: int, state: Tensor) -> None:
        states[layer] = state
        if layer == highest:
            raise _Reached

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        keep(0, args[0] if args else kwargs["hidden_states"])

    def after(layer: int) -> Any:
        return lambda _, __, output: keep(layer, output[0] if isinstance(output, tuple) else output)

    inner = sorted(set(layers) - {len(blocks)})
    handles = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)] if 0 in inner else []
    handles += [blocks[layer - 1].register_forward_hook(after(layer)) for layer in inner if layer]
    try:
        with contextlib.suppress(_Reached):
            yield states
    finally:
        for handle in handles:
            handle.remove()


def hidden_states(model: Any, blocks: Any, layers: Sequence[int], **inputs: Tensor) -> list[Tensor]:
    """Run a transformers model once, no further than needed: for each layer [batch, time, dim], in the computed type."""
    with tapped(blocks, layers) as states:
        states[len(blocks)] = model(**inputs).last_hidden_state
    return [states[layer] for layer in layers]


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """A tensor on the device; towards a GPU from pinned memory, so that nobody waits."""
    return values.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else values.to(device)


def rows_of(states: Sequence[Tensor], which: int, rows: int) -> Tensor:
    """The first `rows` rows of one batch mate: float32 [layers, rows, dim]."""
    return torch.stack([state[which, :rows].float() for state in states])


def weights_digest(module: nn.Module, unused: Sequence[str] = UNUSED) -> str:
    """SHA-256 over a module's floating-point tensors, as float32, in the module's own order.

    Independent of names and container: .bin and .safetensors copies agree (and copies in half precision, where they hold
    the same values), and a release of transformers that renames a
    parameter does not orphan a cache. Two tensors in each other's place give another digest.
    """
    tensors = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    used = (tensor for name, tensor in tensors.items() if not any(part in name for part in unused))
    return hashlib.sha256(b"".join(_tensor_digest(tensor) for tensor in used)).hexdigest()


def configuration_digest(config: Any, *more: object) -> str:
    """SHA-256 over what, beside the weights, decides a transformers model's numbers, and over `more`.

    Only the settings named in DECISIVE count: others come and go with releases of transformers.
    """
    settings = {name: getattr(config, name) for name in DECISIVE if getattr(config, name, None) is not None}
    return hashlib.sha256(json.dumps([settings, *more], sort_keys=True, default=str).encode()).hexdigest()


def _tensor_digest(tensor: Tensor) -> bytes:
    """SHA-256 of shape and float32 values."""
    values = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(str(values.shape).encode() + values.astype("<f4", copy=False).tobytes()).digest()


def from_pretrained(model_class: Any, folder: str, what: str, unused: Sequence[str] = UNUSED) -> Any:
    """Load a transformers model in float32; EncoderError when the checkpoint lacks weights that features depend on: any but `unused`.

    transformers fills what is missing with random numbers and only warns. Pickles are read with weights_only, so that a
    checkpoint runs no code, neither in its weights nor beside them.
    """
    if (damage := snapshot.damage(Path(folder))) is not None:
        raise EncoderError(f"{folder}: {damage}; copy or download it again")
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Detected pickle protocol")
            model, report = model_class.from_pretrained(
                folder, dtype=torch.float32, weights_only=True, output_loading_info=True, **AS_IT_LIES
            )
    except (OSError, ValueError, RuntimeError, KeyError, EOFError, ImportError, pickle.UnpicklingError) as error:
        raise EncoderError(f"{what}: cannot be loaded from {folder} ({why_not(error)})") from error
    missing = sorted(name for name in report["missing_keys"] if not any(part in name for part in unused))
    if missing:
        raise EncoderError(
            f"{what}: {folder} lacks {len(missing)} weights (first {missing[0]}); it is no complete checkpoint of this model"
        )
    return model.eval().requires_grad_(False)


def why_not(error: BaseException) -> str:
    """Why a checkpoint cannot be loaded, in a few words."""
    texts = [str(one) for one in (error, error.__cause__, error.__context__) if one is not None]
    if any("mismatched" in text for text in texts):
        return "its tensors have other shapes than its configuration says"
    if any("Unsupported global" in text or "unsupported GLOBAL" in text for text in texts):
        return "its weights are a pickle that holds more than tensors, and reading that could run code; ask its makers for safetensors"
    if any("Weights only load failed" in text or "Unable to load weights" in text for text in texts) or isinstance(error, EOFError):
        return "its weights are damaged, or no file of tensors; copy or download it again"
    return first_line(error)
