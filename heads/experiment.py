"""One head on one corpus, over all folds and seeds of a protocol."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from emocache.devices import pick_device
from emocache.store import Cache
from heads import finished, noted, runfolder, splits, tested, versions
from heads.beside import targets
from heads.data import Examples
from heads.grid import Grid
from heads.jobs import Task, spread
from heads.material import Material, by_speaker, load
from heads.plan import Experiment, Folds, Plan, plan, splits_of
from heads.predictions import COLUMNS
from heads.report import Result, to_json
from heads.scoring import Run, prediction_rows, scores_of


def run(ask: Experiment, cache: Cache, *, jobs: int = 1, quiet: bool = False) -> Result:
    """`plan` and `carry_out`; the same errors, before any training. Unless `quiet`, a word on what lies unfinished in RUNS."""
    pick_device(ask.device)
    planned = plan(ask, cache)
    if not quiet and (line := finished.left_behind(planned.target, planned.digest)):
        tqdm.write(line, file=sys.stderr)
    return carry_out(planned, jobs=jobs, quiet=quiet)


def carry_out(planned: Plan, *, jobs: int = 1, quiet: bool = False) -> Result:
    """Train and test every fold with every seed, in `jobs` processes; write the run folder and give back the result.

    UsageError where another training is at work on the same run folder.
    """
    with runfolder.alone(planned.target, planned.digest):
        return _carry_out(planned, jobs=jobs, quiet=quiet)


def _carry_out(planned: Plan, *, jobs: int, quiet: bool) -> Result:
    """The work of `carry_out`."""
    began = time.perf_counter()
    device = pick_device(planned.ask.device)
    grid = grid_of(planned, examples_of(planned, device, quiet=quiet), device)
    if jobs > 1:
        spread(_tasks(planned, device, min(jobs, len(grid.stacks()))), folders_of(planned), grid.total, quiet=quiet)
    return finish(planned, grid.train(searched(planned), quiet=quiet), device, began)


def folders_of(planned: Plan) -> list[Path]:
    """Where finished runs of an experiment may lie; new ones go to the last."""
    unfinished = finished.part_folder(planned.target, planned.digest)
    return [planned.target / runfolder.CHECKPOINTS, unfinished] if planned.target.exists() else [unfinished]


def searched(planned: Plan) -> list[Path]:
    """Where finished runs are looked for: with those of `folders_of`, wherever the same was trained with other seeds."""
    return [*finished.elsewhere(planned.target, planned.runs_digest), *folders_of(planned)]


def examples_of(planned: Plan, device: torch.device, *, quiet: bool) -> Callable[[], Examples]:
    """What reads the features of an experiment, once, when they are wanted."""

    def read() -> Examples:
        found = load(planned.material, planned.sets, planned.inputs, device, quiet=quiet)
        other = {at: tested.load(one, planned.inputs[at], found.ids, device) for at, one in planned.tested.items()}
        return replace(found, targets=targets(planned.head.NEEDS, planned.material, device), tested=other)

    return once(read)


def grid_of(planned: Plan, examples: Callable[[], Examples], device: torch.device) -> Grid:
    """All folds and seeds of an experiment on features that `examples` reads."""

    def by_speakers() -> Examples:
        return by_speaker(examples(), planned.inputs, planned.material)

    return Grid(
        head=planned.head,
        config=planned.config,
        inputs=planned.inputs,
        load=once(by_speakers) if planned.config.normalise == "speaker" else examples,
        device=device,
        folds=planned.folds,
        classes=len(planned.material.classes),
        own_validation=planned.about["validation"] == "given",
        digest=planned.runs_digest,
        random_labels=planned.ask.random_labels,
        no_weights=planned.ask.no_weights,
    )


def _tasks(planned: Plan, device: torch.device, jobs: int) -> list[Task]:
    """What each of several processes is to do: every stack whose number leaves its own rest, on a GPU of its own if there are several."""
    several = device.type == "cuda" and device.index is None
    gpus = torch.cuda.device_count() if several else 1
    where = [f"cuda:{i % gpus}" if several else str(device) for i in range(jobs)]
    return [
        Task(
            about={"ask": {**asdict(planned.ask), "device": one}, "cache": planned.cache, "digest": planned.digest, "share": [i, jobs]},
            threads=max(1, torch.get_num_threads() // jobs),
            sharers=where.count(one),
        )
        for i, one in enumerate(where)
    ]


def finish(planned: Plan, done: Sequence[Run], device: torch.device, began: float, configs: noted.Configs | None = None) -> Result:
    """Score all runs and write the run folder; `began` is the time by perf_counter at which work on them began.

    `configs` are those of folds by their names, where folds have settings of their own.
    """
    ask, material, folds, about, target = planned.ask, planned.material, planned.folds, planned.about, planned.target
    different = {fold.test: fold for made in folds.values() for fold in made}
    overlap = splits.text_overlap(list(different.values()), material.utterances)
    result = Result(
        head=ask.head,
        corpus=ask.corpus,
        protocol=ask.protocol,
        label=ask.label,
        encoders=ask.encoders,
        classes=material.classes,
        seeds=ask.seeds,
        scores=scores_of(done, material),
        parameters=about["parameters"],
        path=target,
        seconds=round(time.perf_counter() - began, 2),
        deviations=tuple(about["deviations"]),
        notes=tuple(noted.notes(planned, configs or {(): planned.config}, overlap, folders_of(planned)[-1])),
        marks=tuple(noted.marks_of(ask, material)),
        left_out=material.left_out,
        segments=material.segments,
        text_overlap=asdict(overlap),
    )
    made_with, spelled = versions.together([one.made_with for one in done]), about.get("command", ask.command())
    _write(
        target,
        {
            **about,
            "digest": planned.digest,
            "runs_digest": planned.runs_digest,
            "device": made_with.pop("device"),
            "versions": made_with,
            "command": spelled,
        },
        material,
        folds,
        done,
        result,
        folders_of(planned)[-1],
    )
    return result


def _write(
    target: Path, about: Mapping[str, Any], material: Material, folds: Folds, done: Sequence[Run], result: Result, checkpoints: Path
) -> None:
    """The run folder."""
    header = [*COLUMNS, *(f"p_{name}" for name in material.classes)]
    curves = [
        {"seed": one.seed, "fold": one.fold.name, "chosen": one.fitted.chosen, "epochs": [asdict(epoch) for epoch in one.fitted.curve]}
        for one in done
    ]
    embeddings = [one.fitted.embeddings for one in done if one.fitted.embeddings is not None]
    runfolder.write(
        target,
        {
            "splits.json": runfolder.to_json(splits_of(folds)),
            "predictions.csv": runfolder.to_csv(header, prediction_rows(done, material)),
            "curves.json": runfolder.to_json(curves),
            runfolder.RESULT: runfolder.to_json(to_json(result)),
            runfolder.CONFIG: runfolder.to_json(about),
        },
        np.concatenate(embeddings) if len(embeddings) == len(done) and len({one.shape[1] for one in embeddings}) == 1 else None,
        checkpoints,
    )
