"""Speaker embeddings are SpeechBrain's, to the last bit and the same every time."""

from pathlib import Path

import pytest
import torch

from emocache import encoders
from emocache.errors import EncoderError
from emocache.types import Utterance
from tests import checkpoints
from tests.small_corpus import wave

CPU = torch.device("cpu")


def _load(folder: Path) -> encoders.Encoder:
    return encoders.load(encoders.find(str(folder)), CPU)


def test_ecapa_gives_what_speechbrain_gives(tmp_path: Path) -> None:
    from speechbrain.lobes.features import Fbank
    from speechbrain.processing.features import InputNormalization

    encoder = _load(checkpoints.ecapa(tmp_path / "model"))
    sound = wave(2, 1.3)
    bands = InputNormalization(norm_type="sentence", std_norm=False)(Fbank(n_mels=80)(torch.from_numpy(sound)[None]), torch.ones(1))
    expected = encoder._model(bands, torch.ones(1))  # type: ignore[attr-defined]
    assert torch.equal(encoder.encode([sound], (0,))[0], expected)
    assert encoder.rows(Utterance(id="a", path="a", samples=1599)) == 0
    assert encoder.encode([wave(2, 0.1)], (0,))[0].isfinite().all()


def test_an_x_vector_is_what_speechbrain_gives_but_for_its_noise(tmp_path: Path) -> None:
    from speechbrain.lobes.features import Fbank
    from speechbrain.lobes.models.Xvector import Xvector
    from speechbrain.processing.features import InputNormalization

    folder = checkpoints.xvector(tmp_path / "model")
    published = Xvector(in_channels=24).eval()
    published.load_state_dict(torch.load(folder / "embedding_model.ckpt", weights_only=True))
    sound = wave(2, 1.3)
    with torch.no_grad():
        bands = InputNormalization(norm_type="sentence", std_norm=False)(Fbank(n_mels=24)(torch.from_numpy(sound)[None]), torch.ones(1))
        noisy = published(bands, torch.ones(1))
    encoder = _load(folder)
    assert (encoder.family, encoder.dim) == ("xvector", 512)
    got = encoder.encode([sound], (0,))[0]
    assert not torch.equal(got, noisy)
    torch.testing.assert_close(got, noisy, rtol=0, atol=1e-3)
    assert encoder.encode([wave(2, 0.1)], (0,))[0].isfinite().all()


def test_an_x_vector_is_the_same_every_time(tmp_path: Path) -> None:
    encoder = _load(checkpoints.xvector(tmp_path / "model"))
    assert torch.equal(encoder.encode([wave(2, 1.3)], (0,))[0], encoder.encode([wave(2, 1.3)], (0,))[0])


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        ({"blocks.0.weight": torch.ones(2)}, "neither ECAPA-TDNN nor x-vectors"),
        ({"blocks.16.w.weight": torch.ones(2)}, "no xvector of the published size"),
    ],
)
def test_another_speaker_model_is_one_clear_line(tmp_path: Path, tensors: dict[str, torch.Tensor], message: str) -> None:
    torch.save(tensors, tmp_path / "embedding_model.ckpt")
    with pytest.raises(EncoderError, match=message) as caught:
        _load(tmp_path)
    assert "\n" not in str(caught.value)
