"""A run folder, read back: what reports and comparisons work on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from heads import metrics, predictions, runfolder
from heads.marks import marked_name
from heads.predictions import Predictions

RESULT = "result.json"
PREDICTIONS = "predictions.csv"
SPLITS = "splits.json"
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
    """What a run folder says of itself; `config` and `result` are `config.json` and `result.json` whole."""

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
    result: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The folder's name, with the run's marks."""
        return marked_name(self.path.name, self.marks)

    @property
    def features(self) -> str:
        """What it learns from, in a few words: feature sets and their levels."""
        return " + ".join(f"{one['encoder']} {one['level']}" for one in self.config.get("inputs", ())) or " + ".join(self.encoders)


def read(folder: Path) -> StoredRun:
    """The run in a folder. UsageError that names the file which is missing or is not as a run writes it."""
    config, result = _json(folder, runfolder.CONFIG), _json(folder, RESULT)
    try:
        run, counted = _run(folder, config, result), result["confusion"]
    except KeyError as error:
        raise UsageError(f"{folder}: its {runfolder.CONFIG} or {RESULT} lacks {error}; train this run again") from None
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{folder}: its {runfolder.CONFIG} or {RESULT} is not as a run writes it ({error}); train this run again"
        ) from None
    if metrics.confusion(run.predictions.truth, run.predictions.predicted, len(run.classes)).tolist() != counted:
        raise UsageError(f"{folder}: {PREDICTIONS} is not what {RESULT} was computed from, or was cut short; train this run again")
    return run


def _run(folder: Path, config: Mapping[str, Any], result: Mapping[str, Any]) -> StoredRun:
    """The run of these files."""
    classes = _texts(config["classes"])
    _check_shown(config)
    head, corpus, protocol, label = _texts([config[name] for name in ("head", "corpus", "protocol", "label")])
    found = predictions.read(_file(folder, PREDICTIONS), classes)
    if {*config["seeds"]} != {*found.seeds.tolist()}:
        raise ValueError(f"seeds {config['seeds']}, and those of {PREDICTIONS} are others")
    return StoredRun(
        path=folder,
        head=head,
        corpus=corpus,
        protocol=protocol,
        label=label,
        encoders=_texts(result["encoders"]),
        classes=classes,
        seeds=tuple(config["seeds"]),
        parameters=int(config["parameters"]),
        seconds=float(result["seconds"]),
        predictions=found,
        marks=_texts(result.get("marks", [])),
        notes=_texts(result["notes"]),
        deviations=_texts(result["deviations"]),
        config=config,
        result=result,
    )


def _texts(values: object) -> tuple[str, ...]:
    """A list of texts; TypeError for anything else."""
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError(f"expected a list of texts, found {str(values)[:60]}")
    return tuple(values)


def _check_shown(config: Mapping[str, Any]) -> None:
    """TypeError or KeyError where what reports show of the configuration is not as a run writes it."""
    for name in ("config", "versions"):
        if not isinstance(config.get(name, {}), dict):
            raise TypeError(f"{name} is {str(config[name])[:60]}")
    for one in config.get("inputs", []):
        _texts([one["encoder"], one["level"], one["digest"]])
        if not one["layers"] or not all(isinstance(layer, int) for layer in one["layers"]):
            raise TypeError(f"layers are {one['layers']}")


@dataclass(frozen=True, slots=True)
class Found:
    """Run folders, each once, and those beside them that hold no result yet."""

    runs: tuple[Path, ...]
    unfinished: tuple[Path, ...]


def find(places: Sequence[Path]) -> Found:
    """The run folders that `places` name: each a run, or a folder of runs. UsageError for one that is neither."""
    found: list[Path] = []
    unfinished: list[Path] = []
    for place in places:
        if (place / runfolder.CONFIG).is_file():
            found.append(place)
            continue
        if not place.is_dir():
            raise UsageError(f"{place}: no such folder; give run folders such as runs/NAME, or the folder that holds them")
        inside = sorted(one.parent for one in place.glob(f"*/{runfolder.CONFIG}") if not one.parent.name.startswith("."))
        whole = [path for path in inside if (path / RESULT).is_file()]
        if not whole:
            raise UsageError(f"{place}: is no finished run and holds none; give folders that `emocache train` wrote")
        found += whole
        unfinished += [path for path in inside if path not in whole]
    return Found(tuple({path.resolve(): path for path in found}.values()), tuple(unfinished))


def splits(folder: Path) -> Any:
    """The ids of every part, by seed and fold. UsageError where `splits.json` is damaged."""
    return _json(folder, SPLITS)


def curves(folder: Path) -> list[Curve]:
    """The losses of every epoch, by fold and seed. UsageError where `curves.json` is damaged."""
    try:
        found = [
            Curve(
                fold=one["fold"],
                seed=int(one["seed"]),
                chosen=int(one["chosen"]),
                train=tuple(float(epoch["train_loss"]) for epoch in one["epochs"]),
                validation=tuple(float(epoch["validation_loss"]) for epoch in one["epochs"]),
            )
            for one in _json(folder, "curves.json")
        ]
        for one in found:
            if not 1 <= one.chosen <= len(one.train) or not np.isfinite([*one.train, *one.validation]).all():
                raise ValueError(f"fold {one.fold}, seed {one.seed}: epoch {one.chosen} of {len(one.train)}, or a loss that is not finite")
        return found
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
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f":
        raise UsageError(f"{path}: holds no array of floating point numbers; train this run again")
    if values.ndim != 2 or len(values) != len(run.predictions.ids) or not values.shape[1]:
        rows = len(run.predictions.ids)
        raise UsageError(f"{path}: has shape {list(values.shape)}, expected [{rows}, dim] as predictions.csv; train this run again")
    return values


def _file(folder: Path, name: str) -> Path:
    """A file of a run, or a UsageError."""
    path = folder / name
    if not path.is_file():
        raise UsageError(f"{path}: is missing, so {folder} is no whole run of `emocache train`; train it again, or give another folder")
    return path


def _json(folder: Path, name: str) -> Any:
    """A JSON file of a run."""
    path = _file(folder, name)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON ({error}); train this run again") from None
