"""On a GPU: features as on a CPU, batches as alone, seeds together as alone. Skipped where there is none."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from emocache import encoders
from emocache.store import open_cache
from heads import linear, trainer
from heads.attention import Padded, padded
from heads.config import override
from heads.data import Examples, Mapped, PackedTensor, to_tensor
from heads.memory import free_bytes
from tests import checkpoints, small_corpus
from tests.heads.test_attention import OFFSETS, ROWS, block
from tests.heads.test_trainer import EXAMPLES, INPUT, MEMBERS, PARTS, Plain
from tests.heads.toy import corpus, extract
from tests.shell import Shell

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that torch can use")
CPU, CUDA = torch.device("cpu"), torch.device("cuda")
SPEECH = ("hubert", "wav2vec2", "wavlm", "data2vec-audio", "unispeech-sat")


def _error(one: torch.Tensor, other: torch.Tensor) -> float:
    """The largest difference in a layer, relative to the largest value there."""
    one, other = one.float().cpu(), other.float().cpu()
    return float(((one - other).abs().amax((1, 2)) / other.abs().amax((1, 2))).max())


@pytest.mark.parametrize("norm", ["GROUP_NORM", "LAYER_NORM"])
@pytest.mark.parametrize("kind", SPEECH)
def test_speech_is_encoded_as_on_a_cpu_and_in_a_batch_as_alone(tmp_path: Path, kind: str, norm: str) -> None:
    if kind == "data2vec-audio" and norm == "GROUP_NORM":
        pytest.skip("there is no such checkpoint")
    found = encoders.find(str(checkpoints.speech(tmp_path / "model", kind, getattr(checkpoints, norm))))
    here, there = encoders.load(found, CUDA), encoders.load(found, CPU)
    sounds = [small_corpus.wave(i, seconds) for i, seconds in enumerate((4.0, 1.1, 1.1, 0.4))]
    for sound, together in zip(sounds, here.encode(sounds, here.layers), strict=True):
        assert _error(together, here.encode([sound], here.layers)[0]) <= 1e-5
        assert _error(together, there.encode([sound], there.layers)[0]) <= 1e-4


@pytest.mark.parametrize(
    "make", [checkpoints.whisper, checkpoints.ecapa, checkpoints.xvector, checkpoints.wav2vec1, checkpoints.emotion2vec]
)
def test_other_encoders_of_sound_give_what_they_give_on_a_cpu(tmp_path: Path, make: object) -> None:
    made = make(tmp_path / "model")  # type: ignore[operator]
    found = encoders.find(str(made))
    here, there = encoders.load(found, CUDA), encoders.load(found, CPU)
    sound = small_corpus.wave(1, 0.9)
    assert _error(here.encode([sound], here.layers)[0], there.encode([sound], there.layers)[0]) <= 1e-4


@pytest.mark.parametrize("make", [checkpoints.bert, checkpoints.roberta])
def test_text_is_encoded_as_on_a_cpu(tmp_path: Path, make: object) -> None:
    found = encoders.find(str(make(tmp_path / "model")))  # type: ignore[operator]
    here, there = encoders.load(found, CUDA), encoders.load(found, CPU)
    texts = ["i do not know", "kids talking, really!"]
    for one, other in zip(here.encode(texts, here.layers), there.encode(texts, there.layers), strict=True):
        assert _error(one, other) <= 1e-4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_extraction_and_training_run_on_it_from_the_command_line(tmp_path: Path, shell: Shell, precision: str) -> None:
    small_corpus.make(tmp_path)
    checkpoints.speech(tmp_path / "tiny-hubert")
    for place in ("cuda", "cpu"):
        where = f"--device {place} --cache {tmp_path / place}"
        assert shell.run(f"extract --corpus tiny --model ./tiny-hubert --precision {precision} {where}") == 0, shell.err
    ids = [f"u{i}" for i in range(6)]
    sets = [open_cache(tmp_path / place).features("tiny", "tiny-hubert") for place in ("cuda", "cpu")]
    here, there = (features.load("frames", (0, 3), ids) for features in sets)
    np.testing.assert_allclose(
        here.values.astype(np.float32), there.values.astype(np.float32), atol=2e-3 if precision == "fp32" else 0.3
    )  # fmt: skip
    corpus(tmp_path / "data")
    extract(tmp_path / "cache", MEMBERS, "enc")
    training = "train linear --corpus toy --encoders enc --protocol loso --seeds 0-1"
    assert shell.run(f"{training} --device cuda --set epochs=2 --set precision={precision} --json") == 0, shell.err


def _on(device: torch.device) -> tuple[Examples, trainer.Parts]:
    """The toy examples and parts on a device."""
    (packed,) = EXAMPLES.inputs
    assert isinstance(packed, PackedTensor)
    moved = replace(
        EXAMPLES, inputs=(PackedTensor(packed.values.to(device), packed.offsets.to(device)),), labels=EXAMPLES.labels.to(device)
    )
    return moved, trainer.Parts(*(part.to(device) for part in (PARTS.train, PARTS.validation, PARTS.test, PARTS.pool)))


@pytest.mark.parametrize("layers", [(0,), (0, 1)])
def test_twenty_five_seeds_together_get_what_they_get_alone(layers: tuple[int, ...]) -> None:
    data, parts = _on(CUDA)
    (packed,) = data.inputs
    assert isinstance(packed, PackedTensor)
    data = replace(data, inputs=(PackedTensor(packed.values[list(layers)].contiguous(), packed.offsets),))
    one = replace(INPUT, layers=layers)
    config = override(linear.Config(), ["epochs=4", "hidden=16", "lr=0.01", "dropout=0"])
    seeds = list(range(25))
    together = trainer.fit(linear, config, [one], data, [parts] * 25, classes=3, seeds=seeds)
    for seed in (0, 24):
        (alone,) = trainer.fit(linear, config, [one], data, [parts], classes=3, seeds=[seed])
        np.testing.assert_allclose(together[seed].probabilities, alone.probabilities, atol=1e-4)


def test_a_head_that_pads_learns_on_it() -> None:
    data, parts = _on(CUDA)
    config = override(linear.Config(), ["epochs=25", "batch=8", "lr=0.01"])
    (found,) = trainer.fit(Plain, config, [INPUT], data, [parts], classes=3, seeds=[0])  # type: ignore[arg-type]
    assert (found.probabilities.argmax(1) == EXAMPLES.labels[PARTS.test].numpy()).mean() > 0.9


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_there_is_attention_here_without_a_matrix_of_all_pairs(dtype: torch.dtype) -> None:
    given = padded(ROWS, OFFSETS)
    there = Padded(given.values.to(CUDA), given.real.to(CUDA))
    with torch.autocast("cuda", torch.bfloat16, enabled=dtype is torch.bfloat16):
        found = block().to(CUDA)(there)
    tolerance = 1e-4 if dtype is torch.float32 else 5e-2
    torch.testing.assert_close(found.values[there.real].float().cpu(), block()(given).values[given.real], atol=tolerance, rtol=tolerance)


def test_a_long_sequence_needs_no_matrix_of_all_pairs() -> None:
    torch.manual_seed(0)
    layer = block().to(CUDA).train()
    time = 20_000
    long = padded(torch.randn(time, 12, device=CUDA), torch.tensor([0, time], device=CUDA))
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    layer(long).mean().sum().backward()
    assert torch.cuda.max_memory_allocated() - before < time * time  # a quarter of one such matrix in fp32


def test_what_does_not_fit_on_it_is_read_batch_by_batch(tmp_path: Path) -> None:
    extract(tmp_path / "cache", MEMBERS, "enc")
    features = open_cache(tmp_path / "cache").features("toy", "enc")
    ids = tuple(u.id for u in MEMBERS)
    resident = to_tensor(features.load("frames", (0, 1), ids), "toy/enc", ids, CUDA)
    mapped = Mapped(features, "frames", (0, 1), ids, resident.offsets, CUDA)
    which = torch.tensor([3, 0, 7], device=CUDA)
    assert torch.equal(resident.take(which).values, mapped.take(which).values)
    assert 0 < free_bytes(CUDA) <= torch.cuda.get_device_properties(0).total_memory
