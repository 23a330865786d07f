"""The sample in the middle of frame 0, which decides the frames of a word: by number, and by a click where frames hear what is near."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache import encoders
from emocache.encoders.base import Encoder
from emocache.encoders.spectrogram import LogMelEncoder
from tests import checkpoints

CPU = torch.device("cpu")


def log_mel(_: Path) -> Encoder:
    return LogMelEncoder(CPU, "fp32")


def of(make: Callable[[Path], Path]) -> Callable[[Path], Encoder]:
    """The encoder of a tiny checkpoint."""
    return lambda folder: encoders.load(encoders.find(str(make(folder / "model"))), CPU)


WHISPER = of(checkpoints.whisper)


@pytest.mark.parametrize(
    ("load", "hop", "centre"),
    [
        pytest.param(WHISPER, 320, 0, id="whisper"),
        pytest.param(of(checkpoints.speech), 320, 200, id="hubert"),
        pytest.param(of(checkpoints.emotion2vec), 320, 200, id="emotion2vec"),
        pytest.param(of(checkpoints.wav2vec1), 160, 232, id="wav2vec1"),
        pytest.param(log_mel, 160, 200, id="log-mel"),
    ],
)
def test_frame_l_is_centred_on_sample_centre_plus_l_hops(tmp_path: Path, load: Callable[[Path], Encoder], hop: int, centre: int) -> None:
    encoder = load(tmp_path)
    assert (encoder.hop, encoder.centre) == (hop, centre)


def frames_of_a_click(encoder: Encoder, at: int) -> torch.Tensor:
    """Layer 0 [frames, dim] of a second of silence with a click at sample `at`."""
    wave = np.zeros(16_000, np.float32)
    wave[at] = 0.5
    return encoder.encode([wave], (0,))[0][0]


@pytest.mark.parametrize("load", [pytest.param(WHISPER, id="whisper"), pytest.param(log_mel, id="log-mel")])
@pytest.mark.parametrize("half", [0, 1])
def test_a_click_is_heard_as_many_frames_before_it_as_after_it(tmp_path: Path, load: Callable[[Path], Encoder], half: int) -> None:
    encoder = load(tmp_path)
    early, late = (encoder.centre + encoder.hop * frame + half * encoder.hop // 2 for frame in (10, 30))
    differ = (frames_of_a_click(encoder, early) - frames_of_a_click(encoder, late)).abs().amax(-1) > 1e-6
    heard = [frame for frame in range(20) if differ[frame]]
    assert heard[0] + heard[-1] == 2 * 10 + half
