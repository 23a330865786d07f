"""A search on spectrograms from end to end: the network of the search over all folds, the cell of each, and its network trained anew.

runs/NAME/                  the network of the search, `supernet`, as any run; its test part is predicted once, at the end
runs/NAME/cells/0-3.json    the cell of fold 0 with seed 3; .svg: its picture
runs/NAME-derived/          the derived networks, each fold's of its own cell, trained from the start: `cell`, as any run
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from safetensors import safe_open

import heads
from emocache.devices import pick_device
from emocache.errors import UsageError
from emocache.store import open_cache
from heads import command, experiment, finished, noted, report, runfolder
from heads.config import Training, override
from heads.emotionnas import cellfile, genotype
from heads.emotionnas.cellfile import Cell, Found
from heads.emotionnas.search import Search
from heads.plan import Experiment, Plan, parameters_of, plan
from heads.report import Result
from heads.reporting import cells as pictures
from heads.scoring import Run

CELLS = "cells"
KEPT_AT = "the last epoch, as in DARTS's code"
"""Whose architecture weights a cell is decoded from."""
At = tuple[int, int]
"""A seed, and the number of a fold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for: the search, and settings of `cell` for the derived networks; None trains none."""

    ask: Experiment
    retrain: tuple[str, ...] | None = ()

    def command(self) -> str:
        """What one would type to ask for this."""
        usual = {one.name: getattr(Experiment(head="", corpus="", encoders=(), protocol=""), one.name) for one in fields(Experiment)}
        needed = {"head", "corpus", "encoders", "protocol"}
        asked = {one.name: getattr(self.ask, one.name) for one in fields(self.ask)} | {"head": "spectrogram", "retrain": self.retrain}
        return command.spelled(asked, {name: one for name, one in usual.items() if name not in needed} | {"retrain": ()}, "search")


@dataclass(frozen=True, kw_only=True, slots=True)
class Searched:
    """What came of it: both results, and the file of each cell."""

    supernet: Result
    cells: Mapping[Path, Found]
    derived: Result | None


def search(wish: Wish, *, jobs: int = 1, quiet: bool = False) -> Searched:
    """Search, write the cells, and train the derived networks; finished parts are not done again. Raises what `plan` does."""
    pick_device(wish.ask.device)
    if wish.ask.select == "test":
        raise UsageError("--select test: the cells would be chosen on the test part; leave it out")
    planned = plan(wish.ask, open_cache(wish.ask.cache))
    if planned.config.kept == "best":
        raise UsageError("kept=best: the cell is that of the last epoch, whose weights would not be kept; leave it out")
    result = experiment.carry_out(planned, jobs=jobs, quiet=quiet)
    found = cells_of(planned)
    files = {planned.target / CELLS / f"{number}-{seed}.json": one for (seed, number), one in found.items()}
    for path, one in files.items():
        cellfile.save(path, one)
        runfolder.replace_text(path.with_suffix(".svg"), pictures.draw(genotype.from_json(one.cell.value)))
    derived = None if wish.retrain is None else derive(planned, {at: one.cell for at, one in found.items()}, wish, quiet=quiet)
    return Searched(supernet=result, cells=files, derived=derived)


def cells_of(planned: Plan) -> dict[At, Found]:
    """The cell of every run of a finished search, by its seed and the number of its fold."""
    return {(seed, number): _cell_of(planned, seed, number) for seed, made in planned.folds.items() for number in range(len(made))}


def _cell_of(planned: Plan, seed: int, number: int) -> Found:
    """Of one run."""
    assert isinstance(planned.config, Search)
    path = finished.file_of(planned.target / runfolder.CHECKPOINTS, number, seed)
    if not finished.has_weights(path):
        raise UsageError(f"{path} lacks the weights that a cell is read from: an earlier call had --no-weights; give another --runs")
    with safe_open(path, "pt") as file:
        alphas = file.get_tensor("last/alphas")
        curve = finished.curve_of(file.metadata())
    settings = {name: getattr(planned.config, name) for name in ("layers", "channels", "order", "epochs", "frames", "batch")}
    about = {
        "head": planned.ask.head,
        "corpus": planned.ask.corpus,
        "features": [f"{one.name}/{one.level}" for one in planned.inputs],
        "protocol": planned.ask.protocol,
        "fold": planned.folds[seed][number].name,
        "seed": seed,
        "settings": settings,
        "weights_of": KEPT_AT,
        "validation_loss": curve[-1].validation_loss,
        "validation_ua": curve[-1].validation_ua,
        "digest": planned.digest,
    }
    return Found(cell=Cell.of("convolutional", genotype.to_json(genotype.decode(*alphas))), found=about)


def derive(planned: Plan, found: Mapping[At, Cell], wish: Wish, *, quiet: bool = False) -> Result:
    """Train the network of each run's own cell from the start on that run's fold, and write a run folder."""
    began, device = time.perf_counter(), pick_device(planned.ask.device)
    base, configs = _planned(planned, found, wish)
    examples = experiment.examples_of(base, device, quiet=quiet)
    with runfolder.alone(base.target, base.digest):
        done: dict[At, Run] = {}
        for (seed, number), config in configs.items():
            grid = experiment.grid_of(replace(base, config=config), examples, device)
            (done[seed, number],) = grid.train(experiment.folders_of(base), quiet=quiet, stacks=[(number, [seed])])
        return experiment.finish(base, list(done.values()), device, began, _named(base, configs))


def _planned(planned: Plan, found: Mapping[At, Cell], wish: Wish) -> tuple[Plan, dict[At, Training]]:
    """The experiment in which every run has a cell of its own, and the settings of each."""
    assert isinstance(planned.config, Search)
    size = (f"layers={planned.config.layers}", f"width={planned.config.channels}", f"frames={planned.config.frames}")
    settings = (*size, *(wish.retrain or ()))
    first = next(iter(found.values()))
    base = plan(replace(planned.ask, head="cell", settings=(*settings, f"genotype={first.setting}"), name=None), open_cache(wish.ask.cache))
    usual = heads.head("cell").Config()
    configs = {at: override(usual, (*settings, f"genotype={cell.setting}")) for at, cell in found.items()}
    about = {
        **base.about,
        "searched_by": planned.digest,
        "cells": [{"seed": seed, "fold": planned.folds[seed][number].name, **cell.value} for (seed, number), cell in found.items()],
        "parameters": max(parameters_of(base.head, config, base.inputs, base.material) for config in configs.values()),
        "command": wish.command(),
    }
    digest = hashlib.sha256(runfolder.to_json([base.digest, about["cells"]]).encode()).hexdigest()
    target = runfolder.place(planned.ask.runs, f"{planned.target.name}-derived", digest)
    return replace(base, about=about, digest=digest, runs_digest=digest, target=target), configs


def _named(planned: Plan, configs: Mapping[At, Training]) -> noted.Configs:
    """The settings of folds by their names; where there are several seeds, these are in the names."""
    several = len(planned.folds) > 1
    names = {at: planned.folds[at[0]][at[1]].name + (f" with seed {at[0]}" if several else "") for at in configs}
    return {(names[at],): config for at, config in configs.items()}


def to_json(found: Searched) -> dict[str, Any]:
    """As one JSON object."""
    return {
        "supernet": report.to_json(found.supernet),
        "cells": [{"file": str(path), "cell": one.cell.value, "found": dict(one.found)} for path, one in found.cells.items()],
        "derived": report.to_json(found.derived) if found.derived else None,
    }


def to_text(found: Searched) -> str:
    """Both results as `train` prints them, the cells, and the two scores beside each other."""
    results = {"supernet": found.supernet} | ({"derived + retrained": found.derived} if found.derived else {})
    files = [f"cell  fold {one.found['fold']} seed {one.found['seed']}: {path}" for path, one in found.cells.items()]
    texts = [f"{name}: {report.to_text(one)}\n" for name, one in results.items()]
    return "\n".join([*texts, *files, "", *_scores(results)])


def _scores(results: Mapping[str, Result]) -> Sequence[str]:
    """A line for each."""
    return [f"{name:<20} UA {100 * one.scores.ua.mean:6.2f} %   {one.parameters:,} parameters" for name, one in results.items()]
