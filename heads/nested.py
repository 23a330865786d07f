"""Each fold with the settings that its own validation part chose among the trials of a sweep; then its test part is predicted once.

So no utterance has a say in the settings of the fold that tests it. That holds for trials that were not proposed by
what others scored on all folds (tpe), nor stopped by it (pruning).
"""

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

from emocache.errors import ProtocolError
from heads import experiment, noted, report, runfolder
from heads.config import Training, override
from heads.grid import Grid, Stack
from heads.plan import Plan, parameters_of, selection
from heads.report import Result
from heads.scoring import Run
from heads.space import Settings
from heads.sweep import Sweep
from heads.trials import OBJECTIVES, Trial

SELECTION = "settings chosen for each fold alone among {} trials ({} on its own validation part); {}"


@dataclass(frozen=True, slots=True)
class Choice:
    """Settings, and the folds with seeds that are trained together with them, by number and by name."""

    settings: Settings
    stacks: tuple[Stack, ...]
    folds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Nested:
    """What was chosen, and the result."""

    choices: tuple[Choice, ...]
    result: Result


def nested(sweep: Sweep, done: Sequence[Trial], *, quiet: bool = False) -> Nested:
    """Train and test every fold with its own best settings, write the run folder, and say what was chosen.

    ProtocolError while other processes are at trials, UsageError while another is at the run folder.
    """
    complete = [trial for trial in done if trial.runs]
    if (missing := sweep.wanted - len(done)) > 0 and sweep.wish.timeout is None:
        raise ProtocolError(f"--nested: {missing} of {sweep.wanted} trials are at other processes; repeat it when they are done")
    began, grid = time.perf_counter(), _grid(sweep, sweep.planned)
    choices = tuple(_choices(sweep, grid, complete))
    configs = {choice.folds: _config(sweep, choice) for choice in choices}
    planned = _planned(sweep, choices, configs, len(complete))
    with runfolder.alone(planned.target, planned.digest):
        folders = experiment.folders_of(planned)
        found: dict[tuple[int, str], Run] = {}
        for choice in choices:
            of_choice = replace(planned, config=configs[choice.folds])
            runs = _grid(sweep, of_choice).train(folders, quiet=quiet, stacks=choice.stacks)
            found |= {(run.seed, run.fold.name): run for run in runs}
        runs = [found[seed, fold.name] for seed, folds in planned.folds.items() for fold in folds]
        return Nested(choices, experiment.finish(planned, runs, sweep.device, began, configs))


def to_json(found: Nested) -> dict[str, Any]:
    """As one JSON object."""
    choices = [{"folds": list(choice.folds), "settings": dict(choice.settings)} for choice in found.choices]
    return {"choices": choices, "result": report.to_json(found.result)}


def to_text(found: Nested) -> str:
    """The choices, a line each, and the result as `train` prints it."""
    lines = [
        f"fold {', '.join(one.folds)}: " + " ".join(f"{name}={value}" for name, value in one.settings.items()) for one in found.choices
    ]
    return "\n".join(["each fold with what its own validation part chose:", *lines, "", report.to_text(found.result)])


def _grid(sweep: Sweep, planned: Plan) -> Grid:
    """All folds and seeds, on the features that the sweep has read."""
    return experiment.grid_of(planned, sweep.examples, sweep.device)


def _choices(sweep: Sweep, grid: Grid, complete: Sequence[Trial]) -> Iterator[Choice]:
    """The best settings of every fold; seeds that share its test part share its settings."""
    folds, objective = sweep.planned.folds, sweep.wish.objective
    chosen: dict[int, list[Stack]] = {}
    for stack in grid.stacks():
        number, seeds = stack
        test = folds[seeds[0]][number].test
        alike = {(made[number].name, seed) for seed, made in folds.items() if number < len(made) and made[number].test == test}
        scores = [fmean(run.score(objective) for run in trial.runs if (run.fold, run.seed) in alike) for trial in complete]
        chosen.setdefault(scores.index(max(scores)), []).append(stack)
    for best, stacks in chosen.items():
        names = dict.fromkeys(folds[seeds[0]][number].name for number, seeds in stacks)
        yield Choice(complete[best].settings, tuple(stacks), tuple(names))


def _config(sweep: Sweep, choice: Choice) -> Training:
    """The head's config with chosen settings."""
    return override(sweep.planned.config, [f"{name}={value}" for name, value in choice.settings.items()])


def _planned(sweep: Sweep, choices: Sequence[Choice], configs: Mapping[tuple[str, ...], Training], count: int) -> Plan:
    """The experiment in which folds have settings of their own."""
    base = sweep.planned
    said = " or ".join(dict.fromkeys(map(selection, configs.values())))
    about = {
        **base.about,
        "sweep": sweep.digest,
        "settings_of_folds": [{"folds": choice.folds, "stacks": choice.stacks, "settings": choice.settings} for choice in choices],
        "selection": SELECTION.format(count, OBJECTIVES[sweep.wish.objective], said),
        "parameters": max(parameters_of(base.head, config, base.inputs, base.material) for config in configs.values()),
        "deviations": list(_deviations(base, configs)),
        "command": sweep.wish.command(),
    }
    digest = hashlib.sha256(runfolder.to_json([base.digest, about["settings_of_folds"]]).encode()).hexdigest()
    ask = base.ask
    name = f"{sweep.wish.ask.name}-nested" if sweep.wish.ask.name else f"nested-{ask.head}-{ask.corpus}-{ask.protocol}-{digest[:8]}"
    return replace(base, about=about, digest=digest, target=runfolder.place(ask.runs, name, digest))


def _deviations(base: Plan, configs: Mapping[tuple[str, ...], Training]) -> Iterator[str]:
    """Where the protocol or the settings of a fold are not the paper's."""
    of_base = base.head.deviations(base.config, base.inputs)
    yield from (text for text in base.about["deviations"] if text not in of_base)
    yield from noted.by_fold({names: base.head.deviations(config, base.inputs) for names, config in configs.items()})
