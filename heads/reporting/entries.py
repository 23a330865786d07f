"""The runs of a report, read and scored."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from heads import scores, stored
from heads.marks import explained, marked_name
from heads.scores import Bootstrap, Scores, SpeakerScore
from heads.stored import StoredRun

TASK = {"corpora": "corpus", "protocols": "protocol", "label columns": "label", "classes": "classes"}
"""What makes a task, in words -> the field of a run."""
DEVIATION = "±: standard deviation (n - 1), of the seeds' pooled scores or of the folds' own; in brackets the extremes."


@dataclass(frozen=True, slots=True)
class Entry:
    """A run under the name that the report gives it, marks included; `speakers` as `scores.by_speaker` has them."""

    name: str
    run: StoredRun
    scores: Scores
    speakers: Mapping[str, SpeakerScore]


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """The runs of a report, the command that made it, lines on runs that were `left_out`, and whether `maps` are drawn."""

    entries: tuple[Entry, ...]
    command: str
    left_out: tuple[str, ...] = ()
    maps: bool = True


def read(folders: Sequence[Path], *, bootstrap: Bootstrap = "speakers") -> tuple[Entry, ...]:
    """The runs in these folders. UsageError for a folder that is no whole run."""
    runs = [stored.read(folder) for folder in folders]
    alike = Counter(run.path.name for run in runs)
    return tuple(
        Entry(
            run.name if alike[run.path.name] == 1 else marked_name(str(run.path), run.marks),
            run,
            scores.score(run.predictions, bootstrap=bootstrap),
            scores.by_speaker(run.predictions),
        )
        for run in runs
    )


def footnotes(entries: Sequence[Entry]) -> list[str]:
    """What a reader of a table of these runs must know: how scores and intervals come about, marks, and what is not alike."""
    lines = [f"Scores: {scores.AGGREGATION}. Mean of folds: {scores.OVER_FOLDS}."]
    over: dict[str, list[str]] = {}
    for entry in entries:
        over.setdefault(entry.scores.resampled, []).append(entry.name)
    lines += [f"Intervals{f' of {_listed(names)}' if len(over) > 1 else ''}: 95 % bootstrap over {text}." for text, names in over.items()]
    several = [what for what, values in TASK.items() if len({getattr(entry.run, values) for entry in entries}) > 1]
    if several:
        lines.append(f"The rows differ in {_listed(several)}: their scores are not of the same task.")
    return lines + [f"{text}." for text in explained(mark for entry in entries for mark in entry.run.marks)]


def _listed(names: Sequence[str]) -> str:
    """Names in a sentence."""
    return " and ".join([*([", ".join(names[:-1])] if names[1:] else []), names[-1]])


def to_json(entry: Entry) -> dict[str, Any]:
    """A run and its scores as one JSON object; `n` is the number of different utterances that were tested, by whichever seeds."""
    run, about = entry.run, asdict(entry.scores)
    about["n"] = about.pop("tested")
    del about["runs"]
    facts = ("head", "corpus", "protocol", "label", "encoders", "classes", "seeds", "parameters", "seconds", "marks", "notes", "deviations")
    return (
        {"name": entry.name, "path": str(run.path)}
        | {fact: getattr(run, fact) for fact in facts}
        | about
        | {
            "speakers": {name: asdict(one) for name, one in entry.speakers.items()},
            "aggregation": scores.AGGREGATION,
            "command": run.config.get("command"),
        }
    )
