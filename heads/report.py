"""What an experiment found: as one JSON object, and as a table for the terminal."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emocache.store import MANY_FALLBACKS, Fallbacks
from heads.metrics import Interval
from heads.scoring import AGGREGATION, Scores

MARK = f"more than {100 * MANY_FALLBACKS:g} % of the segments, or of the utterances, fell back to something else: see the notes"

SELECTED = "SELECTED ON THE TEST PART: these scores are too high, and not to be compared with honest ones"


@dataclass(frozen=True, kw_only=True, slots=True)
class Result:
    """The scores of a head on a corpus, and what a reader must know of them; `segments` by the inputs that are made of them."""

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
    left_out: Mapping[str, int] = field(default_factory=dict)
    segments: Mapping[str, Fallbacks] = field(default_factory=dict)
    text_overlap: Mapping[str, int] = field(default_factory=dict)
    selected_on_test: bool = False
    """Whether the epoch was chosen on the test part, so that the scores are too high."""

    @property
    def marked(self) -> bool:
        """Whether many segments of an input are not what their name says, so that the scores are of something else in part."""
        return any(count.many for count in self.segments.values())


def to_json(result: Result) -> dict[str, Any]:
    """The result as one flat JSON object; `n` is the number of utterances tested with each seed."""
    about = asdict(result)
    scores: dict[str, Any] = about.pop("scores")
    return scores | about | {"marked": result.marked, "path": str(result.path), "n": scores.pop("tested"), "aggregation": AGGREGATION}


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
        _score("UA*" if result.marked else "UA", scores.ua, "mean recall of the classes"),
        _score("WA", scores.wa, "accuracy"),
        _score("WF1", scores.wf1, "weighted F1"),
        f"     {AGGREGATION}",
        f"     95 % bootstrap over {scores.resampled}",
        "",
        *_confusion(result.classes, scores.confusion),
        "",
        *(f"deviates  {text}" for text in result.deviations),
        *([f"*         {MARK}"] if result.marked else []),
        *(f"note      {text}" for text in result.notes),
        f"written   {result.path}",
    ]
    return "\n".join(lines)


def _score(name: str, score: Interval, about: str) -> str:
    """One line of the table."""
    return f"{name:<4} {100 * score.mean:6.2f} %  [{100 * score.low:.2f}, {100 * score.high:.2f}]  {about}"


def _confusion(classes: Sequence[str], counts: Sequence[Sequence[int]]) -> list[str]:
    """The confusion matrix in percent of each row."""
    width = max(6, *(len(name) for name in classes))
    header = " ".join(f"{name:>{width}}" for name in classes)
    shares = [[100 * count / max(sum(row), 1) for count in row] for row in counts]
    rows = [f"{name:<{width}} " + " ".join(f"{share:>{width}.1f}" for share in row) for name, row in zip(classes, shares, strict=True)]
    return [f"{'truth':<{width}} {header}   predicted, % of the row", *rows]
