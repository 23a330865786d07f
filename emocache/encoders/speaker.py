"""Speaker embeddings through SpeechBrain, one row per utterance: ECAPA-TDNN (Desplanques et al. 2020) and x-vectors (Snyder et al. 2018).

Both as trained on VoxCeleb (spkrec-ecapa-voxceleb, spkrec-xvect-voxceleb), on log-mel bands whose mean over the utterance
is removed. Built from SpeechBrain's classes and loaded with weights_only: its hyperparameter file is never run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emocache.encoders import pickled
from emocache.encoders.base import Encoder, to_device, weights_digest
from emocache.encoders.snapshot import CHECKPOINT
from emocache.errors import EncoderError
from emocache.types import SAMPLE_RATE, Utterance

SHORTEST = SAMPLE_RATE // 10
"""Samples; below 0.1 s the reflected padding of the convolutions is longer than the signal."""


def _ecapa() -> nn.Module:
    from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN

    model: nn.Module = ECAPA_TDNN(
        80, channels=[1024, 1024, 1024, 1024, 3072], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1],
        attention_channels=128, lin_neurons=192,
    )  # fmt: skip
    return model


def _xvector() -> nn.Module:
    from speechbrain.lobes.models.Xvector import Xvector
    from speechbrain.nnet.pooling import StatisticsPooling

    model: nn.Module = Xvector(
        in_channels=24, activation=nn.LeakyReLU, tdnn_blocks=5, tdnn_channels=[512, 512, 512, 512, 1500],
        tdnn_kernel_sizes=[5, 3, 3, 1, 1], tdnn_dilations=[1, 2, 3, 1, 1], lin_neurons=512,
    )  # fmt: skip
    for module in model.modules():
        if isinstance(module, StatisticsPooling):  # adds random numbers below 1e-4 to its means, and not in training alone
            module._get_gauss_noise = lambda shape, device: torch.zeros(shape, device=device)
    return model


@dataclass(frozen=True, kw_only=True, slots=True)
class Kind:
    """One architecture: a tensor that it alone has, its bands and width, and the key's words for it."""

    family: str
    tensor: str
    mels: int
    width: int
    configuration: str
    build: Callable[[], nn.Module]


KINDS = (
    Kind(
        family="ecapa", tensor="mfa.conv.conv.weight", mels=80, width=192, build=_ecapa,
        configuration="ECAPA-TDNN, channels 1024 x 4 + 3072, attention 128",
    ),
    Kind(
        family="xvector", tensor="blocks.16.w.weight", mels=24, width=512, build=_xvector,
        configuration="x-vector, channels 512 x 4 + 1500, no noise added to the pooled means",
    ),
)  # fmt: skip


class SpeakerEncoder(Encoder):
    """The speaker model whose tensors a folder holds; no layers to choose from."""

    modality = "audio"
    native = "utterance"
    layers = (0,)

    def __init__(self, folder: str, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from speechbrain.lobes.features import Fbank
        from speechbrain.processing.features import InputNormalization

        path = Path(folder) / CHECKPOINT
        tensors = pickled.read(path, "a speaker model's checkpoint")
        kind = next((kind for kind in KINDS if kind.tensor in tensors), None)
        if kind is None:
            raise EncoderError(f"{path}: is the checkpoint of neither ECAPA-TDNN nor x-vectors, as SpeechBrain names their tensors")
        self._bands = Fbank(n_mels=kind.mels).to(device)
        self._normalise = InputNormalization(norm_type="sentence", std_norm=False).to(device)
        self._model = kind.build()
        try:
            self._model.load_state_dict(tensors)
        except RuntimeError as error:
            raise EncoderError(f"{path}: is no {kind.family} of the published size; no other is supported") from error
        self._model.eval().requires_grad_(False).to(device)
        self.family, self.dim, self.configuration = kind.family, kind.width, kind.configuration
        self.preprocessing = f"{SAMPLE_RATE} Hz mono, {kind.mels} log-mel bands, mean over the utterance removed"
        self.weights = weights_digest(self._model)

    def rows(self, utterance: Utterance) -> int:
        """One, unless the audio is too short."""
        return int((utterance.samples or 0) >= SHORTEST)

    def prepare(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """The waveform as it is."""
        return value

    def forward(self, batch: Sequence[NDArray[np.float32]], layers: Sequence[int]) -> list[Tensor]:
        """float32 [1, 1, dim] for each waveform; all have one length, since padding would be heard."""
        with self.computing():
            signal = to_device(torch.from_numpy(np.stack(batch)), self.device)
            whole = torch.ones(len(batch), device=self.device)
            bands = self._normalise(self._bands(signal), whole)
            embeddings: Tensor = self._model(bands, whole)
        return list(embeddings.float()[:, None])
