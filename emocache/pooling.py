"""Rows from other rows, on whatever device these are: mean and deviation, means of groups, one token for all."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

MEAN_AND_STD = "mean over all rows, then their standard deviation (population)"


def mean_and_std(states: Float[Tensor, "layers rows dim"]) -> Float[Tensor, "layers 1 2*dim"]:
    """Mean and standard deviation over the rows, side by side."""
    deviation, mean = torch.std_mean(states, dim=1, correction=0, keepdim=True)
    return torch.cat([mean, deviation], dim=-1)


def mean_of_groups(states: Float[Tensor, "layers rows dim"], group: NDArray[np.int64]) -> Float[Tensor, "layers groups dim"]:
    """The mean over the rows of each group; `group` [rows] holds 0, 1, ... and -1 for rows that are in none."""
    member = group[:, None] == np.arange(int(group.max()) + 1)
    share = torch.from_numpy((member / member.sum(axis=0)).astype(np.float32)).to(states.device)
    return torch.einsum("rg,lrd->lgd", share, states)


SENTENCE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "first token": lambda states: states[:, :1],
    "mean over all tokens, not normalised": lambda states: states.mean(dim=1, keepdim=True),
}
"""How a text becomes one row, by the rule's name."""
