"""What an experiment found: as one JSON object, and as a table for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emocache.store import Fallbacks
from heads import marks, metrics
from heads.metrics import Interval, Spread
from heads.scores import AGGREGATION, OVER_FOLDS, Scores

SELECTED = "SELECTED ON THE TEST PART: these scores are too high, and not to be compared with honest ones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The scores of a head on a corpus, and what a reader must know of them; `segments` by the inputs that are made of them.

    `marks` (`heads.marks`) say that the scores are not, or not in whole, of what the names say.
    """

    head: str
    corpus: str
    protocol: str
    label: str
    encoders: tuple[str, ...]
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    scores: Scores
    parameters: int
    path: Path
    seconds: float
    deviations: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    segments: Mapping[str, Fallbacks] = field(default_factory=dict)
    text_overlap: Mapping[str, int] = field(default_factory=dict)

    @property
    def selected_on_test(self) -> bool:
        """Whether the epoch was chosen on the test part, so that the scores are too high."""
        return marks.TEST_SELECTED in self.marks

    @property
    def marked(self) -> bool:
        """Whether the scores are of something else than the names say, at least in part."""
        return bool(self.marks)


def to_json(result: Result) -> dict[str, Any]:
    """The result as one flat JSON object; `n` is the number of different utterances that were tested, by whichever seeds."""
    about = asdict(result)
    scores: dict[str, Any] = about.pop("scores")
    words = {"aggregation": AGGREGATION, "over_folds_is": OVER_FOLDS}
    return (
        scores
        | about
        | words
        | {"marked": result.marked, "selected_on_test": result.selected_on_test, "path": str(result.path), "n": scores.pop("tested")}
    )


def to_text(result: Result) -> str:
    """A plain text table: scores in percent with their intervals, the confusion matrix, where things lie, and what to know."""
    scores = result.scores
    folds = len({run.fold for run in scores.runs})
    lines = [
        f"{result.head} on {result.corpus} ({', '.join(result.encoders)}), protocol {result.protocol}, label {result.label}",
        f"{scores.tested} utterances tested, {len(result.classes)} classes, {result.parameters:,} parameters",
        f"{folds} folds x {len(result.seeds)} seeds = {len(scores.runs)} runs, {result.seconds:.0f} s",
        "",
        *([SELECTED] if result.selected_on_test else []),
        *(_score(name, scores, starred=result.marked) for name in metrics.METRICS),
        f"     {AGGREGATION}",
        f"     95 % bootstrap over {scores.resampled}",
        *_spreads(scores),
        "",
        *confusion_text(result.classes, scores.confusion),
        "",
        *_recalls(scores),
        "",
        *(f"deviates  {text}" for text in result.deviations),
        *(f"*         {text}" for text in marks.explained(result.marks)),
        *(f"note      {text}" for text in result.notes),
        f"written   {result.path}",
    ]
    return "\n".join(lines)


def _score(name: str, scores: Scores, *, starred: bool) -> str:
    """One line of the table."""
    score: Interval = getattr(scores, name)
    title = name.upper() + "*" * starred
    return f"{title:<4} {100 * score.mean:6.2f} %  [{100 * score.low:.2f}, {100 * score.high:.2f}]  {metrics.WORDS[name]}"


def _spreads(scores: Scores) -> list[str]:
    """The spread of UA over seeds and over folds, where there are several."""
    several = {"seeds": scores.over_seeds["ua"], "folds": scores.over_folds["ua"]}
    return [f"     UA over {one.count} {name}: {spread_text(one)}" for name, one in several.items() if one.count > 1]


def spread_text(one: Spread) -> str:
    """Mean, standard deviation and extremes in percent."""
    deviation = "" if one.std is None else f" ± {100 * one.std:.2f}"
    return f"{100 * one.mean:.2f}{deviation} %, {100 * one.low:.2f} to {100 * one.high:.2f}"


def _recalls(scores: Scores) -> list[str]:
    """Recall with its interval, and precision, of each class that occurs."""
    width = max(6, *(len(name) for name in scores.recall))
    return [f"{'class':<{width}} {'recall %':>8}  95 % interval   precision %"] + [
        f"{name:<{width}} {100 * one.mean:8.1f}  [{100 * one.low:5.1f}, {100 * one.high:5.1f}]  {100 * scores.precision[name]:11.1f}"
        for name, one in scores.recall.items()
    ]


def confusion_text(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """The confusion matrix in percent of each row."""
    width = max(6, *(len(name) for name in classes))
    header = " ".join(f"{name:>{width}}" for name in classes)
    shares = [[100 * count / max(sum(row), 1) for count in row] for row in counts]
    rows = [f"{name:<{width}} " + " ".join(f"{share:>{width}.1f}" for share in row) for name, row in zip(classes, shares, strict=True)]
    return [f"{'truth':<{width}} {header}   predicted, % of the row", *rows]
