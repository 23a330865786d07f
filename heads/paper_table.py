"""A paper's table beside ours: as text for the terminal, and as one JSON object. All scores are in percent."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from heads.marks import FELL_BACK
from heads.recipes.recipe import Recipe, Row
from heads.report import confusion_text

DASH = "-"
PROTOCOL = "protocol"
SCORES = ("ua", "wa", "wf1")
SHOWN = {
    "confusion": "the confusion matrix in {run}/result.json",
    "maps": "t-SNE fold by fold of {run}/embeddings.npy",
    "curves": "{run}/curves.json",
}
"""What a figure shows -> where it is in a run folder."""
FACTS = ("parameters", "s", "segments", "fell back")
"""Columns beside the scores: seconds of the run; segments of all inputs; how many of them took the nearest frame + how many
utterances are one segment for want of an alignment."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ours:
    """What a run of ours came to: its result.json, what was cut in it, and where it is not as the paper describes.

    `others` names what the paper had something else for: the corpus, the features, or the protocol.
    """

    result: Mapping[str, Any]
    run: Path
    reused: bool
    others: tuple[str, ...]
    reduced: tuple[str, ...]
    deviations: tuple[str, ...]

    @property
    def marks(self) -> tuple[str, ...]:
        """What must be seen beside the number."""
        flags = {
            "reduced": bool(self.reduced),
            "segments*": FELL_BACK in self.result["marks"],
            "selected on test": self.result["selected_on_test"],
        }
        return (*(f"other {name}" for name in self.others), *(name for name, given in flags.items() if given))


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """A row of the paper with ours, or why there is none."""

    row: Row
    ours: Ours | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """A recipe with what was run of it on a corpus."""

    recipe: Recipe
    corpus: str
    protocol: str | None
    lines: tuple[Line, ...]


def to_text(table: Table) -> str:
    """The table for people, then what must be known of it, each remark once with the rows that it is of."""
    recipe = table.recipe
    head = ["row", *(f"paper {name.upper()} %" for name in recipe.metrics)]
    more = ["mean of folds"] if recipe.over_folds else []
    head += [title for name in recipe.metrics for title in (f"ours {name.upper()} %", "95 % interval", *more)]
    head += FACTS
    rows = [cells for line in table.lines for cells in (_cells(line, recipe), *_fold_cells(line, recipe))]
    rows += [[cited.name, *_printed(cited.printed, recipe.metrics), *_dashes(recipe), "cited"] for cited in recipe.cited]
    return "\n".join(
        [
            f"{recipe.name}: {recipe.table} of {recipe.paper}, {recipe.url}",
            f"paper: {recipe.about}, on {recipe.corpus}; ours: on {table.corpus}, protocol {table.protocol or _protocols(recipe)}",
            "",
            *_aligned([[*head, ""], *rows]),
            "",
            *(_confusions(table) if recipe.shows == "confusion" else []),
            *_remarks(table),
        ]
    )


def to_json(table: Table) -> dict[str, Any]:
    """One JSON object; a number that was never run is null."""
    recipe = table.recipe
    return {
        "recipe": recipe.name,
        "paper": recipe.paper,
        "url": recipe.url,
        "table": recipe.table,
        "about": recipe.about,
        "paper_corpus": recipe.corpus,
        "corpus": table.corpus,
        "paper_protocol": _protocols(recipe),
        "protocol": table.protocol or _protocols(recipe),
        "unit": "percent",
        "rows": [_row_json(line) for line in table.lines],
        "cited": [{"name": cited.name, "paper": dict(cited.printed)} for cited in recipe.cited],
        "notes": list(recipe.notes),
    }


def _confusions(table: Table) -> Iterator[str]:
    """The confusion matrix of every row that was run."""
    for line in table.lines:
        if line.ours:
            yield from (f"confusion of {line.row.name}", *confusion_text(line.ours.result["classes"], line.ours.result["confusion"]), "")


def _row_json(line: Line) -> dict[str, Any]:
    """One row of `to_json`."""
    about: dict[str, Any] = {"name": line.row.name, "head": line.row.head, "paper": dict(line.row.printed)}
    if line.row.by_fold:
        about["folds"] = [
            {"name": name, "paper": dict(printed), "ours": _of_fold(line, name)} for name, printed in line.row.by_fold.items()
        ]
    if line.ours is None:
        return about | {"ours": None, "why": line.why}
    ours, found = line.ours, line.ours.result
    scores = {
        name: {edge: round(100 * value, 2) for edge, value in found[name].items()}
        | {"mean_of_folds": round(100 * found["over_folds"][name]["mean"], 2)}
        for name in SCORES
    }
    more = {name: found[name] for name in ("parameters", "n", "seeds", "seconds", "segments")} | {"runs": len(found["runs"])}
    told = {"marks": list(ours.marks), "reduced": list(ours.reduced), "deviations": list(ours.deviations), "notes": found["notes"]}
    more |= {"classes": found["classes"], "confusion": found["confusion"]}
    return about | {"ours": scores} | more | told | {"run": str(ours.run), "reused": ours.reused}


def _protocols(recipe: Recipe) -> str:
    """Who is tested, in the order of the rows."""
    return ", ".join(dict.fromkeys(recipe.protocol_of(row) for row in recipe.rows))


def _cells(line: Line, recipe: Recipe) -> list[str]:
    """One row for people."""
    printed = _printed(line.row.printed, recipe.metrics)
    if line.ours is None:
        return [line.row.name, *printed, *_dashes(recipe), line.why]
    ours: list[str] = []
    for name in recipe.metrics:
        one = line.ours.result[name]
        ours += [f"{100 * one['mean']:.2f}", f"{100 * one['low']:.2f} to {100 * one['high']:.2f}"]
        ours += [f"{100 * line.ours.result['over_folds'][name]['mean']:.2f}"] if recipe.over_folds else []
    return [line.row.name, *printed, *ours, *_facts(line.ours.result), ", ".join(line.ours.marks)]


def _facts(result: Mapping[str, Any]) -> list[str]:
    """The cells of FACTS."""
    counts = result["segments"].values()
    segments, nearest = (sum(one[name] for one in counts) for name in ("segments", "nearest"))
    fell_back = f"{nearest} + {max(one['whole'] for one in counts)}" if counts else DASH
    return [f"{result['parameters']:,}", f"{result['seconds']:.0f}", f"{segments}" if counts else DASH, fell_back]


def _fold_cells(line: Line, recipe: Recipe) -> Iterator[list[str]]:
    """The folds of which the paper prints scores of their own, beside ours of the same name."""
    for fold, printed in line.row.by_fold.items():
        scores = _of_fold(line, fold)
        ours = [text for name in recipe.metrics for text in (DASH, DASH, f"{scores[name]:.2f}" if scores else DASH)]
        yield [f"  fold {fold}", *_printed(printed, recipe.metrics), *ours, *[""] * len(FACTS), ""]


def _of_fold(line: Line, fold: str) -> dict[str, float] | None:
    """Our scores of a fold in percent, mean over seeds; None where there is no such fold, or another protocol made it."""
    ours = line.ours if line.ours and PROTOCOL not in line.ours.others else None
    runs = [run for run in ours.result["runs"] if run["fold"] == fold] if ours else []
    return {name: round(100 * sum(run[name] for run in runs) / len(runs), 2) for name in SCORES} if runs else None


def _dashes(recipe: Recipe) -> list[str]:
    """The cells of a row that was never run."""
    return [DASH] * ((3 if recipe.over_folds else 2) * len(recipe.metrics) + len(FACTS))


def _printed(printed: Mapping[str, float], metrics: Sequence[str]) -> list[str]:
    """The paper's numbers; a dash where it prints none."""
    return [f"{printed[name]:.2f}" if name in printed else DASH for name in metrics]


def _remarks(table: Table) -> Iterator[str]:
    """What was cut, what deviates and what is noted, then where the runs lie."""
    done = {line.row.name: line.ours for line in table.lines if line.ours}
    for title, of in (
        ("reduced", {name: ours.reduced for name, ours in done.items()}),
        ("deviates", {name: ours.deviations for name, ours in done.items()}),
        ("note", {name: (*table.recipe.notes, *ours.result["notes"]) for name, ours in done.items()}),
    ):
        for text in dict.fromkeys(text for texts in of.values() for text in texts):
            rows = [name for name, texts in of.items() if text in texts]
            yield f"{title:<9} {text}" + ("" if len(rows) == len(done) else f" ({', '.join(rows)})")
    yield from _shown(table.recipe, done)
    for name, ours in done.items():
        yield f"run       {name}: {ours.run}{' (of an earlier call)' if ours.reused else ''}"


def _shown(recipe: Recipe, done: Mapping[str, Ours]) -> Iterator[str]:
    """What a figure shows of its runs, and what draws it."""
    if recipe.shows and done:
        yield from (f"shows     {name}: {SHOWN[recipe.shows].format(run=ours.run)}" for name, ours in done.items())
        yield f"draw      {shlex.join(['emocache', 'report', *(str(ours.run) for ours in done.values()), '--out', recipe.name])}"


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of equal width."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
