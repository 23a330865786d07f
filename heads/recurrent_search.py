"""Recurrent cells drawn at random, each trained on the training part of every fold and judged on the validation part alone.

Each fold keeps the cell with its lowest validation loss; that is trained once more, and its test part is predicted. The trials lie in
the folder of a sweep (`heads.sweep`), so the same command goes on after a kill with the first cell that is not done.

runs/NAME/sweep.json, trials.csv, trials/   the cells and their validation scores
runs/NAME/cells/FOLD.json, FOLD.svg         the cell of each fold, as a file that `train cell --genotype` takes, and a picture of it
runs/NAME-nested/                           the run that is tested
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from statistics import fmean
from typing import Any

from emocache.devices import pick_device
from emocache.errors import UsageError
from emocache.store import Cache
from heads import command, experiment, nested, report, runfolder, sweep, sweep_report
from heads.emotionnas import cellfile, recipe, sampling
from heads.emotionnas.cellfile import Cell
from heads.emotionnas.sampling import Family
from heads.nested import Nested
from heads.plan import Experiment, plan
from heads.reporting import recurrent_cells
from heads.space import Space
from heads.sweep import Sweep
from heads.trials import Trial

HEAD, KIND, SETTING = "cell", "recurrent", "genotype"
RECIPES = 20
"""How many cells are tried unless it is said."""
MOST = 1000
UNSAFE = r"[^\w-]"
"""What the name of a fold has that a file's had better not have."""
SHOWN = 5
"""Cells in the table for the terminal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish(sweep.Wish):
    """What is asked for: `recipes` cells of a family; the first seed of the experiment draws them too."""

    recipes: int = RECIPES
    family: Family = field(default_factory=Family)

    def command(self) -> str:
        """What one would type to ask for this."""
        usual = {one.name: one.default for one in fields(Experiment)} | {"recipes": RECIPES, "layers": "last"} | asdict(Family())
        asked = {one.name: getattr(self.ask, one.name) for one in fields(Experiment)} | {"recipes": self.recipes} | asdict(self.family)
        return command.spelled(asked | {"head": KIND}, usual, "search")


@dataclass(frozen=True, slots=True)
class Searched:
    """A search that is done: all trials, best first, and the run that was tested."""

    sweep: Sweep
    trials: Sequence[Trial]
    nested: Nested


def prepare(wish: Wish, cache: Cache, *, quiet: bool = False) -> Sweep:
    """All that can be known before the first cell is trained. UsageError, CacheError or ProtocolError where it cannot be."""
    if not 1 <= wish.recipes <= MOST:
        raise UsageError(f"--recipes {wish.recipes}: expected 1 to {MOST}")
    if any(one.partition("=")[0] == SETTING for one in wish.ask.settings):
        raise UsageError("--set genotype: a search draws its cells; leave it out")
    if wish.ask.select == "test":
        raise UsageError("--select test: the cells would be chosen on the test part; leave it out")
    device = pick_device(wish.ask.device)
    cells = [Cell.of(KIND, one.to_json()) for one in sampling.sample(wish.recipes, wish.ask.seeds[0], wish.family)]
    space = Space(fixed=wish.ask.settings, tried={SETTING: tuple(cell.setting for cell in cells)})
    first = replace(wish.ask, head=HEAD, settings=(*wish.ask.settings, f"{SETTING}={cells[0].setting}"), name=None)
    planned = plan(first, cache)
    digest = hashlib.sha256(runfolder.to_json([planned.digest, asdict(space)]).encode()).hexdigest()
    name = wish.ask.name or f"search-{KIND}-{wish.ask.corpus}-{wish.ask.protocol}-{digest[:8]}"
    wish = replace(wish, ask=replace(wish.ask, head=HEAD, name=name), method="grid", objective="loss", nested=True)
    return Sweep(
        wish=wish, space=space, planned=planned, examples=experiment.examples_of(planned, device, quiet=quiet), device=device,
        wanted=len(cells), digest=digest, target=runfolder.place(wish.ask.runs, name, digest, sweep.SWEEP),
    )  # fmt: skip


def carry_out(one: Sweep, *, quiet: bool = False) -> Searched:
    """Train the cells that are not done, test each fold's best, and write the folders."""
    done = sweep.carry_out(one, quiet=quiet)
    sweep_report.write(one, done)
    found = nested.nested(one, done, quiet=quiet)
    for choice in found.choices:
        cell = cellfile.from_text(choice.settings[SETTING])
        for name in choice.folds:
            about = cellfile.Found(cell=cell, found=_how(one, done, name, cell))
            path = one.target / "cells" / f"{re.sub(UNSAFE, '_', name)}.json"
            cellfile.save(path, about)
            runfolder.replace_text(path.with_suffix(".svg"), recurrent_cells.draw(recipe.of_json(cell.value)))
    return Searched(one, done, found)


def _how(one: Sweep, done: Sequence[Trial], fold: str, cell: Cell) -> Mapping[str, Any]:
    """How the cell of a fold was found."""
    planned, wish = one.planned, one.wish
    trial = next(trial for trial in done if trial.settings[SETTING] == cell.setting)
    return {
        "corpus": wish.ask.corpus,
        "features": planned.about["inputs"],
        "protocol": wish.ask.protocol,
        "fold": fold,
        "seeds": list(wish.ask.seeds),
        "recipes": one.wanted,
        "settings": list(one.space.fixed),
        "validation_loss": fmean(run.loss for run in trial.runs if run.fold == fold),
        "command": wish.command(),
    }


def to_json(found: Searched) -> dict[str, Any]:
    """As one JSON object."""
    choices = [{"folds": list(one.folds), "cell": cellfile.from_text(one.settings[SETTING]).value} for one in found.nested.choices]
    trials = [
        {"cell": cellfile.from_text(one.settings[SETTING]).value, "state": one.state, "seconds": one.seconds, "why": one.why}
        | ({"validation_loss": one.loss, "validation_ua": one.ua} if one.runs else {})
        for one in found.trials
    ]
    return {
        "path": str(found.sweep.target), "recipes": found.sweep.wanted, "trials": trials, "choices": choices,
        "result": report.to_json(found.nested.result),
    }  # fmt: skip


def to_text(found: Searched) -> str:
    """The best cells, which fold took which, and the result as `train` prints it."""
    complete = [one for one in found.trials if one.runs]
    lines = [f"{len(complete)} of {found.sweep.wanted} cells trained; lowest mean validation loss over all folds first:"]
    for one in complete[:SHOWN]:
        cell = recipe.of_json(cellfile.from_text(one.settings[SETTING]).value)
        lines.append(f"  {cell.digest}  loss {one.loss:.4f}  UA {100 * one.ua:.2f} %  {one.seconds:.1f} s  {cell.words()}")
    lines += [f"  not complete: {one.why}" for one in found.trials if not one.runs]
    lines.append("each fold with the cell of its own lowest validation loss:")
    for choice in found.nested.choices:
        cell = recipe.of_json(cellfile.from_text(choice.settings[SETTING]).value)
        lines.append(f"  fold {', '.join(choice.folds)}: {cell.digest}")
    return "\n".join([*lines, f"written   {found.sweep.target}", "", report.to_text(found.nested.result)])
