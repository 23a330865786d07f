"""Random and TPE search with Optuna, over a journal file that several processes may share, on a network file system too."""

from collections.abc import Callable, Container
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState

from heads.space import Range, Settings, Space, text_of
from heads.trials import Pruned, Report, Trial

NAME = "sweep"
STARTUP = 5
"""Complete trials before the first one may be pruned."""
WARMUP = 5
"""Epochs of its first fold in which no trial is pruned."""
STATES = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}


def search(
    journal: Path, space: Space, method: str, objective: str, *, prune: bool, judge: Callable[[int, Settings, Report], Trial],
    wanted: int, claimed: Callable[[int], AbstractContextManager[bool]], in_time: Callable[[], bool] = lambda: True,
) -> None:  # fmt: skip
    """Judge the trials with a number below `wanted` that are not done and nobody is at: those first that a stopped process left.

    The settings of trial n depend on n and, with tpe, on those that are done. `claimed` says whether a trial is ours to do.
    """
    study = _study(journal, method, prune=prune)

    def do(asked: optuna.Trial, known: Container[int] = ()) -> None:
        with claimed(asked.number) as ours:
            if ours and asked.number < wanted:
                trial = judge(asked.number, _settings(asked, space), _report(asked, known))
                study.tell(asked, trial.score(objective) if trial.runs else None, state=STATES[trial.state], skip_if_finished=True)

    for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        if left.number < wanted and in_time():
            do(optuna.Trial(study, left._trial_id), left.intermediate_values)
    while len(study.get_trials(deepcopy=False)) < wanted and in_time():
        do(study.ask())


def _study(journal: Path, method: str, *, prune: bool) -> optuna.Study:
    """What the journal holds, less a last line that was not written to its end: by a full disk or a process that was killed."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    lock = JournalFileOpenLock(str(journal))
    lock.acquire()
    try:
        whole = journal.read_bytes().rfind(b"\n") + 1 if journal.exists() else 0
        with journal.open("ab") as file:
            file.truncate(whole)
    finally:
        lock.release()
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=lock))
    pruner = MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARMUP, n_min_trials=3) if prune else NopPruner()
    return optuna.create_study(
        storage=storage, sampler=_ByNumber(method), pruner=pruner, study_name=NAME, direction="maximize", load_if_exists=True
    )  # fmt: skip


def _settings(asked: Any, space: Space) -> Settings:
    """What Optuna proposes."""
    found = {}
    for name, of in space.tried.items():
        if not isinstance(of, Range):
            found[name] = asked.suggest_categorical(name, of)
        elif of.whole:
            found[name] = text_of(asked.suggest_int(name, int(of.low), int(of.high), log=of.log), of)
        else:
            found[name] = text_of(asked.suggest_float(name, of.low, of.high, log=of.log), of)
    return found


def _report(asked: Any, known: Container[int]) -> Report:
    """What tells Optuna how a trial goes, but for the steps that are `known` of one that is done again."""

    def report(step: int, score: float) -> None:
        if step not in known:
            asked.report(score, step)
        if asked.should_prune():
            raise Pruned

    return report


class _ByNumber(BaseSampler):  # type: ignore[misc]
    """A sampler whose random numbers follow from the trial's number: whichever process asks, and after however many stops."""

    def __init__(self, method: str) -> None:
        self._make = {"random": RandomSampler, "tpe": TPESampler}[method]
        self._sampler = self._make(seed=0)

    def before_trial(self, study: Any, trial: Any) -> None:
        self._sampler = self._make(seed=trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(self, study: Any, trial: Any) -> Any:
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(self, study: Any, trial: Any, search_space: Any) -> Any:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(self, study: Any, trial: Any, param_name: str, param_distribution: Any) -> Any:
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)

    def after_trial(self, study: Any, trial: Any, state: Any, values: Any) -> None:
        self._sampler.after_trial(study, trial, state, values)
