"""A genotype, small configurations, and a batch of images for what searches and what is searched."""

import contextlib
import io
from dataclasses import dataclass

import torch

from heads import supernet
from heads.config import override
from heads.data import Batch, Input
from heads.emotionnas.genotype import Genotype
from tests.heads import toy

GENOTYPE = Genotype(
    normal=(
        ("sep_conv_3x3", 0), ("skip_connect", 1), ("max_pool_3x3", 2), ("dil_conv_5x5", 0),
        ("avg_pool_3x3", 1), ("sep_conv_5x5", 3), ("dil_conv_3x3", 4), ("skip_connect", 0),
    ),
    reduce=(
        ("max_pool_3x3", 0), ("skip_connect", 1), ("sep_conv_3x3", 1), ("dil_conv_3x3", 2),
        ("avg_pool_3x3", 0), ("skip_connect", 2), ("sep_conv_5x5", 4), ("dil_conv_5x5", 3),
    ),
)  # fmt: skip
PRINTED = (
    "Genotype(normal=[('sep_conv_3x3', 0), ('skip_connect', 1), ('max_pool_3x3', 2), ('dil_conv_5x5', 0), ('avg_pool_3x3', 1), "
    "('sep_conv_5x5', 3), ('dil_conv_3x3', 4), ('skip_connect', 0)], normal_concat=range(2, 6), reduce=[('max_pool_3x3', 0), "
    "('skip_connect', 1), ('sep_conv_3x3', 1), ('dil_conv_3x3', 2), ('avg_pool_3x3', 0), ('skip_connect', 2), ('sep_conv_5x5', 4), "
    "('dil_conv_5x5', 3)], reduce_concat=range(2, 6))"
)
"""The same as DARTS's code prints it."""
SMALL = ("layers=2", "channels=2", "frames=4", "batch=6")


def image_input(dim: int = toy.DIM) -> Input:
    """One layer."""
    return Input(name="enc", level="frames", layers=(0,), dim=dim)


def batch(lengths: tuple[int, ...] = (8, 8, 8, 8), dim: int = toy.DIM) -> Batch:
    """Random rows, in three classes."""
    return Batch((toy.packed(lengths, layers=1, dim=dim, dtype=torch.float32),), torch.arange(len(lengths)) % 3)


def config(*settings: str) -> supernet.Config:
    """A search that takes no time."""
    return override(supernet.Config(), [*SMALL, *settings])


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    exit_code: int
    stdout: str
    stderr: str


def emocache(*words: str) -> Said:
    """Run a command in this process."""
    from emocache.cli import main  # here, so that conftest can watch over the modules that it imports

    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main(list(words))
    except SystemExit as error:
        return Said(int(error.code or 0), out.getvalue(), err.getvalue())
    raise AssertionError("the command did not end")
