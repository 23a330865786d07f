"""A small MMER, and a batch of eight utterances for it, all but one with a transcript and two with a view."""

from dataclasses import replace

import torch

from heads import mmer
from heads.config import override
from heads.data import Batch, Input, Views
from heads.mmer.characters import symbols
from heads.mmer.model import Mmer
from heads.ragged import Ragged
from tests.heads.toy import DIM, packed

SPEECH = Input(name="wav2vec2-base", level="frames", layers=(12,), dim=768, encoder="wav2vec2-base", all_layers=tuple(range(13)))
TEXT = replace(SPEECH, name="roberta-base", encoder="roberta-base", level="tokens", text=True)
SMALL = [replace(SPEECH, dim=DIM), replace(TEXT, dim=4)]
TINY = ("width=8", "heads=2", "hidden=16", "dropout=0")
CPU = torch.device("cpu")


def head(*settings: str) -> Mmer:
    """In training mode."""
    torch.manual_seed(0)
    return mmer.build(override(mmer.Config(), (*TINY, *settings)), SMALL, 3)


def batch() -> Batch:
    """Speech and text."""
    inputs = (packed([40, 20, 50, 10, 40, 24, 37, 30], 1), packed([9, 6, 8, 1, 9, 4, 2, 7], 1, 4, seed=1))
    views = Views(torch.tensor([1, 6]), (packed([33, 12], 1, seed=2), packed([5, 4], 1, 4, seed=3)))
    labels = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])
    return Batch(inputs, labels, targets=Ragged.of([symbols("so it's ok")] * 7 + [[]], CPU), views=views)
