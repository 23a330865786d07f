"""Learning curves as TensorBoard event files, for those who look at theirs there."""

import importlib
from pathlib import Path
from typing import Any
from urllib.parse import quote

from emocache.errors import UsageError
from heads.stored import Curve

FOLDER = "tensorboard"
"""Where in a run folder the event files lie, those of a fold and seed in a folder each."""


def writer() -> Any:
    """The SummaryWriter of torch, or a UsageError that says how to get what it needs."""
    try:
        return importlib.import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError:
        raise UsageError('--tensorboard needs TensorBoard: pip install "emocache[tensorboard]"') from None


def write(folder: Path, curves: list[Curve]) -> Path:
    """Write the curves of a run to `folder`/tensorboard; where that is."""
    make, root = writer(), folder / FOLDER
    for curve in curves:
        fold = quote(curve.fold, safe=" ")  # a session may be called anything, "../elsewhere" too
        with make(str(root / f"fold-{fold}-seed-{curve.seed}")) as events:
            for epoch, (train, validation) in enumerate(zip(curve.train, curve.validation, strict=True), start=1):
                events.add_scalar("loss/train", train, epoch)
                events.add_scalar("loss/validation", validation, epoch)
            events.add_scalar("chosen epoch", curve.chosen, 0)
    return root
