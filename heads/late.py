"""`late`: late fusion. Every input has a linear branch of its own; the logits are added and trained jointly under one softmax."""

from collections.abc import Sequence

import torch
from torch import nn

from heads import linear
from heads.blocks import Branch, cross_entropy
from heads.config import Needs, Paper
from heads.data import Batch, Input, Output

PAPER = Paper(
    title=linear.PAPER.title,
    url=linear.PAPER.url,
    protocol=linear.PAPER.protocol,
    reported={"F": 74.88, "FP": 75.15, "FS": 75.80, "FW": 75.22, "FPS": 74.67, "FPW": 75.52, "FSW": 75.59, "FPSW": 74.60},
)
"""Rows of the paper by their speech levels (frame, phone, syllable, word); each has the text too."""
NEEDS = Needs(least=2, stacks=True, freezes=True)
Config = linear.Config


class Late(nn.Module):
    """Sum, not mean, of the logits of one branch for each input: -> [runs, batch, classes]."""

    def __init__(self, branches: Sequence[Branch]) -> None:
        """In the order of the batch's inputs."""
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, batch: Batch) -> Output:
        """Cross-entropy of the summed logits."""
        said = [branch(one.values, one.offsets) for branch, one in zip(self.branches, batch.inputs, strict=True)]
        logits = torch.stack([logits for logits, _ in said]).sum(0)
        return Output(logits, {"cross_entropy": cross_entropy(logits, batch)}, torch.cat([embedding for _, embedding in said], dim=-1))


def build(config: Config, inputs: Sequence[Input], classes: int) -> Late:
    """The head: 351,024 parameters for three inputs of 12 layers of 768 and 4 classes."""
    return Late([linear.branch(config, one, classes) for one in inputs])


deviations = linear.deviations
