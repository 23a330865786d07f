"""Encoders give what transformers gives for one utterance alone, layer by layer."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from emocache import encoders
from emocache.devices import pick_device
from emocache.encoders import frames, speech
from emocache.errors import EncoderError, UsageError
from emocache.levels import levels_of
from emocache.types import Utterance
from tests import checkpoints
from tests.small_corpus import wave

CPU = torch.device("cpu")
SPEECH = [
    ("hubert", "GROUP_NORM"),
    ("hubert", "LAYER_NORM"),
    ("wav2vec2", "GROUP_NORM"),
    ("wav2vec2", "LAYER_NORM"),
    ("wavlm", "GROUP_NORM"),
    ("wavlm", "LAYER_NORM"),
]


def _load(folder: Path) -> encoders.Encoder:
    return encoders.load(encoders.find(str(folder)), CPU)


@pytest.mark.parametrize(("kind", "norm"), SPEECH)
def test_a_speech_encoder_gives_the_hidden_states_of_transformers(tmp_path: Path, kind: str, norm: str) -> None:
    folder = checkpoints.speech(tmp_path / "model", kind, getattr(checkpoints, norm))
    sound = wave(1, 0.7)
    extract, model = transformers.AutoFeatureExtractor.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        direct = model(**extract(sound, sampling_rate=16_000, return_tensors="pt"), output_hidden_states=True)
    expected = torch.cat([*direct.hidden_states[:-1], direct.last_hidden_state])
    got = _load(folder).encode([sound], (0, 1, 2, 3))[0]
    assert torch.equal(got, expected)


def test_the_last_layer_of_a_large_kind_is_taken_after_the_final_norm(tmp_path: Path) -> None:
    encoder = _load(checkpoints.speech(tmp_path / "model", "hubert", checkpoints.LAYER_NORM))
    last = encoder.encode([wave(1, 0.7)], (3,))[0]
    assert last.mean(-1).abs().max() < 1e-5  # a LayerNorm with its initial weights
    assert (last.std(-1, correction=0) - 1).abs().max() < 1e-2


@pytest.mark.parametrize("samples", [399, 400, 719, 720, 16_000, 52_853])
def test_a_speech_encoder_knows_its_number_of_frames_beforehand(tmp_path: Path, samples: int) -> None:
    encoder = _load(checkpoints.speech(tmp_path / "model"))
    utterance = Utterance(id="a", path="a", samples=samples)
    assert encoder.rows(utterance) == max(0, (samples - 400) // 320 + 1)
    if samples >= 400:
        assert encoder.encode([wave(0, samples / 16_000)], (3,))[0].shape == (1, encoder.rows(utterance), 32)


def test_the_preprocessing_of_a_checkpoint_is_followed_and_part_of_the_key(tmp_path: Path) -> None:
    loud, plain = (_load(checkpoints.speech(tmp_path / name, normalise=name == "loud")) for name in ("loud", "plain"))
    assert loud.weights == plain.weights
    assert loud.preprocessing != plain.preprocessing
    assert not torch.equal(loud.encode([wave(1, 0.7)], (0,))[0], plain.encode([wave(1, 0.7)], (0,))[0])


def test_whisper_gives_the_hidden_states_of_transformers_cropped_to_the_audio(tmp_path: Path) -> None:
    folder = checkpoints.whisper(tmp_path / "model")
    sound = wave(1, 0.7)
    extract, model = transformers.WhisperFeatureExtractor.from_pretrained(folder), transformers.WhisperModel.from_pretrained(folder).eval()
    with torch.no_grad():
        direct = model.encoder(extract(sound, sampling_rate=16_000, return_tensors="pt").input_features, output_hidden_states=True)
    expected = torch.cat([*direct.hidden_states[:-1], direct.last_hidden_state])[:, :35]
    got = _load(folder).encode([sound], (0, 1, 2))[0]
    assert torch.equal(got, expected)


def test_whisper_encodes_audio_beyond_its_window_in_further_windows(tmp_path: Path) -> None:
    encoder = _load(checkpoints.whisper(tmp_path / "model"))
    sound = wave(1, 2.5)
    whole = encoder.encode([sound], (0, 1, 2))[0]
    parts = [encoder.encode([sound[start : start + 16_000]], (0, 1, 2))[0] for start in (0, 16_000, 32_000)]
    assert whole.shape[1] == encoder.rows(Utterance(id="a", path="a", samples=40_000)) == 125
    torch.testing.assert_close(whole, torch.cat(parts, dim=1), rtol=1e-5, atol=1e-5)
    assert "windows" in str(encoder.note(Utterance(id="a", path="a", samples=40_000)))


def _error(together: torch.Tensor, alone: torch.Tensor) -> float:
    """The largest difference in a layer, relative to the largest value there."""
    assert together.shape == alone.shape
    return float(((together - alone).abs().amax((1, 2)) / alone.abs().amax((1, 2))).max())


EXACT = [
    *SPEECH,
    ("data2vec-audio", "LAYER_NORM"),
    ("unispeech-sat", "GROUP_NORM"),
    ("unispeech-sat", "LAYER_NORM"),
    ("unispeech", "GROUP_NORM"),
]


@pytest.mark.parametrize(("kind", "norm"), EXACT)
@pytest.mark.parametrize("normalise", [True, False])
def test_in_a_batch_every_waveform_gets_what_it_gets_alone(tmp_path: Path, kind: str, norm: str, *, normalise: bool) -> None:
    encoder = _load(checkpoints.speech(tmp_path / "model", kind, getattr(checkpoints, norm), normalise=normalise))
    assert encoder.batching == "padded"
    sounds = [wave(i, seconds) for i, seconds in enumerate((4.0, 1.1, 1.1, 0.4))]
    for sound, together in zip(sounds, encoder.encode(sounds, encoder.layers), strict=True):
        assert _error(together, encoder.encode([sound], encoder.layers)[0]) <= 1e-5


@pytest.mark.parametrize("make", [checkpoints.ecapa, checkpoints.xvector, lambda folder: checkpoints.speech(folder, "wav2vec2-conformer")])
def test_a_family_that_hears_the_padding_is_batched_at_equal_length_alone(tmp_path: Path, make: object) -> None:
    encoder = _load(make(tmp_path / "model"))  # type: ignore[operator]
    assert encoder.batching == "equal"
    sounds = [wave(i, 0.5) for i in range(3)]
    for sound, together in zip(sounds, encoder.forward([encoder.prepare(sound) for sound in sounds], encoder.layers), strict=True):
        assert _error(together, encoder.encode([sound], encoder.layers)[0]) <= 1e-5


@pytest.mark.parametrize("positions", ["relative", "rotary", None])
def test_a_conformer_gives_the_hidden_states_of_transformers(tmp_path: Path, positions: str | None) -> None:
    folder = checkpoints.speech(tmp_path / "model", "wav2vec2-conformer", position_embeddings_type=positions)
    sound = wave(1, 0.7)
    extract, model = transformers.AutoFeatureExtractor.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        direct = model(**extract(sound, sampling_rate=16_000, return_tensors="pt"), output_hidden_states=True)
    got = _load(folder).encode([sound], (0, 1, 2, 3))[0]
    assert torch.equal(got, torch.cat([*direct.hidden_states[:-1], direct.last_hidden_state]))


def test_in_a_batch_whisper_gives_each_waveform_what_it_gets_alone(tmp_path: Path) -> None:
    encoder = _load(checkpoints.whisper(tmp_path / "model"))
    sounds = [wave(i, seconds) for i, seconds in enumerate((2.5, 0.2, 0.9))]
    for sound, together in zip(sounds, encoder.encode(sounds, encoder.layers), strict=True):
        assert _error(together, encoder.encode([sound], encoder.layers)[0]) <= 1e-5


def test_whisper_takes_a_shorter_window_when_asked_and_the_key_says_so(tmp_path: Path) -> None:
    source = encoders.find(str(checkpoints.whisper(tmp_path / "model", window_s=2)))
    whole, short = encoders.load(source, CPU), encoders.load(source, CPU, window_s=0.5)
    assert whole.weights == short.weights
    assert whole.configuration != short.configuration
    assert "0.5 s windows" in short.preprocessing
    utterance = Utterance(id="a", path="a", samples=20_000)
    assert short.encode([wave(1, 1.25)], (0, 2))[0].shape == (2, short.rows(utterance), 32) == (2, whole.rows(utterance), 32)
    first = short.encode([wave(1, 1.25)], (2,))[0][:, :25]
    torch.testing.assert_close(first, short.encode([wave(1, 1.25)[:8000]], (2,))[0], rtol=1e-5, atol=1e-5)
    with pytest.raises(UsageError, match=r"expected a multiple of 0\.02 s"):
        encoders.load(source, CPU, window_s=0.031)
    for wrong in (0.0, 3.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="expected seconds up to 2"):
            encoders.load(source, CPU, window_s=wrong)
    with pytest.raises(UsageError, match="only Whisper has"):
        encoders.load(encoders.find(str(checkpoints.bert(tmp_path / "bert"))), CPU, window_s=1)


TEXT = [checkpoints.bert, checkpoints.roberta, lambda folder: checkpoints.roberta(folder, "MPNet"),
        lambda folder: checkpoints.roberta(folder, "DebertaV2"), lambda folder: checkpoints.roberta(folder, "Electra"),
        lambda folder: checkpoints.roberta(folder, "DistilBert"), checkpoints.sentencepiece]  # fmt: skip


@pytest.mark.parametrize("make", TEXT)
def test_in_a_batch_every_text_gets_what_it_gets_alone(tmp_path: Path, make: object) -> None:
    encoder = _load(make(tmp_path / "model"))  # type: ignore[operator]
    assert encoder.batching == "padded"
    texts = ["i do not know " * 3, "kids", ""]
    for text, together in zip(texts, encoder.encode(texts, encoder.layers), strict=True):
        assert _error(together, encoder.encode([text], encoder.layers)[0]) <= 1e-5


def test_nothing_is_computed_above_the_highest_layer_that_is_wanted(tmp_path: Path) -> None:
    encoder = _load(checkpoints.speech(tmp_path / "model"))
    ran: list[int] = []
    for number, block in enumerate(encoder._blocks, 1):  # type: ignore[attr-defined]
        block.register_forward_pre_hook(lambda *_, number=number: ran.append(number))
    all_layers = encoder.encode([wave(1, 0.7)], (0, 1, 2, 3))[0]
    ran.clear()
    assert torch.equal(encoder.encode([wave(1, 0.7)], (0, 2))[0], all_layers[[0, 2]])
    assert ran == [1, 2]


@pytest.mark.parametrize("norm", ["GROUP_NORM", "LAYER_NORM"])
def test_a_long_recording_is_encoded_in_overlapping_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, norm: str) -> None:
    encoder = _load(checkpoints.speech(tmp_path / "model", norm=getattr(checkpoints, norm)))
    sound, long = wave(1, 7.3), Utterance(id="a", path="a", samples=round(7.3 * 16_000))
    whole = encoder.encode([sound], encoder.layers)[0]
    monkeypatch.setattr(frames, "LONGEST_S", 3)
    monkeypatch.setattr(frames, "CONTEXT_S", 1)
    monkeypatch.setattr(speech, "LONGEST_S", 2)  # the statistics of the whole recording come in stretches
    windows = encoder.encode([sound], encoder.layers)[0]
    assert windows.shape == whole.shape == (4, encoder.rows(long), 32)
    assert _error(windows[:1], whole[:1]) <= 1e-5  # of layer 0 a frame hears the positional convolution's reach alone
    assert "overlapping windows" in str(encoder.note(long))
    beside = encoder.encode([sound, wave(2, 0.5), sound], encoder.layers)
    assert torch.equal(beside[0], windows)
    assert torch.equal(beside[2], windows)
    assert _error(encoder.encode([sound[:16_000]], (0,))[0], _load(tmp_path / "model").encode([sound[:16_000]], (0,))[0]) == 0


@pytest.mark.parametrize("make", TEXT)
def test_a_text_encoder_gives_the_hidden_states_of_transformers(tmp_path: Path, make: object) -> None:
    folder = make(tmp_path / "model")  # type: ignore[operator]
    text = "i don't know, really!"
    tokenizer, model = transformers.AutoTokenizer.from_pretrained(folder), transformers.AutoModel.from_pretrained(folder).eval()
    inputs = tokenizer(text, return_tensors="pt", truncation=True, max_length=32)
    with torch.no_grad():
        direct = model(**inputs, output_hidden_states=True)
    assert len(set(inputs["input_ids"][0].tolist())) > 6  # the text is not all unknown tokens
    got = _load(folder).encode([text], (0, 1, 2, 3))[0]
    assert torch.equal(got, torch.cat([*direct.hidden_states[:-1], direct.last_hidden_state]))


@pytest.mark.parametrize("make", [checkpoints.bert, checkpoints.roberta])
def test_every_token_knows_its_word_and_its_characters(tmp_path: Path, make: object) -> None:
    encoder = _load(make(tmp_path / "model"))  # type: ignore[operator]
    text = "kids  talking, don't"
    columns = encoder.columns(Utterance(id="a", path="a", transcript=text))
    assert columns["word"][0] == columns["word"][-1] == -1
    spelled = ["", "", ""]
    for word, begin, end in zip(columns["word"], columns["begin"], columns["end"], strict=True):
        if word >= 0:
            spelled[word] += text[begin:end]
    assert spelled == ["kids", "talking,", "don't"]


def test_a_text_too_long_is_cut_and_noted(tmp_path: Path) -> None:
    encoder = _load(checkpoints.bert(tmp_path / "model", positions=12))
    utterance = Utterance(id="a", path="a", transcript="know " * 20)
    assert encoder.rows(utterance) == 12
    assert encoder.note(utterance) == "text cut from 22 to 12 tokens"


def test_an_empty_text_is_encoded_and_noted(tmp_path: Path) -> None:
    encoder = _load(checkpoints.bert(tmp_path / "model"))
    assert encoder.rows(Utterance(id="a", path="a")) == 2
    assert "no transcript" in str(encoder.note(Utterance(id="a", path="a")))
    assert encoder.encode([""], (0,))[0].shape == (1, 2, 32)


def test_a_gpu_that_does_not_work_is_an_error() -> None:
    if torch.cuda.is_available():
        pytest.skip("the GPU of this machine works")
    with pytest.raises(UsageError, match="--device cpu"):
        pick_device("cuda")


def test_a_gpu_that_torch_cannot_use_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("torch uses the GPU of this machine")
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'GPU 0: something'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(UsageError, match="device cuda does not work here"):
        pick_device(None)


@pytest.mark.parametrize("make", [checkpoints.bert, checkpoints.speech, checkpoints.whisper, checkpoints.ecapa])
def test_bf16_is_computed_in_bf16(tmp_path: Path, make: object) -> None:
    source = encoders.find(str(make(tmp_path / "model")))  # type: ignore[operator]
    value = "i do not know" if make is checkpoints.bert else wave(1, 0.7)
    both = [encoders.load(source, CPU, precision) for precision in ("fp32", "bf16")]
    exact, coarse = (encoder.encode([value], encoder.layers[-1:])[0].numpy() for encoder in both)
    error = np.abs(exact - coarse).max() / np.abs(exact).max()
    assert 1e-5 < error < 0.2


def test_tf32_is_allowed_only_where_it_is_the_declared_precision(tmp_path: Path) -> None:
    source = encoders.find(str(checkpoints.bert(tmp_path / "model")))
    for precision, allowed in (("tf32", True), ("fp32", False)):
        with encoders.load(source, CPU, precision).computing():
            parts = (torch.backends.cuda.matmul, torch.backends.cudnn.conv)
            assert [part.fp32_precision for part in parts] == ["tf32" if allowed else "ieee"] * 2


def test_whisper_finds_every_window_of_a_long_recording(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = _load(checkpoints.whisper(tmp_path / "model"))
    together = encoder.encode([wave(1, 4.5), wave(2, 0.5)], encoder.layers)
    monkeypatch.setattr(speech, "MOST_WINDOWS", 2)
    for few, all_ in zip(encoder.encode([wave(1, 4.5), wave(2, 0.5)], encoder.layers), together, strict=True):
        assert _error(few, all_) <= 1e-5


def test_transformers_and_speechbrain_import_beside_any_build_of_torchaudio() -> None:
    code = """
from emocache.encoders.torchaudio_shim import make_torchaudio_importable
make_torchaudio_importable()
import torchaudio.functional
import transformers.audio_utils
import speechbrain.lobes.features
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


@pytest.mark.parametrize(
    ("modes", "row"), [({"pooling_mode_mean_tokens": True}, "mean"), ({"pooling_mode_cls_token": True}, "first"), (None, "first")]
)
def test_a_sentence_is_pooled_as_the_checkpoint_says(tmp_path: Path, modes: dict[str, bool] | None, row: str) -> None:
    folder = checkpoints.bert(tmp_path / "model")
    if modes is not None:
        (folder / "1_Pooling").mkdir()
        (folder / "1_Pooling/config.json").write_text(json.dumps({"word_embedding_dimension": 32, **modes}))
    encoder = _load(folder)
    states = encoder.encode(["i do not know"], (0, 3))[0]
    expected = states.mean(1, keepdim=True) if row == "mean" else states[:, :1]
    pool = levels_of(encoder)["sentence"].pool
    assert pool is not None
    torch.testing.assert_close(pool(states, Utterance(id="a", path="a")), expected, rtol=1e-6, atol=1e-7)


def test_a_sentence_pooling_that_is_not_known_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.bert(tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(EncoderError, match="pools by pooling_mode_max_tokens"):
        _load(folder)


@pytest.mark.parametrize(
    ("name", "value"), [("is_decoder", True), ("truncation_side", "left"), ("position_buckets", 4), ("max_relative_positions", 8)]
)
def test_settings_that_change_numbers_change_the_key(tmp_path: Path, name: str, value: object) -> None:
    plain, other = checkpoints.bert(tmp_path / "plain"), checkpoints.bert(tmp_path / "other")
    file = other / ("tokenizer_config.json" if name == "truncation_side" else "config.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {name: value}))
    assert _load(plain).configuration != _load(other).configuration


def test_what_the_caller_allows_of_tf32_is_left_as_it_was(tmp_path: Path) -> None:
    before = torch.backends.cuda.matmul.fp32_precision if hasattr(torch.backends.cuda.matmul, "fp32_precision") else None
    code = """
import sys, torch
from pathlib import Path
from emocache import encoders
for allow in (lambda: torch.set_float32_matmul_precision("medium"), lambda: setattr(torch.backends.cuda.matmul, "fp32_precision", "tf32")):
    allow()
    encoder = encoders.load(encoders.find(sys.argv[1]), torch.device("cpu"))
    encoder.encode(["i do not know"], (3,))
"""
    if before is not None:
        subprocess.run([sys.executable, "-c", code, str(checkpoints.bert(tmp_path / "model"))], check=True, cwd=Path(__file__).parents[1])
