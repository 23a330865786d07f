"""ECAPA-TDNN speaker embeddings through SpeechBrain (Desplanques et al. 2020): one 192-d row per utterance."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emocache.encoders import pickled
from emocache.encoders.base import Encoder, to_device, weights_digest
from emocache.types import SAMPLE_RATE, Utterance

CHECKPOINT = "embedding_model.ckpt"
MELS = 80
SHORTEST = SAMPLE_RATE // 10
"""Samples; below 0.1 s the reflected padding of its convolutions is longer than the signal."""


class SpeakerEncoder(Encoder):
    """ECAPA-TDNN as trained on VoxCeleb: 80 log-mel bands, mean-normalised per utterance, no layers to choose from.

    Built from SpeechBrain's classes and loaded with weights_only: its hyperparameter file is never run.
    """

    modality = "audio"
    native = "utterance"
    family = "ecapa"
    layers = (0,)
    dim = 192
    configuration = "ECAPA-TDNN, channels 1024 x 4 + 3072, attention 128"
    preprocessing = f"{SAMPLE_RATE} Hz mono, {MELS} log-mel bands, mean over the utterance removed"

    def __init__(self, folder: str, device: torch.device, precision: str) -> None:
        super().__init__(device, precision)
        from speechbrain.lobes.features import Fbank
        from speechbrain.lobes.models.ECAPA_TDNN import ECAPA_TDNN
        from speechbrain.processing.features import InputNormalization

        self._bands = Fbank(n_mels=MELS).to(device)
        self._normalise = InputNormalization(norm_type="sentence", std_norm=False).to(device)
        self._model = ECAPA_TDNN(
            MELS, channels=[1024, 1024, 1024, 1024, 3072], kernel_sizes=[5, 3, 3, 3, 1], dilations=[1, 2, 3, 4, 1],
            attention_channels=128, lin_neurons=self.dim,
        )  # fmt: skip
        self._model.load_state_dict(pickled.read(Path(folder) / CHECKPOINT, "an ECAPA-TDNN checkpoint"))
        self._model.eval().requires_grad_(False).to(device)
        self.weights = weights_digest(self._model)

    def rows(self, utterance: Utterance) -> int:
        """One, unless the audio is too short."""
        return int((utterance.samples or 0) >= SHORTEST)

    def prepare(self, value: NDArray[np.float32]) -> NDArray[np.float32]:
        """The waveform as it is."""
        return value

    def forward(self, batch: Sequence[NDArray[np.float32]], layers: Sequence[int]) -> list[Tensor]:
        """float32 [1, 1, 192] for each waveform; all have one length, since padding would be heard."""
        with self.computing():
            signal = to_device(torch.from_numpy(np.stack(batch)), self.device)
            whole = torch.ones(len(batch), device=self.device)
            bands = self._normalise(self._bands(signal), whole)
            embeddings: Tensor = self._model(bands, whole)
        return list(embeddings.float()[:, None])
