"""A run folder, read back: what reports and comparisons work on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from heads import predictions, runfolder
from heads.marks import marked_name
from heads.predictions import Predictions

EMBEDDINGS = "embeddings.npy"
"""Optional: float16 [rows of predictions.csv, dim], what the head made of each tested utterance before its last layer."""


@dataclass(frozen=True, slots=True)
class Curve:
    """One fold with one seed: the losses of each epoch, and the epoch (from 1) that was chosen."""

    fold: str
    seed: int
    chosen: int
    train: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredRun:
    """What a run folder says of itself; `config` is `config.json` whole."""

    path: Path
    head: str
    corpus: str
    protocol: str
    label: str
    encoders: tuple[str, ...]
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    parameters: int
    seconds: float
    predictions: Predictions
    marks: tuple[str, ...]
    notes: tuple[str, ...]
    deviations: tuple[str, ...]
    config: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, with the run's marks."""
        return marked_name(self.path.name, self.marks)


def read(folder: Path) -> StoredRun:
    """The run in a folder. UsageError that names the file which is missing or is not as a run writes it."""
    config, result = _json(folder, runfolder.CONFIG), _json(folder, "result.json")
    try:
        classes = tuple(config["classes"])
        return StoredRun(
            path=folder,
            head=config["head"],
            corpus=config["corpus"],
            protocol=config["protocol"],
            label=config["label"],
            encoders=tuple(result["encoders"]),
            classes=classes,
            seeds=tuple(config["seeds"]),
            parameters=int(config["parameters"]),
            seconds=float(result["seconds"]),
            predictions=predictions.read(_file(folder, "predictions.csv"), classes),
            marks=tuple(result.get("marks", ())),
            notes=tuple(result["notes"]),
            deviations=tuple(result["deviations"]),
            config=config,
        )
    except KeyError as error:
        raise UsageError(f"{folder}: its config.json or result.json lacks {error}; train this run again") from None
    except (TypeError, ValueError) as error:
        raise UsageError(f"{folder}: its config.json or result.json is not as a run writes it ({error}); train this run again") from None


def find(places: Sequence[Path]) -> list[Path]:
    """The run folders that `places` name: each a run, or a folder of runs. UsageError for one that is neither."""
    found: list[Path] = []
    for place in places:
        if (place / runfolder.CONFIG).is_file():
            found.append(place)
            continue
        if not place.is_dir():
            raise UsageError(f"{place}: no such folder; give run folders such as runs/NAME, or the folder that holds them")
        inside = sorted(one.parent for one in place.glob(f"*/{runfolder.CONFIG}") if not one.parent.name.startswith("."))
        if not inside:
            raise UsageError(f"{place}: is no run and holds none (a run has {runfolder.CONFIG}); give folders that `emocache train` wrote")
        found += inside
    return list({path.resolve(): path for path in found}.values())


def curves(folder: Path) -> list[Curve]:
    """The losses of every epoch, by fold and seed. UsageError where `curves.json` is damaged."""
    try:
        return [
            Curve(
                fold=one["fold"],
                seed=int(one["seed"]),
                chosen=int(one["chosen"]),
                train=tuple(float(epoch["train_loss"]) for epoch in one["epochs"]),
                validation=tuple(float(epoch["validation_loss"]) for epoch in one["epochs"]),
            )
            for one in _json(folder, "curves.json")
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{folder / 'curves.json'}: is not as a run writes it ({error!r}); train this run again") from None


def embeddings(run: StoredRun) -> NDArray[np.float16] | None:
    """The embeddings [rows of predictions.csv, dim], None where the run stored none. UsageError where they do not fit."""
    path = run.path / EMBEDDINGS
    if not path.is_file():
        return None
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise UsageError(f"{path}: cannot be read ({error}); train this run again") from None
    if values.ndim != 2 or len(values) != len(run.predictions.ids):
        rows = len(run.predictions.ids)
        raise UsageError(f"{path}: has shape {list(values.shape)}, expected [{rows}, dim] as predictions.csv; train this run again")
    return values  # type: ignore[no-any-return]


def _file(folder: Path, name: str) -> Path:
    """A file of a run, or a UsageError."""
    path = folder / name
    if not path.is_file():
        raise UsageError(f"{path}: is missing, so {folder} is no whole run; train it again")
    return path


def _json(folder: Path, name: str) -> Any:
    """A JSON file of a run."""
    path = _file(folder, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UsageError(f"{path}: is no JSON ({error}); train this run again") from None
