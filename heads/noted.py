"""What the reader of a result must know of it: marks, and notes in words."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from heads import finished, learner, marks, splits, tested, views
from heads.config import Training
from heads.material import Material
from heads.plan import Experiment, Folds, Plan, validation_of
from heads.splits import Fold

Configs = Mapping[tuple[str, ...], Training]
"""The settings of folds by their names; those of all folds have no names."""


def notes(planned: Plan, configs: Configs, overlap: splits.TextOverlap, weights: Path) -> list[str]:
    """All notes; `weights` is the folder of the runs' files."""
    ask, material, folds = planned.ask, planned.material, planned.folds
    first = folds[ask.seeds[0]]
    return [
        *material.notes,
        *_notes(ask, material, overlap),
        *by_fold({names: list(_of_config(planned, config)) for names, config in configs.items()}),
        *(config.of_all_folds for names, config in configs.items() if not names and config.of_all_folds),
        *_unused(first),
        *views.notes(first, {one.id: one for one in material.utterances}),
        *tested.notes(planned.tested, planned.inputs),
        *planned.remarks.notes,
        *_absent(material, folds),
        *_weightless(planned, weights),
    ]


def marks_of(ask: Experiment, material: Material) -> Iterator[str]:
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
    yield from _held_out(planned, config)


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


def _held_out(planned: Plan, config: Training) -> Iterator[str]:
    """What becomes of those in the training folds who validate, in words."""
    if validation_of(planned.ask, planned.material) in {"given", "test"}:
        return
    if planned.head.NEEDS.stacks:
        shares = [len(fold.train) / len(fold.learnt) for made in planned.folds.values() for fold in made]
        step = learner.step_size(config, held_out=True)
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


def _weightless(planned: Plan, weights: Path) -> Iterator[str]:
    """Of how many runs the weights are wanted and not there, since an earlier call did without them."""
    files = sorted(weights.glob("*.safetensors"))
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
