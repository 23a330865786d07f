"""The trials of a sweep, a JSON file each, and what they come to: judged on validation parts alone, best first."""

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from emocache.errors import UsageError
from heads import runfolder

OBJECTIVES = {"ua": "highest mean validation UA", "loss": "lowest mean validation loss"}
"""What a trial may be judged by: each run at the epoch that would be tested (`tested`), mean over folds and seeds."""


class Pruned(Exception):
    """Stops a trial that is behind the others."""


Report = Callable[[int, float], None]
"""Takes a step and the score of a trial so far; raises Pruned when that is behind."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """One fold with one seed on its validation part, at the epoch that was chosen, of `epochs`; UA in 0..1."""

    fold: str
    seed: int
    epoch: int
    epochs: int
    ua: float
    loss: float

    def score(self, objective: str) -> float:
        """What it is judged by; higher is better."""
        return self.ua if objective == "ua" else -self.loss


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """Settings that were tried; `why` says what became of a trial that is not complete, which has no runs."""

    number: int
    settings: Mapping[str, str]
    state: str
    runs: tuple[Judged, ...] = ()
    seconds: float = 0.0
    why: str = ""

    @property
    def ua(self) -> float:
        """Mean validation UA of a complete trial, in 0..1."""
        return fmean(run.ua for run in self.runs)

    @property
    def loss(self) -> float:
        """Mean validation loss of a complete trial."""
        return fmean(run.loss for run in self.runs)

    def score(self, objective: str) -> float:
        """What a complete trial is judged by; higher is better."""
        return self.ua if objective == "ua" else -self.loss


def save(folder: Path, trial: Trial) -> None:
    """Write a trial, whole or not at all."""
    runfolder.replace_text(folder / f"{trial.number:04d}.json", runfolder.to_json(asdict(trial)))


def load(folder: Path) -> list[Trial]:
    """All trials in a folder, by number."""
    return sorted(map(_read, folder.glob("*.json")), key=lambda trial: trial.number)


def _read(path: Path) -> Trial:
    """One trial; UsageError where the file is not what was written."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return Trial(**{**values, "runs": tuple(Judged(**run) for run in values["runs"])})
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{path}: is damaged; remove it (a grid does the trial again), or give another --name") from None


@contextlib.contextmanager
def claimed(folder: Path, number: int) -> Iterator[bool]:
    """Whether a trial is ours to do: it is not done, and no other process is at it. The claim ends with the process that has it."""
    path = folder / f"{number:04d}.lock"
    with path.open("a") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            yield False
            return
        except OSError:  # a file system without locks: two processes may do one trial, and come to the same
            pass
        try:
            yield not path.with_suffix(".json").exists()
        finally:
            path.unlink(missing_ok=True)


def ranked(trials: Sequence[Trial], objective: str) -> list[Trial]:
    """The complete trials, best first and of equals the earlier first; then the others."""
    complete = sorted((trial for trial in trials if trial.runs), key=lambda trial: (-trial.score(objective), trial.number))
    return complete + [trial for trial in trials if not trial.runs]


def rows(trials: Sequence[Trial], names: Sequence[str]) -> Iterator[list[str]]:
    """A table, its header first: number, state, validation scores, the settings `names`, seconds, and why a trial is not complete."""
    yield ["trial", "state", "validation_ua", "validation_loss", "epoch", *names, "seconds", "why"]
    for trial in trials:
        scores = [f"{trial.ua:.4f}", f"{trial.loss:.4f}", f"{fmean(run.epoch for run in trial.runs):.1f}"] if trial.runs else ["-"] * 3
        settings = [trial.settings[name] for name in names]
        yield [str(trial.number), trial.state, *scores, *settings, f"{trial.seconds:.1f}", trial.why]
