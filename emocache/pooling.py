"""Rows of a level from the rows of another.

`utterance`: one row, the mean over all frames (or tokens) followed by their standard deviation, so it is twice as wide.
"""

import torch
from torch import Tensor

MEAN_AND_STD = "mean over all rows, then their standard deviation (population)"


def mean_and_std(states: Tensor) -> Tensor:
    """[layers, rows, dim] -> [layers, 1, 2 dim]."""
    deviation, mean = torch.std_mean(states, dim=1, correction=0, keepdim=True)
    return torch.cat([mean, deviation], dim=-1)
