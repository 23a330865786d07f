"""What every encoder is: a frozen model that turns a batch of waveforms or texts into hidden states per layer.

Layer 0 is the input of block 1, layer l the output of block l, and the last one is taken after the model's final norm
where it has one. Hooks read them off: the `hidden_states` of transformers differ between its versions in exactly that.
"""

import contextlib
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocache.errors import EncoderError
from emocache.types import Utterance

LAYER_RULE = "0 = input of block 1, l = output of block l, last after the final norm"
PRECISIONS = ("fp32", "tf32", "bf16", "fp16")
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
UNUSED = ("pooler", "masked_spec_embed", "decoder", "lm_head", "proj_out", "embeddings.position_ids")
"""Parts of a checkpoint that no cached feature depends on: they may be missing, and count in no digest."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderSpec:
    """One checkpoint: where it is, and what is known of it before it is loaded.

    `width` is the dimension of a row, `layers` the number of transformer blocks (layers 0..layers are cached), `hop` and
    `receptive` are in samples at 16 kHz (0 for text).
    """

    repo: str
    family: str
    width: int
    layers: int
    licence: str
    revision: str = "main"
    hop: int = 0
    receptive: int = 0


def speech_spec(repo: str, family: str, width: int, layers: int, licence: str) -> EncoderSpec:
    """A speech encoder with a frame every 20 ms."""
    return EncoderSpec(repo=repo, family=family, width=width, layers=layers, licence=licence, hop=320, receptive=400)


class Encoder(ABC):
    """A frozen model on a device.

    `modality` is 'audio' or 'text', `native` the level it gives ('frames', 'tokens' or 'utterance'), `layers` every layer
    it has, `dim` the width of a row; `weights` is the digest of its tensors and `preprocessing` says in words what
    happens before the first layer: both are part of the key.
    """

    modality: str
    native: str
    layers: tuple[int, ...]
    dim: int
    weights: str
    preprocessing: str
    hop: int = 0

    def __init__(self, device: torch.device, precision: str) -> None:
        self.device = device
        self.precision = precision

    @abstractmethod
    def rows(self, utterance: Utterance) -> int:
        """Rows of the native level, known before encoding; 0 for an utterance that is too short."""

    @abstractmethod
    def encode(self, batch: Sequence[Any], layers: Sequence[int]) -> list[Tensor]:
        """Encode waveforms (float32 [samples]) or texts: for each, float32 [layers, rows, dim] on the device."""

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
    """Allow or forbid TF32 in matrix products and convolutions for a while."""
    matmul, convolution = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, convolution.allow_tf32
    matmul.allow_tf32 = convolution.allow_tf32 = allowed
    try:
        yield
    finally:
        matmul.allow_tf32, convolution.allow_tf32 = before


@contextlib.contextmanager
def tapped(blocks: Any) -> Iterator[dict[int, Tensor]]:
    """While open, a forward pass leaves layer l's hidden states [batch, time, dim] under key l."""
    states: dict[int, Tensor] = {}

    def before(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states[0] = args[0] if args else kwargs["hidden_states"]

    def after(layer: int) -> Any:
        def hook(_: nn.Module, __: Any, output: Any) -> None:
            states[layer] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [blocks[0].register_forward_pre_hook(before, with_kwargs=True)]
    handles += [block.register_forward_hook(after(layer)) for layer, block in enumerate(blocks, 1)]
    try:
        yield states
    finally:
        for handle in handles:
            handle.remove()


def hidden_states(model: Any, blocks: Any, layers: Sequence[int], **inputs: Tensor) -> Tensor:
    """Run a transformers model once: float32 [layers, batch, time, dim]."""
    with tapped(blocks) as states:
        states[len(blocks)] = model(**inputs).last_hidden_state
    return torch.stack([states[layer].float() for layer in layers])


def weights_digest(module: nn.Module) -> str:
    """SHA-256 over a module's floating-point tensors, as float32.

    Independent of names, order and container, so that copies of a checkpoint as .bin, .safetensors or in half precision
    storage agree, and a release of transformers that renames a parameter does not orphan a cache.
    """
    tensors = {name: tensor for name, tensor in module.state_dict().items() if tensor.is_floating_point()}
    used = (tensor for name, tensor in tensors.items() if not any(part in name for part in UNUSED))
    digests = sorted(_tensor_digest(tensor) for tensor in used)
    return hashlib.sha256(b"".join(digests)).hexdigest()


def _tensor_digest(tensor: Tensor) -> bytes:
    """SHA-256 of shape and float32 values."""
    values = tensor.detach().to("cpu", torch.float32).contiguous().numpy()
    return hashlib.sha256(str(values.shape).encode() + values.astype("<f4", copy=False).tobytes()).digest()


def from_pretrained(model_class: Any, folder: str, what: str) -> Any:
    """Load a transformers model in float32; EncoderError when the checkpoint lacks weights that features depend on.

    transformers fills what is missing with random numbers and only warns.
    """
    try:
        model, report = model_class.from_pretrained(folder, dtype=torch.float32, local_files_only=True, output_loading_info=True)
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise EncoderError(f"{what}: cannot be loaded from {folder} ({_first_line(error)})") from error
    missing = sorted(name for name in report["missing_keys"] if not any(part in name for part in UNUSED))
    if missing:
        raise EncoderError(
            f"{what}: {folder} lacks {len(missing)} weights (first {missing[0]}); it is no complete checkpoint of this model"
        )
    return model.eval().requires_grad_(False)


def _first_line(error: BaseException) -> str:
    """The first line of an error's text."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
