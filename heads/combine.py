"""Two finished runs as one: the mean of their logits (multi-level fusion, Zhao et al. 2022, section 2.4). Nothing is trained.

A stored probability's logarithm is the logit less what it has in common with the utterance's other classes, which the softmax takes
out again: softmax((a + b) / 2) = softmax((log p_a + log p_b) / 2).
"""

import hashlib
import shlex
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, zip_longest
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from emocache.errors import UsageError
from emocache.store import Fallbacks
from heads import metrics, predictions, runfolder, stored, versions
from heads.predictions import COLUMNS, Predictions, digits
from heads.report import Result, to_json
from heads.scores import RunScore, score
from heads.stored import StoredRun

T = TypeVar("T")
HEAD = "combined"
"""What a combination is called in results; no head that is trained has this name."""
TRAIN_ALIKE = "train both on the same corpus, protocol and seeds"
ALIKE = {"corpora": "corpus", "label columns": "label", "protocols": "protocol", "classes": "classes", "seeds": "seeds"}
"""What both runs must have in common, in words -> the field of a run."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """How two runs become one: probabilities [rows, classes] from theirs, and what is to be known of it.

    `parameters` are those beside the runs' own, `options` decide its numbers, and are those of the command `verb`.
    """

    head: str
    verb: str
    shares: Callable[[Sequence[StoredRun]], NDArray[np.float64]]
    note: str
    parameters: int = 0
    options: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


def combine(first: Path, second: Path, runs: Path, name: str | None = None, way: Way | None = None) -> Result:
    """Write the run folder of the two runs' mean logits, or of another `way`, and give back its result.

    UsageError where either is no whole run, or the two are not of the same folds, seeds, utterances and labels.
    """
    began = time.perf_counter()
    both = [stored.read(path) for path in (first, second)]
    check(*both)
    run, way = both[0], way or MEAN
    shares = way.shares(both)
    said = replace(run.predictions, predicted=shares.argmax(1).astype(np.int64))
    digest = _digest(both, way)
    target = runfolder.place(runs, name or f"{way.head}-{run.corpus}-{run.protocol}-{digest[:8]}", digest)
    with runfolder.alone(target, digest):
        found = _result(both, way, said, target, began)
        _write(both, way, said, shares, found, digest)
    return found


def _mean(both: Sequence[StoredRun]) -> NDArray[np.float64]:
    """Of the logits of both."""
    return mean_of_logits([shares_of(one) for one in both])


def shares_of(run: StoredRun) -> NDArray[np.float64]:
    """The probabilities of a run's predictions."""
    return predictions.probabilities(run.path / stored.PREDICTIONS, run.classes)


MEAN = Way(head=HEAD, verb="combine", shares=_mean, note="the mean of the logits of {}: nothing was trained for it")
"""Multi-level fusion's."""


def mean_of_logits(each: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Probabilities [rows, classes] of the mean of the logits that these are of."""
    logits = np.mean([np.log(shares) for shares in each], axis=0)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = raised / raised.sum(axis=1, keepdims=True)
    return shares


def check(a: StoredRun, b: StoredRun) -> None:
    """UsageError unless these are two runs that tested the same utterances, with the same labels, in the same folds and seeds."""
    for what, field in ALIKE.items():
        if getattr(a, field) != getattr(b, field):
            raise UsageError(f"{a.path} and {b.path} have other {what}: {getattr(a, field)} and {getattr(b, field)}; {TRAIN_ALIKE}")
    tested = zip_longest(_tested(a.predictions), _tested(b.predictions))
    if differs := next((pair for pair in tested if pair[0] != pair[1]), None):
        raise UsageError(f"{a.path} and {b.path} did not test the same, first {differs[0]} and {differs[1]}; {TRAIN_ALIKE}")
    if stored.splits(a.path) != stored.splits(b.path):
        raise UsageError(f"{a.path} and {b.path} learnt from other utterances, as their {stored.SPLITS} say; {TRAIN_ALIKE}")
    if _told(a) == _told(b):
        raise UsageError(f"{a.path} and {b.path} are one run twice, whose mean is itself; give two that differ")


def _tested(found: Predictions) -> Iterator[str]:
    """Utterance, fold, seed and label of each prediction, in words."""
    for name, fold, seed, truth in zip(found.ids, found.folds, found.seeds.tolist(), found.truth.tolist(), strict=True):
        yield f"{name} (fold {fold}, seed {seed}, label {found.classes[truth]})"


def _runs(found: Predictions) -> Iterator[RunScore]:
    """The scores of each fold with each seed."""
    where = list(zip(found.seeds.tolist(), found.folds, strict=True))
    for (seed, fold), rows in groupby(range(len(where)), key=where.__getitem__):
        which = np.array(list(rows))
        counts = metrics.confusion(found.truth[which], found.predicted[which], len(found.classes))
        values = {name: float(metric(counts)) for name, metric in metrics.METRICS.items()}
        yield RunScore(fold=fold, seed=seed, epoch=0, epochs=0, validation_loss=None, seconds=0.0, **values)


def _result(both: Sequence[StoredRun], way: Way, said: Predictions, target: Path, began: float) -> Result:
    """What must be known of either run, and what the two say together."""
    run, names = both[0], " and ".join(f"{one.name} ({one.head})" for one in both)
    return Result(
        head=way.head,
        corpus=run.corpus,
        protocol=run.protocol,
        label=run.label,
        encoders=_once(both, lambda one: one.encoders),
        classes=run.classes,
        seeds=run.seeds,
        scores=score(said, runs=list(_runs(said))),
        parameters=sum(one.parameters for one in both) + way.parameters,
        path=target,
        seconds=round(time.perf_counter() - began, 2),
        deviations=(*way.deviations, *_once(both, lambda one: one.deviations)),
        notes=(way.note.format(names), *_once(both, lambda one: one.notes)),
        marks=_once(both, lambda one: one.marks),
        left_out=run.result.get("left_out", {}),
        segments=_segments(both),
        text_overlap=run.result.get("text_overlap", {}),
    )


def _once(both: Sequence[StoredRun], of: Callable[[StoredRun], Sequence[T]]) -> tuple[T, ...]:
    """What either run says, each once."""
    said: list[T] = []
    for one in both:
        said += [value for value in of(one) if value not in said]
    return tuple(said)


def _digest(both: Sequence[StoredRun], way: Way) -> str:
    """Digest of the two runs, whichever comes first: another one when either was trained again and says something else."""
    return hashlib.sha256("\n".join([way.head, *way.options, *sorted(map(_told, both))]).encode()).hexdigest()


def _told(run: StoredRun) -> str:
    """Digests of a run's experiment and of what it says."""
    return f"{_digest_of(run)} {hashlib.sha256((run.path / stored.PREDICTIONS).read_bytes()).hexdigest()}"


def _digest_of(run: StoredRun) -> str:
    """The digest of a run's experiment. UsageError where there is none."""
    if not isinstance(found := run.config.get("digest"), str):
        raise UsageError(f"{run.path}: its {runfolder.CONFIG} lacks 'digest'; train this run again")
    return found


def _segments(both: Sequence[StoredRun]) -> dict[str, Fallbacks]:
    """What there is to know of the inputs of either run that are made of segments. UsageError where it is not as a run writes it."""
    found: dict[str, Fallbacks] = {}
    for one in both:
        try:
            found |= {name: Fallbacks(**count) for name, count in one.result.get("segments", {}).items()}
        except (TypeError, AttributeError):
            raise UsageError(f"{one.path}: segments in its {runfolder.RESULT} are not as a run writes them; train this run again") from None
    return found


def _write(both: Sequence[StoredRun], way: Way, said: Predictions, shares: NDArray[np.float64], result: Result, digest: str) -> None:
    """The run folder, as training writes one; there are no curves and no checkpoints."""
    other = both[1].config
    about = {
        **{name: value for name, value in both[0].config.items() if name in other and other[name] == value},
        "head": way.head,
        "config": {},
        "parameters": result.parameters,
        "inputs": _once(both, lambda one: one.config.get("inputs", ())),
        "notes": result.notes,
        "deviations": result.deviations,
        "combines": [
            {"run": str(one.path), "head": one.head, "digest": _digest_of(one), "config": one.config.get("config", {})} for one in both
        ],
        "digest": digest,
        "device": "cpu",
        "versions": versions.of_now(),
        "command": shlex.join(["emocache", way.verb, *(str(one.path) for one in both), *way.options, "--runs", str(result.path.parent)]),
    }
    columns = said.ids, said.speakers, said.folds, said.seeds.tolist(), said.truth.tolist(), said.predicted.tolist(), shares
    rows = (
        (*known, said.classes[truth], said.classes[predicted], *digits(of_row))
        for *known, truth, predicted, of_row in zip(*columns, strict=True)
    )
    files = {
        stored.SPLITS: runfolder.to_json(stored.splits(both[0].path)),
        stored.PREDICTIONS: runfolder.to_csv([*COLUMNS, *(f"p_{name}" for name in said.classes)], rows),
        "curves.json": runfolder.to_json([]),
        runfolder.RESULT: runfolder.to_json(to_json(result)),
        runfolder.CONFIG: runfolder.to_json(about),
    }
    runfolder.write(result.path, files)
