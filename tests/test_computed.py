"""Features without weights go through the same cache: a name is enough, and only what changed is computed again."""

import importlib.util
from pathlib import Path

import pytest
import torch

from emocache import encoders, pipeline
from emocache.encoders import snapshot, weights
from emocache.encoders.snapshot import needed
from emocache.errors import UsageError
from tests import small_corpus
from tests.shell import Shell

NAMES = [name for name, spec in encoders.ENCODERS.items() if not spec.repo]
DECLARED = {
    "log-mel": ("frames", 80), "spectrogram-140": ("frames", 140), "spectrogram-140-mel": ("frames", 140),
    "egemaps": ("utterance", 88), "egemaps-lld": ("frames", 25),
}  # fmt: skip


def test_every_row_without_weights_is_looked_at_here() -> None:
    assert sorted(DECLARED) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_computed_is_cached_like_any_encoders_features(tmp_path: Path, name: str) -> None:
    if name.startswith("egemaps") and importlib.util.find_spec("opensmile") is None:
        pytest.skip("the extra `opensmile` is not installed")
    corpus = small_corpus.make(tmp_path)
    outcomes = []
    for _ in range(2):
        job = pipeline.prepare_job(corpus, tmp_path / "data", name, cache=tmp_path / "cache", device="cpu", dtype="fp32")
        outcomes.append(pipeline.extract(job))
    assert [outcome.encoded for outcome in outcomes] == [6, 0]
    features = outcomes[1].features
    assert features.card.key.weights == "none"
    level, width = DECLARED[name]
    for utterance, seconds in zip(corpus.utterances, small_corpus.SECONDS, strict=True):
        alone = job.encoder.encode([small_corpus.wave(int(utterance.id[1:]), seconds)], (0,))[0]
        stored = torch.from_numpy(features.read(utterance.id, level))
        assert stored.shape == (1, *alone.shape[1:])
        assert stored.shape[-1] == width
        torch.testing.assert_close(stored, alone, rtol=1e-4, atol=1e-4)


def test_what_is_computed_is_computed_in_full_precision_alone() -> None:
    with pytest.raises(UsageError, match="log-mel is computed in fp32 alone"):
        encoders.load(encoders.find("log-mel"), torch.device("cpu"), "bf16")


def test_of_a_repository_with_many_models_one_file_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    monkeypatch.setattr(weights.hub, "from_hub", lambda *wanted: asked.append(wanted) or (Path("there"), "0123abc"))
    assert encoders.find("wav2vec1-large").folder == Path("there")
    assert asked == [("s3prl/converted_ckpts", "main", "wav2vec_large.pt")]


def test_of_many_models_in_a_folder_the_wanted_one_is_told_by_its_name(tmp_path: Path) -> None:
    for name in ("wav2vec_large.pt", "vq_wav2vec.pt"):
        (tmp_path / name).touch()
    assert snapshot.weights(["wav2vec_large.pt", "vq_wav2vec.pt"]) == []
    assert snapshot.checkpoint(tmp_path) is None
    assert snapshot.checkpoint(tmp_path, "wav2vec_large.pt") == tmp_path / "wav2vec_large.pt"
    assert snapshot.lacks(tmp_path, "wav2vec_large.pt") is None
    assert snapshot.lacks(tmp_path, "hubert.pt") == "hubert.pt is missing"


def test_the_one_checkpoint_of_a_folder_is_no_transformers_model(tmp_path: Path) -> None:
    (tmp_path / "model.pt").touch()
    assert snapshot.lacks(tmp_path) is None
    (tmp_path / "config.json").write_text("{}")
    assert snapshot.checkpoint(tmp_path) is None
    assert snapshot.lacks(tmp_path) == "model.safetensors is missing"


def test_there_is_nothing_to_fetch_of_what_is_computed(shell: Shell) -> None:
    assert shell.run("fetch log-mel") == 0
    assert "log-mel: 0 B from emocache itself" in shell.out
    assert "there is nothing to download" in shell.out
    assert shell.run("encoders log-mel") == 0
    assert "none: computed from samples alone" in shell.out


def test_of_an_emotion2vec_repository_settings_and_checkpoint_are_wanted() -> None:
    files = ["README.md", "config.yaml", "configuration.json", "example/test.wav", "logo.png", "model.pt", "tokens.txt"]
    assert needed(files) == ["config.yaml", "model.pt"]
