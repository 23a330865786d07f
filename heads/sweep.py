"""Settings of a head, tried on the validation parts of a protocol's folds: no trial ever sees a test part.

runs/NAME/sweep.json     what is tried and how, every trial, the best one, and the command that trains it
runs/NAME/trials.csv     the trials, best first
runs/NAME/trials/        a file for each; the same command does what is not there yet, in any number of processes
runs/NAME/journal.log    what Optuna knows (random, tpe)
"""

import hashlib
import importlib.util
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from tqdm import tqdm

import heads
from emocache.devices import out_of_memory, pick_device
from emocache.errors import ProtocolError, UsageError
from emocache.store import Cache
from heads import command, experiment, runfolder, trials
from heads.config import override
from heads.data import Examples
from heads.plan import Experiment, Plan, plan
from heads.space import Settings, Space, parse
from heads.trainer import Epoch
from heads.trials import OBJECTIVES, Judged, Pruned, Report, Trial

METHODS = ("grid", "random", "tpe")
SWEEP = "sweep.json"
TRIALS = 20
"""How many trials there are unless it is said, of methods that could go on for ever."""
STEPS = 1_000_000
"""Steps between the first epochs of two folds: more than there are epochs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for: the experiment, whose settings span the space, and how that is searched. `timeout` is in minutes."""

    ask: Experiment
    method: str = "grid"
    objective: str = "ua"
    trials: int | None = None
    timeout: float | None = None
    nested: bool = False

    def command(self) -> str:
        """What one would type to ask for this."""
        mine = {one.name: one.default for one in fields(self) if one.name != "ask"}
        usual = {one.name: one.default for one in fields(Experiment) if one.default is not MISSING}
        asked = {one.name: getattr(self.ask, one.name) for one in fields(Experiment)}
        return command.spelled(asked | {name: getattr(self, name) for name in mine}, usual | mine, "sweep")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sweep:
    """A sweep that can be: the experiment with the settings that stay as they are, and where the trials lie."""

    wish: Wish
    space: Space
    planned: Plan
    examples: Callable[[], Examples]
    device: torch.device
    wanted: int
    digest: str
    target: Path

    @property
    def folder(self) -> Path:
        """Where the trials lie."""
        return self.target / "trials"


def prepare(wish: Wish, cache: Cache, *, quiet: bool = False) -> Sweep:
    """All that can be known before the first trial. UsageError, CacheError or ProtocolError where it cannot be."""
    ask, device = wish.ask, pick_device(wish.ask.device)
    space = parse(ask.settings, heads.head(ask.head).Config())
    wanted = _wanted(wish, space)
    planned = plan(replace(ask, settings=space.fixed, name=None), cache)
    decides = [planned.digest, asdict(space), wish.method, wish.objective, _pruning(wish)]
    digest = hashlib.sha256(runfolder.to_json(decides).encode()).hexdigest()
    name = ask.name or f"sweep-{ask.head}-{ask.corpus}-{ask.protocol}-{digest[:8]}"
    return Sweep(
        wish=wish, space=space, planned=planned, examples=experiment.examples_of(planned, device, quiet=quiet), device=device,
        wanted=wanted, digest=digest, target=runfolder.place(ask.runs, name, digest, SWEEP),
    )  # fmt: skip


def carry_out(sweep: Sweep, *, quiet: bool = False) -> list[Trial]:
    """Do the trials that are not done, and give back all of them, best first. ProtocolError when none is complete."""
    _begin(sweep)
    with tqdm(total=sweep.wanted, desc="trials", unit="trial", delay=1, disable=quiet) as bar:
        bar.update(len(trials.load(sweep.folder)))
        (_grid if sweep.wish.method == "grid" else _search)(sweep, bar)
    done = trials.ranked(trials.load(sweep.folder), sweep.wish.objective)
    if not done or not done[0].runs:
        raise ProtocolError(f"no trial is complete: {done[0].why if done else 'there was no time for one, or other processes are at them'}")
    return done


def _wanted(wish: Wish, space: Space) -> int:
    """How many trials there are to be; UsageError for a method that cannot be."""
    if wish.method not in METHODS:
        raise UsageError(f"--method {wish.method}: expected one of {', '.join(METHODS)}")
    if wish.objective not in OBJECTIVES:
        raise UsageError(f"--objective {wish.objective}: expected one of {', '.join(OBJECTIVES)}")
    if wish.method != "grid":
        if wish.nested and wish.method == "tpe":
            raise UsageError("--nested cannot go with tpe, which proposes settings by the validation of all folds; use grid or random")
        if importlib.util.find_spec("optuna") is None:
            raise UsageError(f'--method {wish.method} needs Optuna: pip install "emocache[sweep]"')
        return wish.trials or TRIALS
    if space.ranges:
        raise UsageError(f"--set {space.ranges[0]}: a grid needs values with commas between; a range goes with --method random or tpe")
    if wish.trials is not None:
        raise UsageError(f"--trials {wish.trials}: a grid tries every combination; leave it out, or use --method random or tpe")
    return sum(1 for _ in space.grid())


def _pruning(wish: Wish) -> bool:
    """Whether trials that are behind are stopped. Not for --nested: what is behind over all folds may be the best of one."""
    return wish.method != "grid" and not wish.nested


def _begin(sweep: Sweep) -> None:
    """Make the folder, unless it is there: whole, since other processes may do the same."""
    if not sweep.target.exists():
        part = Path(tempfile.mkdtemp(prefix=f".{sweep.target.name}.", dir=sweep.target.parent))
        try:
            part.chmod(0o755)
            (part / sweep.folder.name).mkdir()
            (part / SWEEP).write_text(runfolder.to_json(about(sweep)), encoding="utf-8")
            part.rename(sweep.target)
        except OSError:
            shutil.rmtree(part)
            if not sweep.target.exists():  # else another process was faster
                raise


def about(sweep: Sweep) -> dict[str, Any]:
    """Everything that decides the trials."""
    wish = sweep.wish
    asked: Mapping[str, Any] = {"space": asdict(sweep.space), "method": wish.method, "objective": wish.objective, "pruned": _pruning(wish)}
    return {**sweep.planned.about, **asked, "digest": sweep.digest}


def _in_time(sweep: Sweep) -> Callable[[], bool]:
    """Whether another trial may begin."""
    end = time.monotonic() + 60 * sweep.wish.timeout if sweep.wish.timeout is not None else float("inf")
    return lambda: time.monotonic() < end


def _grid(sweep: Sweep, bar: "tqdm[None]") -> None:
    """Every combination that nobody has done or is at."""
    in_time = _in_time(sweep)
    for number, settings in enumerate(sweep.space.grid()):
        if not in_time():
            return
        if not (sweep.folder / f"{number:04d}.json").exists():
            with trials.claimed(sweep.folder, number) as ours:
                if ours:
                    judge(sweep, number, settings, lambda step, score: None)
                    bar.update()


def _search(sweep: Sweep, bar: "tqdm[None]") -> None:
    """What Optuna proposes, and nobody has done or is at."""
    from heads.study import search

    def trial(number: int, settings: Settings, report: Report) -> Trial:
        found = judge(sweep, number, settings, report)
        bar.update()
        return found

    wish = sweep.wish
    search(
        sweep.target / "journal.log", sweep.space, wish.method, wish.objective, prune=_pruning(wish), judge=trial, wanted=sweep.wanted,
        claimed=partial(trials.claimed, sweep.folder), in_time=_in_time(sweep),
    )  # fmt: skip


def judge(sweep: Sweep, number: int, settings: Settings, report: Report) -> Trial:
    """Try some settings on every fold with every seed, and keep what came of it.

    A trial failed whose loss is not finite, whose settings cannot go together, or that does not fit into the memory.
    """
    began = time.perf_counter()
    state, why = "complete", ""
    runs: tuple[Judged, ...] = ()
    try:
        runs = _runs(sweep, settings, report)
    except Pruned:
        state, why = "pruned", "behind the median of the others"
    except (ProtocolError, UsageError) as error:
        state, why = "failed", str(error)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        state, why = "failed", f"out of memory ({(str(error).splitlines() or [type(error).__name__])[0]})"
    seconds = round(time.perf_counter() - began, 2)
    trial = Trial(number=number, settings=settings, state=state, runs=runs, seconds=seconds, why=why)
    trials.save(sweep.folder, trial)
    return trial


def _runs(sweep: Sweep, settings: Settings, report: Report) -> tuple[Judged, ...]:
    """Every fold with every seed on its validation part."""
    config = override(sweep.planned.config, [f"{name}={value}" for name, value in settings.items()])
    grid = experiment.grid_of(replace(sweep.planned, config=config), sweep.examples, sweep.device)
    found = grid.validate(_Standing(sweep.wish.objective, report, config.tested))
    runs = []
    for (seed, number), learnt in found.items():
        chosen, fold = learnt.curve[learnt.chosen - 1], sweep.planned.folds[seed][number].name
        scores = {"ua": chosen.validation_ua, "loss": chosen.validation_loss}
        runs.append(Judged(fold=fold, seed=seed, epoch=learnt.chosen, epochs=len(learnt.curve), **scores))
    return tuple(runs)


class _Standing:
    """Reports the score of a trial so far, once an epoch: the mean over all runs that have begun, each as if it were over."""

    def __init__(self, objective: str, report: Report, tested: str) -> None:
        self._objective = objective
        self._report = report
        self._tested = tested
        self._step = 0
        self._chosen: dict[tuple[int, int], Epoch] = {}

    def __call__(self, stack: int, seed: int, number: int, epoch: Epoch) -> None:
        step = stack * STEPS + number
        if 0 < self._step < step:  # the epoch before is over for every seed
            self._report(self._step, fmean(map(self._score, self._chosen.values())))
        self._step = step
        before = self._chosen.get((stack, seed))
        if before is None or self._tested == "last" or epoch.validation_loss < before.validation_loss:
            self._chosen[stack, seed] = epoch

    def _score(self, epoch: Epoch) -> float:
        """What a run is judged by; higher is better."""
        return epoch.validation_ua if self._objective == "ua" else -epoch.validation_loss
