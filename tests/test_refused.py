"""Checkpoints that cannot be used are refused in one line that says what to do, and nothing in them is ever run."""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import transformers

from emocache import encoders
from emocache.encoders import snapshot
from emocache.encoders.base import weights_digest
from emocache.errors import EncoderError
from tests import checkpoints

CPU = torch.device("cpu")


class Harm:
    """A pickle of it makes a folder when it is read without care."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


def _refused(folder: Path) -> str:
    """The line that a folder is refused with."""
    with pytest.raises(EncoderError) as caught:
        encoders.load(encoders.find(str(folder)), CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _without_safetensors(folder: Path) -> Path:
    (folder / "model.safetensors").unlink()
    return folder


def _configured(folder: Path, **changes: object) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))
    return folder


@pytest.fixture(scope="module")
def bert_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "bert")


@pytest.fixture
def bert(bert_model: Path, tmp_path: Path) -> Path:
    """A tiny BERT to be spoilt."""
    return shutil.copytree(bert_model, tmp_path / "model")


@pytest.mark.parametrize("save", [torch.save, lambda harm, path: path.write_bytes(pickle.dumps(harm))])
@pytest.mark.parametrize("make", [checkpoints.bert, checkpoints.speech, checkpoints.whisper])
def test_a_pickle_with_code_in_it_is_not_run(tmp_path: Path, make: Callable[[Path], Path], save: Callable[[object, Path], None]) -> None:
    folder, mark = _without_safetensors(make(tmp_path / "model")), tmp_path / "harmed"
    save({"weight": Harm(mark)}, folder / "pytorch_model.bin")
    message = _refused(folder)
    assert "could run code" in message or "no file of tensors" in message
    assert not mark.exists()


def test_a_pickle_beside_the_weights_is_not_even_opened(bert: Path, tmp_path: Path) -> None:
    for name in ("training_args.bin", "optimizer.pt", "scheduler.pt", "pytorch_model.bin"):
        (bert / name).write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
    encoders.load(encoders.find(str(bert)), CPU)
    assert not (tmp_path / "harmed").exists()


def test_code_that_lies_beside_the_weights_is_neither_run_nor_asked_for(bert: Path, tmp_path: Path) -> None:
    (bert / "own.py").write_text(f"import os\nos.mkdir({str(tmp_path / 'harmed')!r})\n")
    _configured(bert, auto_map={"AutoConfig": "own.Own", "AutoModel": "own.Own"})
    assert encoders.load(encoders.find(str(bert)), CPU).family == "bert"  # which transformers knows without it
    assert "code of its own" in _refused(_configured(bert, model_type="of-its-own"))
    assert not (tmp_path / "harmed").exists()


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{}", b"x" * 1000])
def test_weights_that_are_none_are_refused(bert: Path, content: bytes) -> None:
    (bert / "model.safetensors").write_bytes(content)
    assert "copy or download it again" in _refused(bert)


def test_weights_cut_short_are_refused_with_both_sizes(bert: Path) -> None:
    whole = (bert / "model.safetensors").read_bytes()
    (bert / "model.safetensors").write_bytes(whole[:-100])
    assert f"model.safetensors is cut short ({len(whole) - 100} of {len(whole)} bytes)" in _refused(bert)


@pytest.mark.parametrize("part", [0.0, 0.5, 0.99])
def test_a_pickle_cut_short_is_refused(bert: Path, part: float) -> None:
    model = transformers.BertModel.from_pretrained(bert)
    torch.save(model.state_dict(), bert / "pytorch_model.bin")
    _without_safetensors(bert)
    whole = (bert / "pytorch_model.bin").read_bytes()
    (bert / "pytorch_model.bin").write_bytes(whole[: int(part * len(whole))])
    assert "cannot be loaded" in _refused(bert)


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_a_pointer_of_git_lfs_is_told_from_weights(bert: Path, name: str) -> None:
    _without_safetensors(bert)
    (bert / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:abc\nsize 12\n")
    assert f"{name} is a Git LFS pointer, not the weights; run `git lfs pull` there" in _refused(bert)


def test_a_shard_that_is_missing_is_named(bert: Path) -> None:
    transformers.BertModel.from_pretrained(bert).save_pretrained(bert, max_shard_size="40KB")
    if (bert / "model.safetensors").is_file():
        _without_safetensors(bert)
    assert snapshot.lacks(bert) is None
    last = max(bert.glob("model-*.safetensors"))
    last.unlink()
    assert snapshot.lacks(bert) == f"{last.name} is missing"
    assert last.name in _refused(bert)


def test_a_text_model_without_its_vocabulary_is_refused_rather_than_fed_unknown_tokens(bert: Path) -> None:
    for path in bert.glob("*token*"):
        path.unlink()
    assert "its tokenizer is missing; copy there that of the model it was trained from" in _refused(bert)


def test_a_tokenizer_of_another_model_is_refused(bert: Path) -> None:
    settings = json.loads((bert / "tokenizer.json").read_text())
    settings["model"]["vocab"]["fine"] = settings["model"]["vocab"]["i"] + 5000
    (bert / "tokenizer.json").write_text(json.dumps(settings))
    assert "do not belong together" in _refused(bert)


@pytest.mark.parametrize("kind", ["CLIP", "T5", "Llama", "GPT2", "Bart", "ViT", "Wav2Vec2Bert"])
def test_another_family_is_refused_before_its_weights_are_read(tmp_path: Path, kind: str) -> None:
    getattr(transformers, f"{kind}Config")().save_pretrained(tmp_path / "model")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"never read")
    assert "is not supported; supported are hubert, wav2vec2" in _refused(tmp_path / "model")


def test_the_folder_above_a_trainers_checkpoints_is_not_taken_for_one(bert: Path, tmp_path: Path) -> None:
    for step in (500, 1000):
        shutil.copytree(bert, tmp_path / "run" / f"checkpoint-{step}")
    assert f"did you mean {tmp_path / 'run' / 'checkpoint-1000'}?" in _refused(tmp_path / "run")


def test_a_trainers_checkpoint_with_a_head_is_its_encoder(tmp_path: Path) -> None:
    base = checkpoints.speech(tmp_path / "base", "wav2vec2", checkpoints.LAYER_NORM)
    tuned = transformers.Wav2Vec2ForSequenceClassification.from_pretrained(base, num_labels=4)
    with torch.no_grad():
        tuned.wav2vec2.encoder.layers[1].final_layer_norm.bias += 1
    tuned.save_pretrained(tmp_path / "tuned")
    assert "no preprocessor_config.json that can be read; copy there that of the model it was trained from" in _refused(tmp_path / "tuned")
    shutil.copy(base / "preprocessor_config.json", tmp_path / "tuned")
    assert encoders.load(encoders.find(str(tmp_path / "tuned")), CPU).weights == weights_digest(tuned.wav2vec2)


def test_settings_of_a_whole_processor_serve_as_those_of_its_feature_extractor(tmp_path: Path) -> None:
    folder = checkpoints.speech(tmp_path / "model", normalise=False)
    extractor = json.loads((folder / "preprocessor_config.json").read_text())
    (folder / "preprocessor_config.json").unlink()
    assert snapshot.lacks(folder) == "preprocessor_config.json is missing"
    (folder / "processor_config.json").write_text(json.dumps({"feature_extractor": extractor, "processor_class": "Wav2Vec2Processor"}))
    assert snapshot.lacks(folder) is None
    if transformers.__version__.startswith("4."):
        pytest.skip("older releases keep the two apart")
    assert "samples as they are" in encoders.load(encoders.find(str(folder)), CPU).preprocessing


def test_a_fairseq_checkpoint_beside_a_transformers_model_is_left_alone(bert: Path, tmp_path: Path) -> None:
    (bert / "bert-fairseq-ckpt.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harmed")))
    assert encoders.load(encoders.find(str(bert)), CPU).family == "bert"
    assert not (tmp_path / "harmed").exists()
