"""What a complete folder of a model holds: which files of a repository are needed, and what a folder lacks."""

import json
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from emocache.encoders.wheels import check_sha256

SPEECH_KINDS = ("hubert", "wav2vec2", "wavlm", "unispeech-sat", "unispeech", "data2vec-audio", "wav2vec2-conformer")
"""Model types of transformers that are convolutions over samples and a transformer behind them."""
CONFIG, CHECKPOINT = "config.json", "embedding_model.ckpt"
PICKLED = ".pt"
"""The one such file, in a folder without CONFIG, is a checkpoint of wav2vec 1.0, or (with SETTINGS) of emotion2vec."""
SETTINGS = "config.yaml"
PREPROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Where a feature extractor's settings are: by themselves, or (newer releases) with those of a whole processor."""
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files that hold the weights of a transformers model, the better one first; each may come in shards with an index."""
POOLING = "1_Pooling/config.json"
"""How sentence-transformers makes one row of a text."""
POINTER = b"version https://git-lfs"
VOCABULARY = (".model", ".spm")
"""How files of SentencePiece end; those of MarianMT in the second way."""
WITHOUT_PREPARATION = ("hifigan", "speecht5_hifigan")
"""Types of model that are given neither audio nor text."""
SMALL = (
    CONFIG, SETTINGS, *PREPROCESSORS, "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
    "vocab.json", "vocab.txt", "merges.txt", "generation_config.json",
)  # fmt: skip


def needed(files: Sequence[str]) -> list[str]:
    """The files of a model repository that loading needs: configuration, vocabulary, one format of the weights."""
    top = [name for name in files if "/" not in name]
    pooling = [POOLING] if POOLING in files else []
    return [name for name in top if name in SMALL or name.endswith(VOCABULARY)] + pooling + weights(top)


def weights(files: Sequence[str]) -> list[str]:
    """The files of one format of the weights, SpeechBrain's first, then safetensors; none where there is none that is read."""
    if CHECKPOINT in files:
        return [CHECKPOINT]
    if CONFIG not in files:
        pickled = [name for name in files if name.endswith(PICKLED)]
        return pickled if len(pickled) == 1 else []
    for whole in WEIGHTS:
        if whole in files:
            return [whole]
        stem, suffix = whole.split(".")
        if f"{whole}.index.json" in files:
            return [f"{whole}.index.json", *(name for name in files if re.fullmatch(rf"{stem}-\d{{5}}-of-\d{{5}}\.{suffix}", name))]
    return []


def checkpoint(folder: Path, file: str = "") -> Path | None:
    """The pickled checkpoint of a folder: `file`, or the only one of a folder that is not transformers'."""
    names = [file] if file else weights([path.name for path in folder.glob(f"*{PICKLED}")])
    return folder / names[0] if names and not (folder / CONFIG).is_file() and (folder / names[0]).is_file() else None


def lacks(folder: Path, file: str = "") -> str | None:
    """What stands in the way of loading a folder, in words; None when all that is needed is there, and no file is cut short.

    `file` is the one that is wanted of a folder with many models.
    """
    if file:
        return None if (folder / file).is_file() else f"{file} is missing"
    if (folder / CHECKPOINT).is_file() or checkpoint(folder) is not None:
        return None
    if not (folder / CONFIG).is_file():
        return f"{CONFIG} is missing"
    try:
        missing = _missing_weights(folder)
        return f"{missing} is missing" if missing else damage(folder) or _missing_preparation(folder)
    except (ValueError, AttributeError):
        return "its JSON files are damaged"


def _missing_weights(folder: Path) -> str | None:
    """The first file of the weights that is not there."""
    for whole in WEIGHTS:
        if (folder / whole).is_file():
            return None
        index = folder / f"{whole}.index.json"
        if index.is_file():
            shards = sorted(set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values()))
            return next((name for name in shards if not (folder / name).is_file()), None)
    return WEIGHTS[0]


def _missing_preparation(folder: Path) -> str | None:
    """Whether the feature extractor or the tokenizer is missing."""
    kind = json.loads((folder / CONFIG).read_text(encoding="utf-8")).get("model_type")
    if kind in (*SPEECH_KINDS, "whisper"):
        return None if any((folder / name).is_file() for name in PREPROCESSORS) else f"{PREPROCESSORS[0]} is missing"
    return None if kind in WITHOUT_PREPARATION or has_tokenizer(folder) else "its tokenizer is missing"


def has_tokenizer(folder: Path) -> bool:
    """Whether a vocabulary is there; transformers would make do with an empty one."""
    names = {path.name for path in folder.iterdir()}
    return bool(
        {"tokenizer.json", "vocab.txt"} & names or {"vocab.json", "merges.txt"} <= names or any(name.endswith(VOCABULARY) for name in names)
    )


def damage(folder: Path) -> str | None:
    """Says in words which file of the weights cannot be what it is called; no tensor is read."""
    for path in [folder / name for name in weights([path.name for path in folder.iterdir() if path.is_file()])]:
        with path.open("rb") as file:
            if file.read(len(POINTER)) == POINTER:
                return f"{path.name} is a Git LFS pointer, not the weights; run `git lfs pull` there"
        if path.suffix == ".safetensors" and (short := _cut_short(path)) is not None:
            return short
    return None


def _cut_short(path: Path) -> str | None:
    """Says in words when a safetensors file is not as long as its header promises."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if 8 + length > size:
            return f"{path.name} is cut short ({size} bytes)"
        try:
            entries = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for name, entry in entries.items() if name != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError):
            return f"{path.name} is no safetensors file"
    expected = 8 + length + max(ends, default=0)
    return f"{path.name} is cut short ({size} of {expected} bytes)" if size < expected else None


def stored(storage: Path) -> list[Path]:
    """Every snapshot of a model in the Hub's cache; `storage` is the model's folder there."""
    folder = storage / "snapshots"
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def local(storage: Path, revision: str) -> Path | None:
    """The snapshot of a branch, tag, commit, or of the beginning of a commit (7 digits or more), whole or not."""
    ref = storage / "refs" / revision
    commit = ref.read_text(encoding="utf-8").strip() if ref.is_file() else revision
    return next((path for path in stored(storage) if path.name.startswith(commit) and len(commit) > 6), None)


def verify(folder: Path) -> None:
    """EncoderError unless each large file of a Hub snapshot has the SHA-256 that the Hub names it by.

    The Hub's local cache links every file to a blob that is named by its digest, so this needs no network. (A blob may in
    turn be a link into a store that several repositories share, where it has another name.)
    """
    for path in sorted(folder.iterdir()):
        expected = path.readlink().name if path.is_symlink() else ""
        if re.fullmatch(r"[0-9a-f]{64}", expected):
            check_sha256(path, expected)


def size(folder: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
