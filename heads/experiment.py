"""One head on one corpus, over all folds and seeds of a protocol."""

import hashlib
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import emocache
import heads
from emocache.devices import pick_device
from emocache.errors import UsageError
from emocache.store import Cache, Features
from heads import command, marks, runfolder, splits, trainer
from heads.config import HeadModule, Training, override
from heads.data import Examples, Input
from heads.floor import with_permuted_labels
from heads.material import Material, by_speaker, gather, inputs_of, load
from heads.predictions import COLUMNS
from heads.report import Result, to_json
from heads.scoring import Run, prediction_rows, scores_of
from heads.splits import Fold

SELECTION = {
    False: "lowest validation loss; the test part is predicted once, with that epoch's weights",
    True: "lowest validation loss; trained again for as many epochs on training and validation part, then the test part is predicted once",
}
"""How the epoch is chosen, without `refit` and with it."""
Folds = Mapping[int, Sequence[Fold]]
"""The folds of every seed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Experiment:
    """What is asked for.

    Left out, `levels` are each encoder's own (one level serves all), `validation` is random or what the corpus brings,
    `folds` are five where the protocol counts them, and `device` is a GPU where there is one.
    """

    head: str
    corpus: str
    encoders: tuple[str, ...]
    protocol: str
    seeds: tuple[int, ...] = (0,)
    label: str = "emotion"
    levels: tuple[str, ...] = ()
    layers: str = "all"
    settings: tuple[str, ...] = ()
    validation: str | None = None
    folds: int | None = None
    name: str | None = None
    runs: Path = Path("runs")
    data: Path = Path("data")
    device: str | None = None
    allow_counts: bool = False
    allow_missing: bool = False
    allow_speaker_overlap: bool = False
    random_labels: bool = False
    """Learn permuted labels, as a floor."""

    def command(self) -> str:
        """What one would type to ask for this."""
        usual = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        return command.spelled({one.name: getattr(self, one.name) for one in fields(self)}, usual)


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
        cache, ask.corpus, sets, inputs, label=ask.label, data=ask.data, allow_counts=ask.allow_counts, allow_missing=ask.allow_missing
    )  # fmt: skip
    _check_asked(ask, material)
    folds = {seed: _folds(ask, material, seed) for seed in ask.seeds}
    about = _about(ask, head, config, inputs, sets, material)
    digest = _digest(about, folds, material)
    kind = "-random-labels" if ask.random_labels else ""
    target = runfolder.place(ask.runs, ask.name or f"{ask.head}-{ask.corpus}-{ask.protocol}{kind}-{digest[:8]}", digest)
    examples = load(material, sets, inputs, device, quiet=quiet)
    if config.normalise == "speaker":
        examples = by_speaker(examples, inputs, material)
    done = list(_train(ask, head, config, inputs, examples, folds, len(material.classes), quiet=quiet))
    overlap = splits.text_overlap(folds[ask.seeds[0]], material.utterances)
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
        notes=(*material.notes, *_notes(ask, config, material, overlap)),
        marks=tuple(_marks(ask, material)),
        left_out=material.left_out,
        segments=material.segments,
        text_overlap=asdict(overlap),
    )
    versions = {"emocache": emocache.__version__, "torch": torch.__version__, "numpy": np.__version__, "python": platform.python_version()}
    _write(
        target,
        about | {"digest": digest, "device": str(device), "versions": versions, "command": ask.command()},
        material,
        folds,
        done,
        result,
    )
    return result


def _marks(ask: Experiment, material: Material) -> Iterator[str]:
    """What makes the scores something else than a plain result."""
    if ask.random_labels:
        yield marks.RANDOM_LABELS
    if any(count.many for count in material.segments.values()):
        yield marks.FELL_BACK


def _notes(ask: Experiment, config: Training, material: Material, overlap: splits.TextOverlap) -> Iterator[str]:
    """What the protocol and the settings let through, in words."""
    if config.normalise == "speaker":
        yield "each speaker's speech features are standardised over all of that speaker's utterances, tested ones too (no label is used)"
    if overlap.shared:
        yield f"{overlap.shared} of {overlap.known} tested utterances say a text that was trained on too"
    if unknown := sum(not utterance.speaker for utterance in material.utterances):
        yield f"{unknown} utterances have no speaker: whether these are on both sides of a fold could not be checked"
    if ask.allow_speaker_overlap:
        yield "speakers may be on both sides of a fold (--allow-speaker-overlap)"


def _check_asked(ask: Experiment, material: Material) -> None:
    """UsageError for an option that this protocol would pass over."""
    if ask.folds is not None and ask.protocol != "speaker-folds":
        raise UsageError(f"--folds goes with the protocol speaker-folds alone, not with {ask.protocol}")
    if ask.validation and splits.validation_rule(ask.protocol, material.utterances, ask.validation) != ask.validation:
        raise UsageError(f"--validation {ask.validation}: {ask.corpus} brings a validation split of its own; leave the option out")


def _folds(ask: Experiment, material: Material, seed: int) -> list[Fold]:
    """The folds of one seed."""
    return splits.split(
        ask.protocol, material.utterances, label=ask.label, seed=seed, validation=ask.validation or "random", k=ask.folds or 5,
        allow_speaker_overlap=ask.allow_speaker_overlap,
    )  # fmt: skip


def _about(
    ask: Experiment, head: HeadModule, config: Training, inputs: Sequence[Input], sets: Sequence[Features], material: Material
) -> dict[str, Any]:
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
        "folds": ask.folds or 5 if ask.protocol == "speaker-folds" else None,
        "validation": splits.validation_rule(ask.protocol, material.utterances, ask.validation or "random"),
        "seeds": list(ask.seeds),
        "selection": SELECTION[config.refit],
        "random_labels": ask.random_labels,
        "left_out": material.left_out,
        "notes": list(material.notes),
        "deviations": [*head.deviations(config, inputs), *_departures(ask, head)],
    }


def _departures(ask: Experiment, head: HeadModule) -> Iterator[str]:
    """Where the protocol is not the paper's."""
    if ask.protocol != head.PAPER.splits:
        yield f"protocol {ask.protocol}; the paper has {head.PAPER.splits}"
    if ask.validation == "speaker":
        yield "validation on one held-out speaker; the paper takes a random tenth"


def _digest(about: Mapping[str, Any], folds: Folds, material: Material) -> str:
    """Digest of configuration and data: the same for a repeated command, another one when a number could change."""
    decides = {name: value for name, value in about.items() if name not in {"notes", "paper", "deviations"}}
    labels = {utterance.id: utterance.label(material.label) for utterance in material.utterances}
    text = runfolder.to_json([decides, _splits(folds), labels, [utterance.speaker for utterance in material.utterances]])
    return hashlib.sha256(text.encode()).hexdigest()


def _splits(folds: Folds) -> list[dict[str, Any]]:
    """The ids of every part, by seed and fold."""
    return [{"seed": seed, **asdict(fold)} for seed, made in folds.items() for fold in made]


def _train(
    ask: Experiment, head: HeadModule, config: Training, inputs: Sequence[Input], examples: Examples, folds: Folds, classes: int, *,
    quiet: bool,
) -> Iterator[Run]:  # fmt: skip
    """Every seed and fold, one after the other, with a progress bar on stderr."""
    grid = [(seed, fold) for seed, made in folds.items() for fold in made]
    with tqdm(total=len(grid), desc="training", unit="run", delay=1, disable=quiet) as bar:
        for seed, fold in grid:
            began = time.perf_counter()

            def on_epoch(number: int, epoch: trainer.Epoch, where: str = f"fold {fold.name} seed {seed}") -> None:
                text = f"{where} epoch {number} validation loss {epoch.validation_loss:.3f}"
                bar.set_postfix_str(text, refresh=bar.format_dict["elapsed"] > 1)

            parts = trainer.Parts(examples.indices(fold.train), examples.indices(fold.validation), examples.indices(fold.test))
            where = f"{fold.name}/{seed}"
            learnt = with_permuted_labels(examples, (fold.train, fold.validation), where) if ask.random_labels else examples
            fitted = trainer.fit(head, config, inputs, learnt, parts, classes=classes, seed=seed, on_epoch=on_epoch)
            bar.update()
            yield Run(fold, seed, fitted, time.perf_counter() - began)


def _write(target: Path, about: Mapping[str, Any], material: Material, folds: Folds, done: Sequence[Run], result: Result) -> None:
    """The run folder."""
    header = [*COLUMNS, *(f"p_{name}" for name in material.classes)]
    curves = [
        {"seed": one.seed, "fold": one.fold.name, "chosen": one.fitted.chosen, "epochs": [asdict(epoch) for epoch in one.fitted.curve]}
        for one in done
    ]
    runfolder.write(
        target,
        {
            "splits.json": runfolder.to_json(_splits(folds)),
            "predictions.csv": runfolder.to_csv(header, prediction_rows(done, material)),
            "curves.json": runfolder.to_json(curves),
            "result.json": runfolder.to_json(to_json(result)),
            runfolder.CONFIG: runfolder.to_json(about),
        },
    )
