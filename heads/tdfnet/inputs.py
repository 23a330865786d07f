"""What TDFNet is given: which input is which, and the rows of each as padded sequences of the common width."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emocache.errors import UsageError
from heads.attention import Padded, padded
from heads.data import Input, PackedTensor

Role = Literal["speech", "text", "speaker"]
WORDS: dict[Role, str] = {
    "speech": "speech in time (hubert-large frames)",
    "text": "text (bert-base tokens)",
    "speaker": "a speaker embedding (ecapa utterance)",
}


def role(one: Input) -> Role:
    """What an input is, by modality and level."""
    return "text" if one.text else "speaker" if one.level == "utterance" else "speech"


def by_role(inputs: Sequence[Input], wanted: Sequence[Role]) -> dict[Role, int]:
    """Where each wanted input lies, in whatever order they are given.

    UsageError where one is lacking, doubled or too many, or has several layers.
    """
    given = [role(one) for one in inputs]
    if sorted(given) != sorted(wanted):
        expected = ", ".join(WORDS[one] for one in wanted)
        told = ", ".join(f"{one.name} {one.level} ({kind})" for one, kind in zip(inputs, given, strict=True))
        raise UsageError(f"tdfnet takes, once each and with these settings: {expected}; given: {told}")
    if several := [one for one in inputs if len(one.layers) != 1]:
        raise UsageError(f"tdfnet takes one layer of each encoder, and {several[0].name} has {len(several[0].layers)}; give --layers last")
    return {one: given.index(one) for one in wanted}


class Standardise(nn.Module):
    """(x - mean) / deviation of an input with statistics, and x of one without, in float32."""

    def __init__(self, one: Input) -> None:
        """Of its only layer."""
        super().__init__()
        self.mean: Tensor | None
        self.std: Tensor
        of = one.moments
        self.register_buffer("mean", of.mean[0] if of else None)
        self.register_buffer("std", of.std[0] if of else None)

    def forward(self, rows: Tensor) -> Tensor:
        """[rows, dim]."""
        rows = rows.float()
        return rows if self.mean is None else (rows - self.mean) / self.std


class Rows(nn.Module):
    """The first rows of each utterance, side by side, `width` wide: a linear layer, or two where `through` is a width between them.

    Without a linear layer where the rows have that width already, as BERT's. With `fill`, zeros after the end count as rows.
    """

    def __init__(self, one: Input, width: int, *, most: int, fill: bool, through: int | None, project: bool) -> None:
        """`most` rows at most."""
        super().__init__()
        self.standardise = Standardise(one)
        widths = [one.dim, *([through] if through else []), width]
        layers = [nn.Linear(*pair) for pair in pairwise(widths)]
        self.project = nn.Sequential(*(layers if project or one.dim != width else []))
        self.most = most
        self.fill = fill

    def forward(self, packed: PackedTensor) -> Padded:
        """Each utterance as far as `most` rows."""
        rows, offsets = cropped(packed, self.most)
        given = padded(self.standardise(rows), offsets)
        if self.fill:
            values = F.pad(given.values, (0, 0, 0, self.most - given.values.shape[1]))
            given = Padded(values, given.real.new_ones(values.shape[:2]))
        return given.holding(self.project(given.values))


def cropped(packed: PackedTensor, most: int) -> tuple[Tensor, Tensor]:
    """The first rows [rows, dim] of each utterance, `most` at most, and their offsets."""
    lengths = packed.offsets.diff()
    starts = torch.repeat_interleave(packed.offsets[:-1], lengths, output_size=packed.values.shape[1])
    early = torch.arange(packed.values.shape[1], device=starts.device) - starts < most
    return packed.values[0, early], F.pad(lengths.clamp(max=most).cumsum(0), (1, 0))
