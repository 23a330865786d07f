"""What an experiment found: as one JSON object, and as a table for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from heads.metrics import Interval


@dataclass(frozen=True, kw_only=True, slots=True)
class RunScore:
    """One fold with one seed. `epoch` is the one that was chosen, of `epochs`; scores are of the fold's test part, in 0..1."""

    fold: str
    seed: int
    epoch: int
    epochs: int
    validation_loss: float
    ua: float
    wa: float
    wf1: float
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """Scores of a head on a corpus: the mean over seeds of the score of all folds' predictions pooled, with 95 % intervals.

    `confusion` [classes, classes] sums all seeds, rows are the truth. `resampled` says over what the bootstrap went.
    """

    head: str
    corpus: str
    protocol: str
    label: str
    encoders: tuple[str, ...]
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    tested: int
    ua: Interval
    wa: Interval
    wf1: Interval
    confusion: tuple[tuple[int, ...], ...]
    resampled: str
    runs: tuple[RunScore, ...]
    parameters: int
    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    text_overlap: Mapping[str, int] = field(default_factory=dict)
    path: Path = Path()
    seconds: float = 0.0


def to_json(result: Result) -> dict[str, Any]:
    """The result as one JSON object; `n` is the number of utterances tested with each seed."""
    about = asdict(result) | {"path": str(result.path), "n": result.tested, "aggregation": AGGREGATION}
    del about["tested"]
    return about


AGGREGATION = "predictions of all folds pooled, scored for each seed, mean over seeds"


def to_text(result: Result) -> str:
    """A plain text table: scores in percent with their intervals, the confusion matrix, where things lie, and what to know."""
    runs = len(result.runs)
    folds = len({run.fold for run in result.runs})
    lines = [
        f"{result.head} on {result.corpus} ({', '.join(result.encoders)}), {result.protocol}, label {result.label}",
        f"{result.tested} utterances tested, {len(result.classes)} classes, {folds} folds x {len(result.seeds)} seeds = {runs} runs, "
        f"{result.parameters:,} parameters, {result.seconds:.0f} s",
        "",
        *(_score(name, about, getattr(result, name)) for name, about in NAMES.items()),
        f"     {AGGREGATION}; 95 % bootstrap over {result.resampled}",
        "",
        *_confusion(result.classes, result.confusion),
        "",
        *(f"deviates  {text}" for text in result.deviations),
        *(f"note      {text}" for text in result.notes),
        f"written   {result.path}",
    ]
    return "\n".join(lines)


NAMES = {"ua": "mean recall of the classes", "wa": "accuracy", "wf1": "weighted F1"}


def _score(name: str, about: str, score: Interval) -> str:
    """One line of the table."""
    return f"{name.upper():<4} {100 * score.mean:6.2f} %  [{100 * score.low:.2f}, {100 * score.high:.2f}]  {about}"


def _confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """The confusion matrix in percent of each row."""
    width = max(6, *(len(name) for name in classes))
    header = " ".join(f"{name:>{width}}" for name in classes)
    rows = [f"{name:<{width}} {' '.join(f'{100 * n / max(sum(row), 1):>{width}.1f}' for n in row)}" for name, row in zip(classes, counts, strict=True)]
    return [f"{'truth':<{width}} {header}   predicted, % of the row", *rows]
