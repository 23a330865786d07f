"""Rows from other rows, on whatever device these are: mean and deviation, means of groups and of segments, one token for all.

The rule for segments, drawn for frames of 320 samples that are centred on 200 + 320 l:

    samples    0    160   320   480   640   800   960  1120  1280
    frames     |----0 c---|-----1 c---|-----2 c---|-----3 c---|        c: centre
    segments   [-- a --)[-------- b --------)[d)[------ e ----)
    mean of      0            1                2*     2, 3             *: no centre in d, so the nearest frame, 2, counts

A frame belongs to the segment that holds its centre, so but for such nearest frames each belongs to one segment at most. The
nearest frame is the one whose centre is nearest to the segment's middle; of two as near, the one with the even number.

Sums are in float64. Those of rows that float16 holds are exact (multiples of 2**-24 below 2**16, up to 8192 of them), so
whoever adds them in whatever order, on whatever device, gets the same mean.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

MEAN_AND_STD = "mean over all rows, then their standard deviation (population)"
CENTRE, OUTER, PRINTED = "", "outer", "printed"
SEGMENTS = 64
"""How many segments are pooled by one matrix product."""
RULES: Mapping[str, str] = {
    CENTRE: "mean over the frames whose centre the segment holds, else its nearest frame",
    OUTER: "mean over frames floor(begin / hop) to before ceil(end / hop)",
    PRINTED: "as printed in 'Multi-level Fusion of Wav2vec 2.0 and BERT': one frame more is summed than is divided by",
}
"""How frames are counted to segments, by name; all but the first are variants, named where they are used: word@mfa+outer.

Nearest is nearest to the segment's middle, of two frames as near the even one.
"""


@dataclass(frozen=True, slots=True)
class Spans:
    """Of every segment the frames `first` to before `last` that it is made of, what their sum is divided by, and whether it had
    to take its nearest frame: int64 [segments], bool [segments].
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    divisor: NDArray[np.int64]
    nearest: NDArray[np.bool_]


def spans(begin: NDArray[Any], end: NDArray[Any], *, frames: int, hop: int, centre: int, rule: str = CENTRE) -> Spans:
    """The frames of segments from sample `begin` to before sample `end`, out of `frames` whose middle is sample centre + hop l.

    A segment that holds no centre takes the frame whose centre is nearest to its middle, of two as near the even one.
    """
    begin, end = begin.astype(np.int64), end.astype(np.int64)
    if rule == CENTRE:
        first = np.clip(-((centre - begin) // hop), 0, frames)  # the first frame with centre + hop l >= begin
        last = np.clip(-((centre - end) // hop), 0, frames)
        nearest = last <= first
        closest = np.clip(np.rint(((begin + end) / 2 - centre) / hop), 0, frames - 1).astype(np.int64)
        first, last = np.where(nearest, closest, first), np.where(nearest, closest + 1, last)
        return Spans(first, last, last - first, nearest)
    first = np.clip(begin // hop, 0, frames - 1)
    last = np.clip(-(-end // hop), first + 1, frames)
    nearest = np.zeros(len(first), bool)
    return Spans(first, last if rule == OUTER else np.minimum(last + 1, frames), last - first, nearest)


def mean_of_spans(states: Float[Tensor, "layers frames dim"], found: Spans) -> Float[Tensor, "layers segments dim"]:
    """The mean of each segment's frames; some segments at a time, so that long recordings need little memory."""
    states, means = states.double(), []
    for at in range(0, len(found.first), SEGMENTS):
        first, last, divisor = (values[at : at + SEGMENTS] for values in (found.first, found.last, found.divisor))
        begin, end = int(first.min()), int(last.max())
        frame = np.arange(begin, end)
        member = (frame >= first[:, None]) & (frame < last[:, None])
        weights = torch.from_numpy(member.astype(np.float64)).to(states.device)
        sums = torch.matmul(weights, states[:, begin:end])
        means.append((sums / torch.from_numpy(divisor).to(states.device)[:, None]).float())
    return torch.cat(means, dim=1)


def mean_and_std(states: Float[Tensor, "layers rows dim"]) -> Float[Tensor, "layers 1 2*dim"]:
    """Mean and standard deviation over the rows, side by side; layer by layer, which keeps what is squared in the CPU's caches."""
    states = states.double()
    mean = states.mean(1, keepdim=True)
    squares = [(layer - middle).square_().mean(0, keepdim=True) for layer, middle in zip(states, mean, strict=True)]
    return torch.cat([mean, torch.stack(squares).sqrt_()], dim=-1).float()


def mean_of_groups(states: Float[Tensor, "layers rows dim"], group: NDArray[np.int64]) -> Float[Tensor, "layers groups dim"]:
    """The mean over the rows of each group; `group` [rows] holds 0, 1, ... and -1 for rows that are in none."""
    member = torch.from_numpy(group == np.arange(int(group.max()) + 1)[:, None]).to(states.device, torch.float64)
    return (torch.matmul(member, states.double()) / member.sum(1, keepdim=True)).float()


SENTENCE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "first token": lambda states: states[:, :1],
    "mean over all tokens, not normalised": lambda states: states.double().mean(dim=1, keepdim=True).float(),
}
"""How a text becomes one row, by the rule's name."""
