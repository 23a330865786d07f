"""One head on one corpus, over all folds and seeds of a protocol."""

import hashlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

import emocache
import heads
from emocache.errors import UsageError
from emocache.store import Cache, Features
from emocache.types import Utterance
from heads import metrics, runfolder, splits, trainer
from heads.config import HeadModule, Training, override
from heads.data import Examples, Input
from heads.material import Material, gather, inputs_of, load
from heads.report import Result, RunScore, to_json
from heads.splits import Fold


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """What is asked for. No `levels`: each encoder's own; one level serves all. No `device`: a GPU where there is one."""

    head: str
    corpus: str
    encoders: tuple[str, ...]
    protocol: str
    seeds: tuple[int, ...] = (0,)
    label: str = "emotion"
    levels: tuple[str, ...] = ()
    layers: str = "all"
    settings: tuple[str, ...] = ()
    validation: str = "random"
    folds: int = 5
    name: str | None = None
    runs: Path = Path("runs")
    data: Path = Path("data")
    device: str | None = None
    allow_counts: bool = False
    allow_missing: bool = False
    allow_speaker_overlap: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """One fold with one seed, done."""

    fold: Fold
    seed: int
    fitted: trainer.Fitted
    seconds: float


def run(ask: Experiment, cache: Cache, *, quiet: bool = False) -> Result:
    """Train and test every fold with every seed, write the run folder and give back the result.

    Raises UsageError, CacheError or ProtocolError before any training where the experiment cannot be, or is not honest.
    """
    began = time.perf_counter()
    head = heads.head(ask.head)
    config = override(head.Config(), ask.settings)
    device = pick_device(ask.device)
    sets = [cache.features(ask.corpus, encoder) for encoder in ask.encoders]
    inputs = inputs_of(sets, head.NEEDS, levels=ask.levels, layers=ask.layers)
    material = gather(
        cache, ask.corpus, sets, label=ask.label, data=ask.data, allow_counts=ask.allow_counts, allow_missing=ask.allow_missing
    )  # fmt: skip
    folds = {seed: _folds(ask, material, seed) for seed in ask.seeds}
    about = _about(ask, head, config, inputs, sets, material)
    digest = _digest(about, folds, material)
    target = ask.runs / (ask.name or f"{ask.head}-{ask.corpus}-{ask.protocol}-{digest[:8]}")
    runfolder.check_target(target, digest)
    examples = load(material, sets, inputs, device, quiet=quiet)
    done = list(_train(head, config, inputs, examples, folds, len(material.classes), quiet=quiet))
    result = _result(ask, material, folds, done, deviations=tuple(head.deviations(config, inputs)), parameters=about["parameters"])
    result = replace(result, path=target, seconds=round(time.perf_counter() - began, 2))
    versions = {"emocache": emocache.__version__, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    _write(target, about | {"digest": digest, "device": str(device), "versions": versions}, material, folds, done, result)
    return result


def pick_device(asked: str | None) -> torch.device:
    """The device asked for, else a GPU where there is one. UsageError when it cannot be used."""
    name = asked or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UsageError(f"--device {name}: cannot be used ({str(error).splitlines()[0]}); use cpu") from None
    return device


def _folds(ask: Experiment, material: Material, seed: int) -> list[Fold]:
    """The folds of one seed."""
    return splits.split(
        ask.protocol, material.utterances, label=ask.label, seed=seed, validation=ask.validation, k=ask.folds,
        allow_speaker_overlap=ask.allow_speaker_overlap,
    )  # fmt: skip


def _about(ask: Experiment, head: HeadModule, config: Training, inputs: Sequence[Input], sets: Sequence[Features], material: Material) -> dict[str, Any]:
    """Everything that decides the numbers, apart from the splits and labels themselves."""
    with torch.device("meta"):
        parameters = sum(weight.numel() for weight in head.build(config, inputs, len(material.classes)).parameters())
    described = [
        {"encoder": one.name, "level": one.level, "layers": list(one.layers), "dim": one.dim, "digest": features.digest}
        for one, features in zip(inputs, sets, strict=True)
    ]
    return {
        "head": ask.head,
        "config": asdict(config),
        "parameters": parameters,
        "paper": asdict(head.PAPER),
        "corpus": ask.corpus,
        "inputs": described,
        "label": ask.label,
        "classes": list(material.classes),
        "protocol": ask.protocol,
        "protocol_about": splits.PROTOCOLS[ask.protocol].about,
        "folds": ask.folds if ask.protocol == "speaker-folds" else None,
        "validation": ask.validation,
        "seeds": list(ask.seeds),
        "selection": "lowest validation loss; the test part is predicted once, with that epoch's weights",
        "left_out": material.left_out,
        "notes": list(material.notes),
        "deviations": head.deviations(config, inputs),
    }


def _digest(about: Mapping[str, Any], folds: Mapping[int, Sequence[Fold]], material: Material) -> str:
    """Digest of configuration and data: the same for a repeated command, another one when a number could change."""
    decides = {name: value for name, value in about.items() if name not in {"notes", "paper", "deviations"}}
    labels = {utterance.id: utterance.label(material.label) for utterance in material.utterances}
    text = runfolder.to_json([decides, _splits(folds), labels, [utterance.speaker for utterance in material.utterances]])
    return hashlib.sha256(text.encode()).hexdigest()


def _splits(folds: Mapping[int, Sequence[Fold]]) -> list[dict[str, Any]]:
    """The ids of every part, by seed and fold."""
    return [{"seed": seed, **asdict(fold)} for seed, made in folds.items() for fold in made]


def _train(
    head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, folds: Mapping[int, Sequence[Fold]], classes: int, *, quiet: bool
) -> Iterator[Run]:
    """Every seed and fold, one after the other, with a progress bar on stderr."""
    grid = [(seed, fold) for seed, made in folds.items() for fold in made]
    with tqdm(total=len(grid), desc="training", unit="run", delay=1, disable=quiet) as bar:
        for seed, fold in grid:
            began = time.perf_counter()

            def on_epoch(number: int, epoch: trainer.Epoch, where: str = f"fold {fold.name} seed {seed}") -> None:
                bar.set_postfix_str(f"{where} epoch {number} validation loss {epoch.validation_loss:.3f}")

            parts = trainer.Parts(examples.indices(fold.train), examples.indices(fold.validation), examples.indices(fold.test))
            fitted = trainer.fit(head, config, inputs, examples, parts, classes=classes, seed=seed, on_epoch=on_epoch)
            bar.update()
            yield Run(fold, seed, fitted, time.perf_counter() - began)


@dataclass(frozen=True, slots=True)
class _Tested:
    """All predictions of an experiment, one entry for each tested utterance of each run."""

    utterances: tuple[Utterance, ...]
    seed: NDArray[np.int64]  # position among the seeds
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]


def _tested(ask: Experiment, material: Material, done: Sequence[Run]) -> _Tested:
    """The predictions of all runs, end to end."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    utterances = tuple(by_id[name] for one in done for name in one.fold.test)
    seed = np.concatenate([np.full(len(one.fold.test), ask.seeds.index(one.seed)) for one in done])
    truth = np.array([material.class_of(utterance) for utterance in utterances])
    return _Tested(utterances, seed, truth, np.concatenate([one.fitted.probabilities.argmax(1) for one in done]))


def _groups(tested: Sequence[Utterance]) -> tuple[list[str], str]:
    """What the bootstrap draws for each tested utterance: its speaker, or where these are not known, itself."""
    speakers = {utterance.speaker for utterance in tested}
    if None not in speakers and len(speakers) > 1:
        return [utterance.speaker or "" for utterance in tested], f"{len(speakers)} speakers"
    why = "there is one speaker alone" if None not in speakers else "the speakers are not known"
    return [utterance.id for utterance in tested], f"{len({u.id for u in tested})} utterances, since {why}: too narrow where speakers differ"


def _result(ask: Experiment, material: Material, folds: Mapping[int, Sequence[Fold]], done: Sequence[Run], *, deviations: tuple[str, ...], parameters: int) -> Result:
    """Scores, intervals and notes of all runs."""
    tested = _tested(ask, material, done)
    names, resampled = _groups(tested.utterances)
    _, group = np.unique(names, return_inverse=True)
    counts = metrics.grouped(group, tested.seed, tested.truth, tested.predicted, shape=(group.max() + 1, len(ask.seeds), len(material.classes)))
    overlap = splits.text_overlap(folds[ask.seeds[0]], material.utterances)
    notes = list(material.notes)
    if overlap.shared:
        notes.append(f"{overlap.shared} of {overlap.known} tested utterances say a text that was trained on too")
    if None in {utterance.speaker for utterance in material.utterances}:
        notes.append("some speakers are not known: whether they are on both sides of a fold could not be checked")
    if ask.allow_speaker_overlap:
        notes.append("speakers may be on both sides of a fold (--allow-speaker-overlap)")
    return Result(
        head=ask.head,
        corpus=ask.corpus,
        protocol=ask.protocol,
        label=ask.label,
        encoders=ask.encoders,
        classes=material.classes,
        seeds=ask.seeds,
        tested=len(set(tested.utterances)),
        **metrics.intervals(counts),
        confusion=tuple(tuple(row) for row in counts.sum((0, 1)).tolist()),
        resampled=resampled,
        runs=tuple(_run_score(one, material) for one in done),
        parameters=parameters,
        deviations=deviations,
        notes=tuple(notes),
        left_out=material.left_out,
        text_overlap=asdict(overlap),
    )


def _run_score(one: Run, material: Material) -> RunScore:
    """The scores of one fold with one seed."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    truth = np.array([material.class_of(by_id[name]) for name in one.fold.test])
    counts = metrics.confusion(truth, one.fitted.probabilities.argmax(1), len(material.classes))
    scores = {name: float(metric(counts)) for name, metric in metrics.METRICS.items()}
    chosen = one.fitted.chosen
    return RunScore(
        fold=one.fold.name, seed=one.seed, epoch=chosen, epochs=len(one.fitted.curve), seconds=round(one.seconds, 3),
        validation_loss=one.fitted.curve[chosen - 1].validation_loss, **scores,
    )  # fmt: skip


def _write(target: Path, about: Mapping[str, Any], material: Material, folds: Mapping[int, Sequence[Fold]], done: Sequence[Run], result: Result) -> None:
    """The run folder."""
    by_id = {utterance.id: utterance for utterance in material.utterances}
    rows = (
        (name, by_id[name].speaker or "", one.fold.name, one.seed, by_id[name].label(material.label), material.classes[scores.argmax()], *(f"{p:.6f}" for p in scores))
        for one in done
        for name, scores in zip(one.fold.test, one.fitted.probabilities, strict=True)
    )
    header = ["id", "speaker", "fold", "seed", "label", "predicted", *(f"p_{name}" for name in material.classes)]
    curves = [{"seed": one.seed, "fold": one.fold.name, "chosen": one.fitted.chosen, "epochs": [asdict(e) for e in one.fitted.curve]} for one in done]
    runfolder.write(
        target,
        {
            "splits.json": runfolder.to_json(_splits(folds)),
            "predictions.csv": runfolder.to_csv(header, rows),
            "curves.json": runfolder.to_json(curves),
            "result.json": runfolder.to_json(to_json(result)),
            runfolder.CONFIG: runfolder.to_json(about),
        },
    )
