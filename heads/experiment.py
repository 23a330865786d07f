"""One head on one corpus, over all folds and seeds of a protocol."""

import hashlib
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields, replace
from functools import cache as once
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

import heads
from emocache.devices import pick_device
from emocache.errors import UsageError
from emocache.store import Cache, Features
from heads import command, finished, learner, marks, runfolder, splits, tested, versions, views
from heads.beside import beside, targets
from heads.config import HeadModule, Needs, RemarkingModule, Remarks, Training, override
from heads.data import Examples, Input
from heads.grid import Grid
from heads.jobs import Task, spread
from heads.material import Material, by_speaker, gather, inputs_of, load
from heads.predictions import COLUMNS
from heads.report import Result, to_json
from heads.scoring import Run, prediction_rows, scores_of
from heads.splits import Fold

CHOICE = {"best": "lowest validation loss", "last": "the last epoch, whatever the validation loss"}
"""How the epoch is chosen whose weights are tested, by `tested`."""
PREDICTED = {
    False: "the test part is predicted once, with that epoch's weights",
    True: "trained again for as many epochs on training and validation part, then the test part is predicted once",
}
"""What becomes of it, without `refit` and with it."""
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
    test_split: str | None = None
    select: str = "validation"
    name: str | None = None
    runs: Path = Path("runs")
    data: Path = Path("data")
    cache: Path | None = None
    """Where the features are if not in the usual place, for `command`."""
    device: str | None = None
    allow_counts: bool = False
    allow_missing: bool = False
    allow_speaker_overlap: bool = False
    random_labels: bool = False
    """Learn permuted labels, as a floor."""
    test_text: str | None = None
    """CORPUS/NAME: features of other transcripts, which the test part is predicted from (see `tested`)."""
    no_weights: bool = False
    """Keep no weights of the runs; no number depends on it."""

    def command(self) -> str:
        """What one would type to ask for this."""
        usual = {one.name: one.default for one in fields(self) if one.default is not MISSING}
        return command.spelled({one.name: getattr(self, one.name) for one in fields(self)}, usual)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """An experiment that can be: what it works on, everything that decides its numbers, their digest, and its run folder.

    `runs_digest` is the same with other seeds, whose runs are not trained again for it.
    """

    ask: Experiment
    cache: Path
    head: HeadModule
    config: Training
    sets: Sequence[Features]
    inputs: Sequence[Input]
    material: Material
    folds: Folds
    about: Mapping[str, Any]
    digest: str
    runs_digest: str
    target: Path
    tested: Mapping[int, Features]
    remarks: Remarks

    @property
    def finished(self) -> bool:
        """Whether the run folder holds the result of this very experiment."""
        return (self.target / runfolder.RESULT).is_file()


def plan(ask: Experiment, cache: Cache) -> Plan:
    """All that can be known before training.

    Raises UsageError, CacheError or ProtocolError where the experiment cannot be, or is not honest.
    """
    head = heads.head(ask.head)
    config = override(head.Config(), ask.settings)
    sets = [cache.features(ask.corpus, encoder) for encoder in ask.encoders]
    inputs = inputs_of(sets, head.NEEDS, levels=ask.levels, layers=ask.layers)
    material = gather(
        cache, ask.corpus, sets, inputs, label=ask.label, data=ask.data, allow_counts=ask.allow_counts, allow_missing=ask.allow_missing
    )  # fmt: skip
    _check_asked(ask, config, material)
    other = tested.others(cache, ask.test_text, sets, inputs, material)
    folds = {seed: _folds(ask, head.NEEDS, material, seed) for seed in ask.seeds}
    remarks = _remarks(head, config, material, sets, inputs, folds)
    about = _about(ask, head, config, inputs, sets, material, other)
    about["deviations"] += remarks.deviations
    digest = _digest(about, folds, material)
    kind = "-random-labels" if ask.random_labels else ""
    target = runfolder.place(ask.runs, ask.name or f"{ask.head}-{ask.corpus}-{ask.protocol}{kind}-{digest[:8]}", digest)
    return Plan(
        ask=ask, cache=cache.root, head=head, config=config, sets=sets, inputs=inputs, material=material,
        folds=folds, about=about, digest=digest, runs_digest=_digest(about, {}, material), target=target, tested=other, remarks=remarks,
    )  # fmt: skip


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


def finish(
    planned: Plan, done: Sequence[Run], device: torch.device, began: float, configs: Mapping[tuple[str, ...], Training] | None = None
) -> Result:
    """Score all runs and write the run folder; `began` is the time by perf_counter at which work on them began.

    `configs` are those of folds by their names, where folds have settings of their own.
    """
    ask, material, folds, about, target = planned.ask, planned.material, planned.folds, planned.about, planned.target
    of_configs = {names: list(_of_config(planned, config)) for names, config in (configs or {(): planned.config}).items()}
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
        notes=(
            *material.notes,
            *_notes(ask, material, overlap),
            *by_fold(of_configs),
            *_unused(folds[ask.seeds[0]]),
            *views.notes(folds[ask.seeds[0]], {one.id: one for one in material.utterances}),
            *tested.notes(planned.tested, planned.inputs),
            *planned.remarks.notes,
            *_absent(material, folds),
            *_weightless(planned),
        ),
        marks=tuple(_marks(ask, material)),
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


def _marks(ask: Experiment, material: Material) -> Iterator[str]:
    """What makes the scores something else than a plain result."""
    if ask.random_labels:
        yield marks.RANDOM_LABELS
    if ask.select == "test":
        yield marks.TEST_SELECTED
    if any(count.many for count in material.segments.values()):
        yield marks.FELL_BACK


def by_fold(said: Mapping[tuple[str, ...], Sequence[str]]) -> Iterator[str]:
    """What is said of the settings of folds, by their names: once what holds for all, then the rest with the names."""
    everywhere = [text for text in next(iter(said.values())) if all(text in texts for texts in said.values())]
    yield from everywhere
    for names, texts in said.items():
        yield from (f"fold {', '.join(names)}: {text}" for text in texts if text not in everywhere)


def _of_config(planned: Plan, config: Training) -> Iterator[str]:
    """What settings let through, in words."""
    if config.normalise == "speaker":
        yield "each speaker's speech features are standardised over all of that speaker's utterances, tested ones too (no label is used)"
    yield from _held_out(planned.ask, planned.head.NEEDS, config, planned.material, planned.folds)


def _notes(ask: Experiment, material: Material, overlap: splits.TextOverlap) -> Iterator[str]:
    """What the protocol lets through, in words."""
    if overlap.shared:
        yield f"{overlap.shared} of {overlap.known} tested utterances say a text that was trained on too"
    if unknown := sum(not utterance.speaker for utterance in material.utterances):
        yield f"{unknown} utterances have no speaker: whether these are on both sides of a fold could not be checked"
    if splits.PROTOCOLS[ask.protocol].speakers_cross:
        yield f"speakers are on both sides of a fold (protocol {ask.protocol})"
    if ask.allow_speaker_overlap:
        yield "speakers may be on both sides of a fold (--allow-speaker-overlap)"


def _held_out(ask: Experiment, needs: Needs, config: Training, material: Material, folds: Folds) -> Iterator[str]:
    """What becomes of those in the training folds who validate, in words."""
    if _validation(ask, material) in {"given", "test"}:
        return
    if needs.stacks:
        step, shares = learner.step_size(config, held_out=True), [len(f.train) / len(f.learnt) for made in folds.values() for f in made]
        learnt = step * sum(shares) / len(shares)
        yield f"a step takes {step} utterances of the training folds, in one order for all seeds, and learns from {learnt:.1f} on average"
    if config.normalise in {"global", "speech"}:
        yield "features are standardised with the statistics of the training folds, whoever validates among them included"


def _unused(folds: Sequence[Fold]) -> Iterator[str]:
    """What no part of a fold holds."""
    for fold in folds:
        if fold.unused:
            count, first = len(fold.unused), fold.unused[0]
            yield f"fold {fold.name}: {count} utterances are in no part, first {first}; splits.json lists them as unused"


def _weightless(planned: Plan) -> Iterator[str]:
    """Of how many runs the weights are wanted and not there, since an earlier call did without them."""
    files = sorted(folders_of(planned)[-1].glob("*.safetensors"))
    if not planned.ask.no_weights and (bare := sum(not finished.has_weights(file) for file in files)):
        yield (
            f"the weights of {bare} of {len(files)} runs are not there: an earlier call had --no-weights; "
            "give another --runs to train them again"
        )


def _absent(material: Material, folds: Folds) -> Iterator[str]:
    """Which classes some parts have nothing of."""
    class_of = {utterance.id: utterance.label(material.label) for utterance in material.utterances}
    for part in ("test", "validation"):
        there = [(fold.name, {class_of[name] for name in getattr(fold, part)}) for made in folds.values() for fold in made]
        for label in material.classes:
            if lacking := [name for name, found in there if label not in found]:
                names = ", ".join(dict.fromkeys(lacking))
                yield f"no utterance of class {label} in the {part} part of {len(lacking)} of {len(there)} runs (fold {names})"


def _check_asked(ask: Experiment, config: Training, material: Material) -> None:
    """UsageError for an option that this protocol would pass over."""
    if ask.select == "test" and (ask.validation or config.refit):
        other = f"--validation {ask.validation}" if ask.validation else "refit=true"
        raise UsageError(f"--select test makes the test part the validation part, so {other} cannot go with it; leave one of them out")
    if ask.folds is not None and ask.protocol != "speaker-folds":
        raise UsageError(f"--folds goes with the protocol speaker-folds alone, not with {ask.protocol}")
    if ask.validation and splits.validation_rule(ask.protocol, material.utterances, ask.validation) != ask.validation:
        who = ask.protocol if splits.PROTOCOLS[ask.protocol].validates else ask.corpus
        raise UsageError(f"--validation {ask.validation}: {who} brings a validation split of its own; leave the option out")


def _remarks(
    head: HeadModule, config: Training, material: Material, sets: Sequence[Features], inputs: Sequence[Input], folds: Folds
) -> Remarks:
    """What the head says of what it is given besides features."""
    if not isinstance(head, RemarkingModule):
        return Remarks()
    return head.remarks(config, beside(head.NEEDS, material, sets, inputs, [fold for made in folds.values() for fold in made]))


def _folds(ask: Experiment, needs: Needs, material: Material, seed: int) -> list[Fold]:
    """The folds of one seed."""
    return splits.split(
        ask.protocol, material.utterances, label=ask.label, seed=seed, validation=ask.validation or "random", k=ask.folds or 5,
        test_split=ask.test_split, select=ask.select, allow_speaker_overlap=ask.allow_speaker_overlap, partners=needs.views,
    )  # fmt: skip


def _about(
    ask: Experiment, head: HeadModule, config: Training, inputs: Sequence[Input], sets: Sequence[Features], material: Material,
    other: Mapping[int, Features],
) -> dict[str, Any]:  # fmt: skip
    """Everything that decides the numbers, apart from the splits and labels themselves."""
    described = [
        {"encoder": one.name, "level": one.level, "layers": list(one.layers), "dim": one.dim, "digest": features.digest}
        for one, features in zip(inputs, sets, strict=True)
    ]
    return {
        "head": ask.head,
        "config": asdict(config),
        "parameters": parameters_of(head, config, inputs, material),
        "paper": asdict(head.PAPER),
        "corpus": ask.corpus,
        "inputs": described,
        "label": ask.label,
        "classes": list(material.classes),
        "protocol": ask.protocol,
        "protocol_about": splits.PROTOCOLS[ask.protocol].about,
        "folds": ask.folds or 5 if ask.protocol == "speaker-folds" else None,
        "validation": _validation(ask, material),
        "seeds": list(ask.seeds),
        "test_split": ask.test_split,
        "selection": splits.SELECTED_ON_TEST if ask.select == "test" else selection(config),
        "selected_on_test": ask.select == "test",
        "random_labels": ask.random_labels,
        "left_out": material.left_out,
        "notes": list(material.notes),
        "deviations": [*head.deviations(config, inputs), *_departures(ask, head)],
        **dict(_further(head, material, other)),
    }


def _further(head: HeadModule, material: Material, other: Mapping[int, Features]) -> Iterator[tuple[str, Any]]:
    """What decides the numbers of some experiments alone."""
    if head.NEEDS.targets:
        said = runfolder.to_json([utterance.transcript for utterance in material.utterances])
        yield "transcripts", hashlib.sha256(said.encode()).hexdigest()
    if other:
        yield "tested", [{"input": at, "features": f"{one.corpus}/{one.name}", "digest": one.digest} for at, one in other.items()]


def selection(config: Training) -> str:
    """How the epoch is chosen, and what becomes of it, in words."""
    return f"{CHOICE[config.tested]}; {PREDICTED[config.refit]}"


def parameters_of(head: HeadModule, config: Training, inputs: Sequence[Input], material: Material) -> int:
    """How many numbers the head learns."""
    with torch.device("meta"):
        return sum(weight.numel() for weight in head.build(config, inputs, len(material.classes)).parameters())


def _validation(ask: Experiment, material: Material) -> str:
    """What the epoch is chosen on."""
    rule = splits.validation_rule(ask.protocol, material.utterances, ask.validation or "random")
    return "test" if ask.select == "test" else rule


def _departures(ask: Experiment, head: HeadModule) -> Iterator[str]:
    """Where the protocol is not the paper's."""
    if ask.select == "test":
        yield splits.SELECTED_ON_TEST
    if ask.protocol not in head.PAPER.splits:
        yield f"protocol {ask.protocol}; the paper has {' or '.join(head.PAPER.splits)}"
    if ask.validation == "speaker":
        yield "validation on one held-out speaker; the paper takes a random tenth"


def _digest(about: Mapping[str, Any], folds: Folds, material: Material) -> str:
    """Digest of configuration and data: the same for a repeated command, another one when a number could change.

    Without `folds`, of what all runs share, whichever seeds there are.
    """
    passed_over = {"notes", "paper", "deviations"} | (set() if folds else {"seeds"})
    decides = {name: value for name, value in about.items() if name not in passed_over}
    labels = {utterance.id: utterance.label(material.label) for utterance in material.utterances}
    text = runfolder.to_json([decides, _splits(folds), labels, [utterance.speaker for utterance in material.utterances]])
    return hashlib.sha256(text.encode()).hexdigest()


def _splits(folds: Folds) -> list[dict[str, Any]]:
    """The ids of every part, by seed and fold; `views` where there are any."""
    each = [{"seed": seed, **asdict(fold)} for seed, made in folds.items() for fold in made]
    return [{name: value for name, value in one.items() if name != "views" or value} for one in each]


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
            "splits.json": runfolder.to_json(_splits(folds)),
            "predictions.csv": runfolder.to_csv(header, prediction_rows(done, material)),
            "curves.json": runfolder.to_json(curves),
            runfolder.RESULT: runfolder.to_json(to_json(result)),
            runfolder.CONFIG: runfolder.to_json(about),
        },
        np.concatenate(embeddings) if len(embeddings) == len(done) and len({one.shape[1] for one in embeddings}) == 1 else None,
        checkpoints,
    )
