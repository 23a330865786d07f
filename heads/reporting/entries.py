"""The runs of a report, read and scored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from heads import scores, stored
from heads.marks import explained, marked_name
from heads.scores import Bootstrap, Scores
from heads.stored import StoredRun


@dataclass(frozen=True, slots=True)
class Entry:
    """A run under the name that the report gives it, marks included; `speakers` as `scores.by_speaker` has them."""

    name: str
    run: StoredRun
    scores: Scores
    speakers: Mapping[str, Mapping[str, float]]


def read(places: Sequence[Path], *, bootstrap: Bootstrap = "speakers") -> list[Entry]:
    """The runs in these folders. UsageError for a folder that is no whole run."""
    runs = [stored.read(folder) for folder in stored.find(places)]
    alike = Counter(run.path.name for run in runs)
    return [
        Entry(
            run.name if alike[run.path.name] == 1 else marked_name(str(run.path), run.marks),
            run,
            scores.score(run.predictions, bootstrap=bootstrap),
            scores.by_speaker(run.predictions),
        )
        for run in runs
    ]


def footnotes(entries: Sequence[Entry]) -> list[str]:
    """What a reader of a table of these runs must know: how scores and intervals come about, marks, and what is not alike."""
    lines = [f"Scores: {scores.AGGREGATION}. Mean of folds: {scores.OVER_FOLDS}."]
    lines += [f"Intervals: 95 % bootstrap over {text}." for text in dict.fromkeys(entry.scores.resampled for entry in entries)]
    lines.append("±: standard deviation (n - 1) over the seeds' pooled scores, or over the folds' own scores.")
    for what, values in (("corpora", "corpus"), ("protocols", "protocol"), ("label columns", "label"), ("classes", "classes")):
        if len({getattr(entry.run, values) for entry in entries}) > 1:
            lines.append(f"The rows differ in their {what}: their scores are not of the same task.")
    return lines + [f"{text}." for text in explained(mark for entry in entries for mark in entry.run.marks)]


def to_json(entry: Entry) -> dict[str, Any]:
    """A run and its scores as one JSON object; `n` is the number of utterances tested with each seed."""
    run, about = entry.run, asdict(entry.scores)
    about["n"] = about.pop("tested")
    del about["runs"]
    facts = ("head", "corpus", "protocol", "label", "encoders", "classes", "seeds", "parameters", "seconds", "marks", "notes", "deviations")
    return (
        {"name": entry.name, "path": str(run.path)}
        | {fact: getattr(run, fact) for fact in facts}
        | about
        | {"speakers": entry.speakers, "aggregation": scores.AGGREGATION, "command": run.config.get("command")}
    )
