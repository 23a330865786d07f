"""Protocols as data: who trains, who validates and who is tested, by utterance id and never by count or order.

loso, lopo      every session (person) is the test fold once
speaker-folds   whole persons in k folds of about equal size
given           the manifest's `fold` column, each value the test fold once; without it the `split` column
validation      a part of the training utterances, drawn by seed: never of the test fold
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from emocache.errors import ProtocolError, UsageError
from emocache.types import Utterance

VALIDATION_SHARE = 0.1
SPLITS = {
    "train": "train", "training": "train",
    "dev": "validation", "development": "validation", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip
"""What may stand in the manifest's `split` column, in any case -> the part it means."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """One division of a corpus by utterance id; an empty `validation` has yet to be drawn from `train`."""

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """A rule that makes folds of utterances; `folds` is given the utterances and, for k-fold rules, k."""

    about: str
    folds: Callable[[Sequence[Utterance], int], list[Fold]]


def _by_session(utterances: Sequence[Utterance], k: int) -> list[Fold]:
    """`loso`: each session is the test fold once."""
    return _leave_one_out("session", utterances)


def _by_speaker(utterances: Sequence[Utterance], k: int) -> list[Fold]:
    """`lopo`: each person is the test fold once."""
    return _leave_one_out("speaker", utterances)


def _speaker_folds(utterances: Sequence[Utterance], k: int) -> list[Fold]:
    """Persons, most utterances first (then by name), each into the fold that holds the fewest utterances so far."""
    if k < 2:
        raise UsageError(f"--folds {k}: expected 2 or more")
    counts = Counter({speaker: len(members) for speaker, members in _groups("speaker", utterances).items()})
    if len(counts) < k:
        raise ProtocolError(f"{k} speaker-disjoint folds need {k} speakers, there are {len(counts)}; give a smaller --folds")
    sizes = [0] * k
    fold_of: dict[str, str] = {}
    for speaker in sorted(counts, key=lambda name: (-counts[name], _natural(name))):
        smallest = sizes.index(min(sizes))
        fold_of[speaker] = str(smallest + 1)
        sizes[smallest] += counts[speaker]
    return _each_once({u.id: fold_of[u.speaker or ""] for u in utterances})


def _given(utterances: Sequence[Utterance], k: int) -> list[Fold]:
    """The corpus's own folds, else its own split."""
    if any(u.fold for u in utterances):
        return _leave_one_out("fold", utterances)
    if not any(u.split for u in utterances):
        raise ProtocolError("the manifest has neither a fold nor a split column to go by; use another protocol")
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": []}
    for name, ids in _groups("split", utterances).items():
        if name.lower() not in SPLITS:
            raise ProtocolError(f"column split holds {name!r} for {len(ids)} utterances; expected one of {', '.join(SPLITS)}")
        parts[SPLITS[name.lower()]].extend(ids)
    return [Fold(name="test", **{part: tuple(sorted(ids)) for part, ids in parts.items()})]


PROTOCOLS: Mapping[str, Protocol] = {
    "loso": Protocol(about="leave one session out", folds=_by_session),
    "lopo": Protocol(about="leave one person out", folds=_by_speaker),
    "speaker-folds": Protocol(about="speaker-disjoint k-fold", folds=_speaker_folds),
    "given": Protocol(about="the folds or the split of the manifest", folds=_given),
}


def split(
    protocol: str,
    utterances: Sequence[Utterance],
    *,
    label: str = "emotion",
    seed: int = 0,
    validation: str = "random",
    k: int = 5,
    allow_speaker_overlap: bool = False,
) -> list[Fold]:
    """The folds of a protocol, with the validation part of this seed, checked.

    `utterances` all carry a `label`. `validation` is 'random' (a tenth of each class of the training utterances) or
    'speaker' (one person of the training utterances); a corpus that brings its own validation split keeps it.
    Raises ProtocolError for whatever would not be an honest experiment.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}; there are: {', '.join(PROTOCOLS)}")
    if validation not in VALIDATIONS:
        raise UsageError(f"no validation rule {validation!r}; there are: {', '.join(VALIDATIONS)}")
    if allow_speaker_overlap and protocol != "given":
        raise UsageError(f"--allow-speaker-overlap goes with the protocol given alone, not with {protocol}")
    by_id = {u.id: u for u in utterances}
    folds = []
    for fold in PROTOCOLS[protocol].folds(utterances, k):
        _check_parts(fold)
        if not fold.validation:
            chosen = VALIDATIONS[validation]([by_id[name] for name in fold.train], label, random.Random(f"{fold.name}/{seed}"))
            fold = replace(fold, train=tuple(name for name in fold.train if name not in chosen), validation=tuple(sorted(chosen)))
        check(fold, by_id, label=label, allow_speaker_overlap=allow_speaker_overlap)
        folds.append(fold)
    return folds


def validation_rule(protocol: str, utterances: Sequence[Utterance], asked: str) -> str:
    """The rule by which validation parts come about: the one asked for, or 'given' where the corpus brings its own."""
    own = protocol == "given" and not any(u.fold for u in utterances)
    return "given" if own and any(SPLITS.get((u.split or "").lower()) == "validation" for u in utterances) else asked


def _groups(column: str, utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """The ids by value of a column, in natural order of the values; ProtocolError where it is empty."""
    groups: dict[str, list[str]] = defaultdict(list)
    for utterance in utterances:
        groups[utterance.label(column) or ""].append(utterance.id)
    if "" in groups:
        empty = groups[""]
        share = f"{len(empty)} of {len(utterances)} utterances"
        raise ProtocolError(f"column {column} is empty for {share}, first {empty[0]}; use another protocol")
    return {name: groups[name] for name in sorted(groups, key=_natural)}


def _leave_one_out(column: str, utterances: Sequence[Utterance]) -> list[Fold]:
    """One fold for each value of a column, tested on it and trained on the rest."""
    groups = _groups(column, utterances)
    if len(groups) < 2:
        only = next(iter(groups), "none")
        raise ProtocolError(f"column {column} has one value alone ({only}), so nothing is left to train on; use another protocol")
    return _each_once({name: value for value, names in groups.items() for name in names})


def _each_once(fold_of: Mapping[str, str]) -> list[Fold]:
    """Folds from utterance id -> fold name."""
    ids = sorted(fold_of)
    return [
        Fold(name=name, train=tuple(i for i in ids if fold_of[i] != name), test=tuple(i for i in ids if fold_of[i] == name))
        for name in sorted(set(fold_of.values()), key=_natural)
    ]


def _natural(text: str) -> list[str | int]:
    """A sorting key by which 'Actor_2' comes before 'Actor_10'."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", text)]


def _random_tenth(utterances: Sequence[Utterance], label: str, rng: random.Random) -> set[str]:
    """A tenth of each class, rounded, and at least one of a class that has two."""
    classes: dict[str, list[str]] = defaultdict(list)
    for utterance in utterances:
        classes[utterance.label(label) or ""].append(utterance.id)
    chosen: set[str] = set()
    for name in sorted(classes):
        ids = sorted(classes[name])
        chosen.update(rng.sample(ids, max(round(VALIDATION_SHARE * len(ids)), min(1, len(ids) - 1))))
    return chosen


def _one_speaker(utterances: Sequence[Utterance], label: str, rng: random.Random) -> set[str]:
    """All utterances of one person."""
    groups = _groups("speaker", utterances)
    return set(groups[rng.choice(sorted(groups))])


VALIDATIONS: Mapping[str, Callable[[Sequence[Utterance], str, random.Random], set[str]]] = {
    "random": _random_tenth,
    "speaker": _one_speaker,
}


def _check_parts(fold: Fold) -> None:
    """Nothing to train on or to test on, or an utterance in two parts, is no fold."""
    for part in ("train", "test"):
        if not getattr(fold, part):
            raise ProtocolError(f"fold {fold.name}: no utterance in its {part} part")
    for one, other in (("train", "test"), ("train", "validation"), ("validation", "test")):
        if both := sorted({*getattr(fold, one)} & {*getattr(fold, other)}):
            raise ProtocolError(f"fold {fold.name}: {len(both)} utterances are in both {one} and {other}, first {both[0]}")


def check(fold: Fold, by_id: Mapping[str, Utterance], *, label: str = "emotion", allow_speaker_overlap: bool = False) -> None:
    """Raise ProtocolError for an empty part, an id in two parts, a class that is not trained on, or a speaker on both sides."""
    _check_parts(fold)
    if not fold.validation:
        raise ProtocolError(f"fold {fold.name}: no utterance in its validation part; there are only {len(fold.train)} to train on")
    trained = {by_id[name].label(label) for name in fold.train}
    if absent := sorted({u.label(label) or "" for u in by_id.values()} - trained):
        raise ProtocolError(f"fold {fold.name}: no training utterance of class {', '.join(absent)}; use another protocol or label column")
    seen = {by_id[name].speaker for name in (*fold.train, *fold.validation)}
    both = sorted(speaker for speaker in {by_id[name].speaker for name in fold.test} & seen if speaker)
    if both and not allow_speaker_overlap:
        raise ProtocolError(
            f"fold {fold.name}: {len(both)} speakers are in both training and test, first {both[0]}; "
            "use a protocol that keeps speakers apart (for a corpus's own folds: --allow-speaker-overlap)"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class TextOverlap:
    """How many tested utterances say a sentence that was trained or validated on, of how many whose text is known."""

    shared: int
    known: int


def text_overlap(folds: Sequence[Fold], utterances: Sequence[Utterance]) -> TextOverlap:
    """Scripted text on both sides of a fold lets a text input know the label: reported, not forbidden."""
    words = {u.id: " ".join(re.findall(r"\w+", u.transcript.casefold())) for u in utterances if u.transcript}
    shared = known = 0
    for fold in folds:
        trained = {words[name] for name in (*fold.train, *fold.validation) if name in words}
        tested = [words[name] for name in fold.test if name in words]
        known += len(tested)
        shared += sum(text in trained for text in tested)
    return TextOverlap(shared=shared, known=known)
