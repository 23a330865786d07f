"""Whole numbers of several utterances end to end: characters of a transcript, or which others belong to an utterance."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Int
from torch import Tensor
from torch.nn import functional as F


def rows_of(offsets: Int[Tensor, " edges"], which: Int[Tensor, " batch"]) -> tuple[Int[Tensor, " rows"], Int[Tensor, " batch+1"]]:
    """For utterances `which` [batch]: the rows they hold, in that order, and the offsets [batch + 1] among these."""
    starts, lengths = offsets[which], offsets[which + 1] - offsets[which]
    taken = torch.cat([lengths.new_zeros(1), lengths.cumsum(0)])
    shift = torch.repeat_interleave(starts - taken[:-1], lengths)
    return shift + torch.arange(len(shift), device=shift.device), taken


@dataclass(frozen=True, slots=True)
class Ragged:
    """Those of utterance i are `values[offsets[i]:offsets[i + 1]]`; an utterance may have none."""

    values: Int[Tensor, " rows"]
    offsets: Int[Tensor, " edges"]

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]], device: torch.device) -> "Ragged":
        """One list an utterance."""
        lengths = torch.tensor([len(one) for one in lists], dtype=torch.int64, device=device)
        values = torch.tensor(list(chain.from_iterable(lists)), dtype=torch.int64, device=device)
        return cls(values, F.pad(lengths.cumsum(0), (1, 0)))

    @property
    def lengths(self) -> Int[Tensor, " utterances"]:
        """How many each utterance has."""
        return self.offsets.diff()

    def take(self, which: Int[Tensor, " batch"]) -> "Ragged":
        """Those of the utterances `which` [batch], in that order."""
        rows, offsets = rows_of(self.offsets, which)
        return Ragged(self.values[rows], offsets)

    def draw(self, which: Int[Tensor, " batch"], generator: torch.Generator) -> tuple[Int[Tensor, " drawn"], Int[Tensor, " drawn"]]:
        """One at random of each of `which` that has any: places in `which`, and what was drawn; `generator` is a CPU's."""
        lengths = self.lengths[which]
        at = torch.floor(torch.rand(len(which), generator=generator).to(lengths.device) * lengths).long()
        (having,) = torch.nonzero(lengths, as_tuple=True)
        return having, self.values[(self.offsets[which] + at)[having]]
