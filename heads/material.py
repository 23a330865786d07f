"""What an experiment works on: feature sets from the cache, labels from the manifest, and what was left out on the way."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from emocache import manifest, views
from emocache.errors import CacheError, ProtocolError, UsageError
from emocache.store import Cache, Fallbacks, Features, check_aligned, fallbacks, parse_layers
from emocache.store.layout import SOURCE, kind_of
from emocache.types import LABEL_FIELDS, Corpus, Utterance
from heads.config import Needs
from heads.data import Examples, Input, Mapped, PackedTensor, check_rows, to_tensor
from heads.memory import free_bytes, keep_freed
from heads.statistics import standardised_by_group
from heads.views import complete


@dataclass(frozen=True, kw_only=True, slots=True)
class Material:
    """The utterances that have a label and features in every input, in the manifest's order.

    `left_out` counts the others by reason; `notes` say in words what a reader of the result must know. `segments` has an entry
    for each input that is made of segments: how many, and how many are not what their name says.
    """

    utterances: tuple[Utterance, ...]
    label: str
    classes: tuple[str, ...]
    left_out: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    segments: dict[str, Fallbacks] = field(default_factory=dict)

    def class_of(self, utterance: Utterance) -> int:
        """The number of an utterance's class."""
        return self.classes.index(utterance.label(self.label) or "")


def inputs_of(sets: Sequence[Features], needs: Needs, *, levels: Sequence[str] = (), layers: str = "all") -> list[Input]:
    """What of each feature set a head is given. No `levels`: the encoder's own; one level serves all.

    Raises UsageError or CacheError that lists what there is.
    """
    if not needs.least <= len(sets) <= (needs.most or len(sets)):
        expected = str(needs.least) if needs.most == needs.least else f"{needs.least} {f'to {needs.most}' if needs.most else 'or more'}"
        raise UsageError(f"{len(sets)} encoders given, this head takes {expected}")
    if len(levels) not in {0, 1, len(sets)}:
        raise UsageError(f"{len(levels)} levels for {len(sets)} encoders; give one for each, or one for all")
    asked = [features.native for features in sets] if not levels else [*levels] * (len(sets) if len(levels) == 1 else 1)
    chosen = [features.find_level(level) for features, level in zip(sets, asked, strict=True)]
    if unfit := [level for level in chosen if needs.levels and kind_of(level) not in needs.levels]:
        raise UsageError(f"this head takes the levels {', '.join(needs.levels)}, not {unfit[0]}")
    return [
        Input(
            name=features.name,
            level=level,
            layers=_layers(features, level, layers),
            dim=features.dim(level),
            text=features.card.modality == "text",
            encoder=features.card.encoder,
            all_layers=features.card.layers,
        )
        for features, level in zip(sets, chosen, strict=True)
    ]


def with_longest(inputs: Sequence[Input], sets: Sequence[Features], material: Material) -> list[Input]:
    """The inputs, each with the rows of the longest utterance of all."""
    ids = [utterance.id for utterance in material.utterances]
    offsets = [features.outline(one.level, one.layers[0], ids)[0] for features, one in zip(sets, inputs, strict=True)]
    return [replace(one, longest=int(np.diff(found).max())) for one, found in zip(inputs, offsets, strict=True)]


def _layers(features: Features, level: str, asked: str) -> tuple[int, ...]:
    """The layers asked for: 'all' that are cached, 'last' or 'blocks' of the encoder's. CacheError for one that is not cached."""
    cached = features.layers_of(level)
    wanted = cached if asked == "all" else wanted_layers(features, asked)
    if missing := [layer for layer in wanted if layer not in cached]:
        there = ", ".join(map(str, cached))
        raise CacheError(
            f"{features.corpus}/{features.name}: layer {missing[0]} of {level} is not cached (there are {there}); "
            f"{features.again([(level, layer) for layer in wanted])}"
        )
    return wanted


def wanted_layers(features: Features, asked: str) -> tuple[int, ...]:
    """Layers of the encoder, cached or not: 'blocks' are all but 0, the first block's input, unless it has no other."""
    if asked == "blocks":
        return features.card.layers[1:] or features.card.layers
    return parse_layers(asked, features.card.layers)


def gather(
    cache: Cache,
    corpus: str,
    sets: Sequence[Features],
    inputs: Sequence[Input],
    *,
    label: str,
    data: Path,
    allow_counts: bool = False,
    allow_missing: bool = False,
) -> Material:
    """The utterances to work on.

    Labels come from the prepared manifest in `data`, else from the copy that the cache keeps. ProtocolError when its
    counts are not as published, CacheError when features are missing or were made from something else.
    """
    found, source = _corpus(cache, corpus, data)
    notes = [f"labels from {source}"]
    if found.differs and not allow_counts:
        raise ProtocolError(f"{corpus}: {'; '.join(found.differs)}; prepare the whole corpus, or accept it with --allow-counts")
    notes += [f"not as published: {difference}" for difference in found.differs]
    labelled = [utterance for utterance in found.utterances if utterance.label(label)]
    _check_label(found.utterances, labelled, label)
    held = _with_features(labelled, sets, inputs, allow_missing=allow_missing)
    kept = _without_orphans(held)
    left_out = {"no label": len(found.utterances) - len(labelled), "no features": len(labelled) - len(held)}
    if len(kept) < len(held):
        left_out["views of others that are not there"] = len(held) - len(kept)
    notes += [f"{count} of {len(found.utterances)} utterances left out: {reason}" for reason, count in left_out.items() if count]
    notes += [f"{len(kept)} utterances; {line}" for line in views.told(kept)]
    for features in sets:
        features.check(kept)
        if features.card.digests == "imported":
            notes.append(f"{features.name} was imported: whether it is of the corpus's present audio or text nobody can check")
    segments = _segments(kept, sets, inputs, data, notes)
    notes += [f"{name}: {count}" for name, count in segments.items()]
    classes = tuple(sorted({utterance.label(label) or "" for utterance in kept}))
    return Material(utterances=tuple(kept), label=label, classes=classes, left_out=left_out, notes=tuple(notes), segments=segments)


def _without_orphans(utterances: Sequence[Utterance]) -> list[Utterance]:
    """The utterances but for views whose originals are not there: these would be tested, and speak with anybody's voice."""
    if not (found := complete(utterances)):
        raise ProtocolError(
            f"all {len(utterances)} utterances are views of others that are not there, first {utterances[0].id} of "
            f"{utterances[0].parent}; put the originals into the manifest, or empty its column parent"
        )
    return found


def _segments(
    utterances: Sequence[Utterance], sets: Sequence[Features], inputs: Sequence[Input], data: Path, notes: list[str]
) -> dict[str, Fallbacks]:
    """What there is to know of the inputs that are made of segments; CacheError where the alignment is another one by now.

    Where it is gone, `notes` grow by a word on that.
    """
    found: dict[str, Fallbacks] = {}
    for features, one in zip(sets, inputs, strict=True):
        if SOURCE in one.level:
            if not check_aligned(features, one.level, utterances, data):
                notes.append(f"{one.name}/{one.level}: its alignment is not in {data}, so whether that is another by now nobody can check")
            found[f"{one.name}/{one.level}"] = fallbacks(features, one.level, [utterance.id for utterance in utterances])
    return found


def load(material: Material, sets: Sequence[Features], inputs: Sequence[Input], device: torch.device, *, quiet: bool = False) -> Examples:
    """All rows that the experiment needs, read once, in their stored dtype, on the device."""
    ids = [utterance.id for utterance in material.utterances]
    pairs = list(zip(sets, inputs, strict=True))
    packed = [
        load_input(features, one, ids, device) for features, one in tqdm(pairs, "loading features", unit="set", delay=1, disable=quiet)
    ]
    labels = torch.tensor([material.class_of(utterance) for utterance in material.utterances], device=device)
    return Examples(tuple(ids), tuple(packed), labels)


def load_input(features: Features, one: Input, ids: Sequence[str], device: torch.device) -> PackedTensor | Mapped:
    """Rows on the device, or where they would take more than half of its free memory, what reads them batch by batch.

    The latter changes how this process frees memory.
    """
    offsets, dtype = features.outline(one.level, one.layers[0], ids)
    if int(offsets[-1]) * one.dim * len(one.layers) * dtype.itemsize > free_bytes(device) / 2:
        check_rows(offsets, f"{features.corpus}/{features.name}", ids)
        keep_freed()
        edges = torch.from_numpy(np.asarray(offsets, dtype=np.int64)).to(device)
        return Mapped(features, one.level, one.layers, tuple(ids), edges, device)
    return to_tensor(features.load(one.level, one.layers, ids), f"{features.corpus}/{features.name}", ids, device)


def by_speaker(examples: Examples, inputs: Sequence[Input], material: Material) -> Examples:
    """The examples with every input made from sound standardised speaker by speaker; ProtocolError when one has no speaker.

    Views are standardised apart, by whose voice they have, so that no answer for an original depends on them.
    """
    speakers = [utterance.speaker or "" for utterance in material.utterances]
    if "" in speakers:
        raise ProtocolError(f"normalise=speaker: {speakers.count('')} of {len(speakers)} utterances have no speaker; use normalise=global")
    groups = [f"view/{u.extra.get(views.VOICE) or u.speaker}" if u.parent else f"original/{u.speaker}" for u in material.utterances]
    done: list[PackedTensor | Mapped] = []
    for one, packed in zip(inputs, examples.inputs, strict=True):
        if one.text:
            done.append(packed)
        elif isinstance(packed, Mapped):
            raise UsageError(f"normalise=speaker needs {one.name} in memory, and it does not fit; give fewer --layers, or another level")
        else:
            done.append(standardised_by_group(packed, groups))
    return replace(examples, inputs=tuple(done))


def _corpus(cache: Cache, name: str, data: Path) -> tuple[Corpus, str]:
    """The corpus with its labels, and in words where these are from."""
    if (data / name / manifest.MANIFEST).is_file():
        return manifest.load(data, name), str(data / name / manifest.MANIFEST)
    return cache.corpus(name), f"the cache's copy of the manifest, there being none in {data / name}"


def _check_label(utterances: Sequence[Utterance], labelled: Sequence[Utterance], label: str) -> None:
    """ProtocolError when a label column tells nothing apart."""
    if not labelled:
        columns = [*LABEL_FIELDS, *dict.fromkeys(name for utterance in utterances for name in utterance.extra)]
        raise ProtocolError(f"no utterance has anything in the label column {label!r}; columns are: {', '.join(columns)}")
    if len({utterance.label(label) for utterance in labelled}) < 2:
        raise ProtocolError(f"all {len(labelled)} utterances have the {label} {labelled[0].label(label)!r}; there is nothing to learn")


def _with_features(
    utterances: Sequence[Utterance], sets: Sequence[Features], inputs: Sequence[Input], *, allow_missing: bool
) -> list[Utterance]:
    """The utterances that every feature set holds in its level and layers; CacheError when that is not all, unless allowed."""
    for features, one in zip(sets, inputs, strict=True):
        held = set(features.held(one.level, one.layers))
        missing = [utterance.id for utterance in utterances if utterance.id not in held]
        if missing and (not allow_missing or len(missing) == len(utterances)):
            again = features.again([(one.level, layer) for layer in one.layers])
            raise CacheError(
                f"{features.corpus}/{features.name}: no features for {len(missing)} of {len(utterances)} labelled utterances, "
                f"first {missing[0]}; {again}, or leave them out with --allow-missing"
            )
        utterances = [utterance for utterance in utterances if utterance.id in held]
    return list(utterances)
