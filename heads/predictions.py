"""The predictions of a run: what `predictions.csv` holds, without the probabilities."""

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError

COLUMNS = ("id", "speaker", "fold", "seed", "label", "predicted")
"""The columns of `predictions.csv` before the probabilities, of which there is one for each class, `p_CLASS`."""

SIX_DIGITS = "0.000000"
"""What an earlier version wrote for anything below half a millionth."""
SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""What a probability that float32 rounds to 0 counts as, so that it has a logarithm."""
MOST_DIGITS = 18
"""Of a seed: more do not fit into an int64."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Predictions:
    """One entry for each tested utterance, fold and seed, in the order of the file; '' is a speaker who is not known.

    `truth` and `predicted` are numbers of `classes`.
    """

    ids: tuple[str, ...]
    speakers: tuple[str, ...]
    folds: tuple[str, ...]
    seeds: NDArray[np.int64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    classes: tuple[str, ...]

    def take(self, which: NDArray[np.int64]) -> "Predictions":
        """The entries `which`, in that order."""
        chosen = which.tolist()
        return replace(
            self,
            ids=tuple(self.ids[i] for i in chosen),
            speakers=tuple(self.speakers[i] for i in chosen),
            folds=tuple(self.folds[i] for i in chosen),
            seeds=self.seeds[which],
            truth=self.truth[which],
            predicted=self.predicted[which],
        )


def read(path: Path, classes: Sequence[str]) -> Predictions:
    """The predictions in a `predictions.csv`. UsageError that names the line which is not as a run writes it."""
    expected = [*COLUMNS, *(f"p_{name}" for name in classes)]
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = csv.reader(file)
            header = next(lines, [])
            if header != expected:
                raise UsageError(f"{path}: line 1: expected the columns {', '.join(expected)}; train this run again")
            return _parsed(path, lines, classes)
    except (UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: is no CSV of a run ({error}); train this run again") from None


def digits(shares: NDArray[np.floating[Any]]) -> list[str]:
    """Probabilities [classes] as they are written: nine digits tell a float32 from all others."""
    return [f"{p:.9g}" for p in shares.tolist()]


def probabilities(path: Path, classes: Sequence[str]) -> NDArray[np.float64]:
    """The probabilities [rows, classes] in a `predictions.csv` that `read` takes. UsageError for what is none, or was rounded to 0."""
    with path.open(encoding="utf-8", newline="") as file:
        texts = [line[len(COLUMNS) :] for line in csv.reader(file)][1:]
    if any(SIX_DIGITS in row for row in texts):
        raise UsageError(f"{path}: an earlier version wrote it with six digits, too few for logarithms; train this run again")
    try:
        found = np.array(texts, dtype=np.float64)
    except ValueError:
        found = np.full((1, len(classes)), np.nan)
    if not ((found >= 0) & (found <= 1)).all():
        raise UsageError(f"{path}: holds probabilities that are none; train this run again")
    return np.maximum(found, SMALLEST)


def _parsed(path: Path, lines: Iterable[list[str]], classes: Sequence[str]) -> Predictions:
    """The lines after the header."""
    number = {name: i for i, name in enumerate(classes)}
    rows: list[tuple[str, str, str, int, int, int]] = []
    for at, line in enumerate(lines, start=2):
        try:
            name, speaker, fold, seed, label, predicted = line[: len(COLUMNS)]
            if len(line) != len(COLUMNS) + len(classes) or len(seed) > MOST_DIGITS:
                raise ValueError
            rows.append((name, speaker, fold, int(seed), number[label], number[predicted]))
        except (ValueError, KeyError):
            raise UsageError(f"{path}: line {at}: is cut short, or names no class or seed of this run; train it again") from None
    if not rows:
        raise UsageError(f"{path}: holds no prediction; train this run again")
    ids, speakers, folds, seeds, truth, guesses = zip(*rows, strict=True)
    numbers = (np.array(one, dtype=np.int64) for one in (seeds, truth, guesses))
    seeds_, truth_, predicted_ = numbers
    return Predictions(
        ids=ids, speakers=speakers, folds=folds, seeds=seeds_, truth=truth_, predicted=predicted_, classes=tuple(classes)
    )  # fmt: skip
