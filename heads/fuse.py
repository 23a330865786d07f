"""Two finished runs as one, by a small network that is trained on what both say (EmotionNAS, section 2.3), fold by fold.

It learns from what the branches say of their own training part and keeps the epoch with the lowest loss on their validation part; or,
as the paper does not say which, from what they say of the validation part. The test part is predicted once.
"""

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError

from emocache.errors import UsageError
from heads import finished, runfolder, stored
from heads.combine import Way, combine, shares_of
from heads.emotionnas import fusion
from heads.emotionnas.fusion import Pairs
from heads.report import Result
from heads.stored import StoredRun

Learns = Literal["train", "validation"]
"""The part of each fold that the fusion learns from."""
HEAD = "emotionnas"
CHOICES = {
    "train": "it learnt from what they say of their training part, and the epoch is chosen on the validation part",
    "validation": "it learnt from what they say of the validation part, for all epochs",
}
UNPRINTED = (
    "fusion: the paper prints neither a batch (ours is 32), nor what is between the layers (ours is ReLU), nor what is learnt from "
    "(ours: see the notes)"
)


def fuse(first: Path, second: Path, runs: Path, name: str | None = None, learns: str = "train") -> Result:
    """Train the fusion of two runs for each fold and seed, and write a run folder of its predictions.

    UsageError where the runs are not of the same folds, seeds and utterances, or keep nothing of what they learnt from.
    """
    if learns not in get_args(Learns):
        raise UsageError(f"--learns {learns}: expected one of {', '.join(get_args(Learns))}")
    classes = len(stored.read(first).classes)
    way = Way(
        head=HEAD,
        verb="fuse",
        shares=partial(_shares, learns=learns),
        note=f"a network of three dense layers on the probabilities of {{}}: {CHOICES[learns]}",
        parameters=fusion.parameters(classes),
        options=() if learns == "train" else ("--learns", learns),
        deviations=(UNPRINTED,),
    )
    return combine(first, second, runs, name, way)


def _shares(both: Sequence[StoredRun], learns: str) -> NDArray[np.float64]:
    """What the fusion says of every tested utterance, in the order of the predictions."""
    for run in both:
        _check_apart(run)
    tested = torch.from_numpy(np.concatenate([shares_of(one) for one in both], axis=1)).float()
    found = both[0].predictions
    where = list(zip(found.seeds.tolist(), found.folds, strict=True))
    numbers = _numbers(stored.splits(both[0].path))
    answers = np.empty((len(where), len(both[0].classes)))
    for (seed, fold), rows in groupby(range(len(where)), key=where.__getitem__):
        which = np.array(list(rows))
        parts = {part: _pairs(both, numbers[seed, fold], seed, part) for part in get_args(Learns)}
        judged = parts["validation"] if learns == "train" else None
        answers[which] = fusion.predict(fusion.train(parts[learns], judged, answers.shape[1], seed), tested[which])
    return answers


def _check_apart(run: StoredRun) -> None:
    """UsageError where a run's validation part is its test part, or one that it learnt from as from any other."""
    if run.result.get("selected_on_test"):
        raise UsageError(f"{run.path} validated on its test part (--select test), and the fusion would learn from that; train it without")
    if run.config.get("config", {}).get("refit"):
        raise UsageError(f"{run.path} learnt from its validation part too (refit=true), which cannot judge the fusion; train it without")


def _numbers(splits: Sequence[dict[str, Any]]) -> dict[tuple[int, str], int]:
    """Seed and name of a fold -> its number among the folds of the seed."""
    found: dict[tuple[int, str], int] = {}
    for one in splits:
        found[one["seed"], one["name"]] = sum(seed == one["seed"] for seed, _ in found)
    return found


def _pairs(both: Sequence[StoredRun], number: int, seed: int, part: str) -> Pairs:
    """What both runs say of a part of a fold; UsageError where one has not kept it."""
    said = []
    for run in both:
        path = finished.file_of(run.path / runfolder.CHECKPOINTS, number, seed)
        try:
            said.append(finished.said(path)[part])
        except (OSError, SafetensorError, KeyError):
            raise UsageError(f"{path}: lacks what the run says of its {part} part; train cell or supernet, which keep it") from None
    first, second = said
    if not np.array_equal(first.labels, second.labels):
        raise UsageError(f"{both[0].path} and {both[1].path} learnt other labels; train both on the same corpus, protocol and seeds")
    shares = np.concatenate([first.probabilities, second.probabilities], axis=1)
    return Pairs(torch.from_numpy(shares).float(), torch.from_numpy(first.labels))
