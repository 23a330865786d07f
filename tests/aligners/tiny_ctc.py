"""A tiny random checkpoint that writes characters, in the layout of wav2vec2-base-960h."""

import json
from pathlib import Path

import torch

from tests import checkpoints  # which makes transformers importable

transformers = checkpoints.transformers

CHARACTERS = ["<pad>", "|", "A", "B", "C", "'"]
NUMBERS = {name: i for i, name in enumerate(CHARACTERS)}


def checkpoint(folder: Path, *, head: bool = True, size: int = len(CHARACTERS)) -> Path:
    """A tiny wav2vec 2.0 that writes characters."""
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        **checkpoints.CONV, **checkpoints.SMALL, **checkpoints.POSITIONS, **checkpoints.GROUP_NORM, vocab_size=size, pad_token_id=0
    )
    kind = transformers.Wav2Vec2ForCTC if head else transformers.Wav2Vec2Model
    kind(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    (folder / "vocab.json").write_text(json.dumps(NUMBERS))
    marks = {"pad_token": "<pad>", "word_delimiter_token": "|", "unk_token": "<pad>", "bos_token": "<pad>", "eos_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "Wav2Vec2CTCTokenizer", **marks}))
    return folder
