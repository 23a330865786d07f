"""Runs whose predictions are written down, in folders as `emocache train` writes them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from heads import metrics, runfolder
from heads.predictions import COLUMNS

CLASSES = ("ang", "hap", "sad")
Row = tuple[str, str, str, int, str, str]
"""Id, speaker, fold, seed, label, predicted."""


def guesses(*, right: float, speakers: int = 6, each: int = 12, seeds: Sequence[int] = (0, 1), draw: int = 0) -> list[Row]:
    """Predictions of which about the share `right` is right; two speakers a fold."""
    rng = np.random.default_rng(draw)
    return [
        (f"s{who}-{i}", f"s{who}", f"Ses{who // 2 + 1}", seed, label, label if rng.random() < right else CLASSES[rng.integers(3)])
        for seed in seeds
        for who in range(speakers)
        for i in range(each)
        for label in [CLASSES[i % 3]]
    ]


def write(folder: Path, rows: Sequence[Row], *, classes: Sequence[str] = CLASSES, embeddings: bool = False, **changes: Any) -> Path:
    """A run folder with these predictions; `changes` go to config.json and result.json."""
    number = {name: i for i, name in enumerate(classes)}
    truth, predicted = (np.array([number[row[at]] for row in rows]) for at in (4, 5))
    seeds = sorted({row[3] for row in rows})
    config = {
        "head": "linear", "corpus": "toy", "protocol": "loso", "protocol_about": "leave one session out", "label": "emotion",
        "classes": list(classes), "seeds": seeds, "parameters": 123, "config": {"lr": 0.001}, "digest": "0" * 64, "validation": "random",
        "inputs": [{"encoder": "enc", "level": "frames", "layers": [0, 1, 2], "dim": 6, "digest": "f" * 64}],
        "command": "emocache train linear --corpus toy",
    } | changes  # fmt: skip
    result = {
        "encoders": ["enc"], "seconds": 1.5, "notes": ["labels from <the manifest>"], "deviations": ["hidden is 8; the paper has 128"],
        "confusion": metrics.confusion(truth, predicted, len(classes)).tolist(), "marks": [],
    } | changes  # fmt: skip
    epochs = [{"train_loss": 1 / n, "validation_loss": 1.2 / n} for n in range(1, 5)]
    cells = sorted({(row[2], row[3]) for row in rows})
    lines = [(*row, *(f"{float(name == row[5]):.6f}" for name in classes)) for row in rows]
    folder.mkdir(parents=True)
    (folder / "predictions.csv").write_text(runfolder.to_csv([*COLUMNS, *(f"p_{name}" for name in classes)], lines))
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "curves.json").write_text(json.dumps([{"fold": f, "seed": s, "chosen": 3, "epochs": epochs} for f, s in cells]))
    if embeddings:
        noise = np.random.default_rng(0).normal(size=(len(rows), 8))
        np.save(folder / "embeddings.npy", (noise + 4 * np.eye(8)[truth]).astype(np.float16))
    return folder
