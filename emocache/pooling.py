"""Rows of a level from the rows of another.

`utterance`: one row, the mean over all frames (or tokens) followed by their standard deviation, so it is twice as wide.
"""

import torch
from jaxtyping import Float
from torch import Tensor

MEAN_AND_STD = "mean over all rows, then their standard deviation (population)"


def mean_and_std(states: Float[Tensor, "layers rows dim"]) -> Float[Tensor, "layers 1 2*dim"]:
    """Mean and standard deviation over the rows, side by side."""
    deviation, mean = torch.std_mean(states, dim=1, correction=0, keepdim=True)
    return torch.cat([mean, deviation], dim=-1)
