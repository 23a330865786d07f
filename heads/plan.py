"""An experiment before it is run: what is asked for, and all that can be known of it without training."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from pathlib import Path
from typing import Any

import torch

import heads
from emocache.errors import UsageError
from emocache.store import Cache, Features
from heads import command, runfolder, splits, tested
from heads.beside import beside
from heads.config import HeadModule, Needs, RemarkingModule, Remarks, Training, override
from heads.data import Input
from heads.material import Material, gather, inputs_of, with_longest
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
    """CORPUS/NAME, or a table: features of other transcripts, which the test part is predicted from (see `tested`)."""
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
    _check_asked(ask, head, config, material)
    inputs = with_longest(inputs, sets, material) if head.NEEDS.longest else inputs
    other = tested.others(cache, ask.test_text, sets, inputs, material)
    folds = {seed: _folds(ask, head.NEEDS, material, seed) for seed in ask.seeds}
    remarks = _remarks(head, config, material, sets, inputs, folds)
    about = _about(ask, head, config, inputs, sets, material, other)
    about["deviations"] += remarks.deviations
    digest = _digest(about, folds, material)
    kind = "-random-labels" if ask.random_labels else ""
    target = runfolder.place(ask.runs, ask.name or f"{ask.head}-{ask.corpus}-{ask.protocol}{kind}-{digest[:8]}", digest)
    return Plan(
        ask=ask, cache=cache.path, head=head, config=config, sets=sets, inputs=inputs, material=material,
        folds=folds, about=about, digest=digest, runs_digest=_digest(about, {}, material), target=target, tested=other, remarks=remarks,
    )  # fmt: skip


def _check_asked(ask: Experiment, head: HeadModule, config: Training, material: Material) -> None:
    """UsageError for an option that this protocol would pass over, or with which the head would learn from the test part."""
    if ask.select == "test" and head.NEEDS.learns_validation:
        raise UsageError(f"--select test: {ask.head} learns from the validation part, and would from the test part; leave it out")
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
        "validation": validation_of(ask, material),
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


def validation_of(ask: Experiment, material: Material) -> str:
    """What the epoch is chosen on."""
    rule = splits.validation_rule(ask.protocol, material.utterances, ask.validation or "random")
    return "test" if ask.select == "test" else rule


def _departures(ask: Experiment, head: HeadModule) -> Iterator[str]:
    """Where the protocol is not the paper's."""
    if ask.select == "test":
        yield splits.SELECTED_ON_TEST
    if ask.protocol not in head.PAPER.splits:
        yield f"protocol {ask.protocol}; the paper has {' or '.join(head.PAPER.splits)}"
    if ask.validation == "speaker" and not any(splits.PROTOCOLS[one].validates for one in head.PAPER.splits):
        yield "validation on one held-out speaker; the paper takes a random tenth"


def _digest(about: Mapping[str, Any], folds: Folds, material: Material) -> str:
    """Digest of configuration and data: the same for a repeated command, another one when a number could change.

    Without `folds`, of what all runs share, whichever seeds there are.
    """
    passed_over = {"notes", "paper", "deviations"} | (set() if folds else {"seeds"})
    decides = {name: value for name, value in about.items() if name not in passed_over}
    labels = {utterance.id: utterance.label(material.label) for utterance in material.utterances}
    text = runfolder.to_json([decides, splits_of(folds), labels, [utterance.speaker for utterance in material.utterances]])
    return hashlib.sha256(text.encode()).hexdigest()


def splits_of(folds: Folds) -> list[dict[str, Any]]:
    """The ids of every part, by seed and fold; `views` where there are any."""
    each = [{"seed": seed, **asdict(fold)} for seed, made in folds.items() for fold in made]
    return [{name: value for name, value in one.items() if name != "views" or value} for one in each]
