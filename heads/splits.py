"""Protocols as data: who trains, who validates and who is tested, by utterance id; and what makes a division honest.

`protocols` divides a corpus; here the validation part is drawn from the training utterances by seed, never from the test
fold, and what would not be an honest experiment is refused. `--select test` is the papers' habit that breaks the rule, by name.
"""

import random
import re
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from emocache.errors import ProtocolError, UsageError
from emocache.types import Utterance
from heads.protocols import PROTOCOLS, SPLITS, Fold, Options, groups
from heads.views import originals, with_views

__all__ = ["PROTOCOLS", "SELECTED_ON_TEST", "Fold", "TextOverlap", "check", "split", "text_overlap", "validation_rule"]

VALIDATION_SHARE = 0.1
SELECT = ("validation", "test")
"""What the epoch may be chosen on."""
SELECTED_ON_TEST = "the epoch is chosen on the test part (--select test), a habit of some papers: the scores are too high"


def split(
    protocol: str,
    utterances: Sequence[Utterance],
    *,
    label: str = "emotion",
    seed: int = 0,
    validation: str = "random",
    k: int = 5,
    test_split: str | None = None,
    select: str = "validation",
    allow_speaker_overlap: bool = False,
    partners: bool = False,
) -> list[Fold]:
    """The folds of a protocol, with the validation part of this seed, checked.

    `utterances` all carry a `label`. `validation` is 'random' (a tenth of each class of the training utterances) or
    'speaker' (one person of the training utterances); a corpus or protocol that brings its own keeps it.
    With select='test' nothing is drawn, and the test part is the validation part too. Views of other utterances go with
    these, see `views`; with `partners` they are not trained on by themselves.
    Raises ProtocolError for whatever would not be an honest experiment.
    """
    if protocol not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}; there are: {', '.join(PROTOCOLS)}")
    if validation not in VALIDATIONS:
        raise UsageError(f"no validation rule {validation!r}; there are: {', '.join(VALIDATIONS)}")
    if select not in SELECT:
        raise UsageError(f"--select {select}: expected one of {', '.join(SELECT)}")
    for option, given in (("--allow-speaker-overlap", allow_speaker_overlap), ("--test-split", test_split)):
        if given and protocol != "given":
            raise UsageError(f"{option} goes with the protocol given alone, not with {protocol}")
    rule, by_id = PROTOCOLS[protocol], {u.id: u for u in utterances}
    folds = []
    for divided in rule.folds(originals(utterances), Options(seed=seed, k=k, test_split=test_split)):
        _check_parts(divided)
        fold = _on_test(divided) if select == "test" else _with_validation(divided, by_id, validation, label, seed)
        fold = with_views(fold, by_id, partners=partners)
        check(fold, by_id, label=label, allow_speaker_overlap=allow_speaker_overlap or rule.speakers_cross)
        folds.append(fold)
    return folds


def validation_rule(protocol: str, utterances: Sequence[Utterance], asked: str) -> str:
    """The rule by which validation parts come about: the one asked for, or 'given' where the corpus or protocol brings its own."""
    if protocol in PROTOCOLS and PROTOCOLS[protocol].validates:
        return "given"
    own = protocol == "given" and not any(u.fold for u in utterances)
    return "given" if own and any(SPLITS.get((u.split or "").lower()) == "validation" for u in utterances) else asked


def _on_test(fold: Fold) -> Fold:
    """The fold as papers have it that choose on what they report; a validation part of the corpus's own is not used."""
    return replace(fold, validation=fold.test, unused=tuple(sorted((*fold.unused, *fold.validation))), selected_on_test=True)


def _with_validation(fold: Fold, by_id: Mapping[str, Utterance], rule: str, label: str, seed: int) -> Fold:
    """The fold with a validation part out of its training part, unless it has one."""
    if fold.validation:
        return fold
    chosen = VALIDATIONS[rule]([by_id[name] for name in fold.train], label, random.Random(f"{fold.name}/{seed}"))
    return replace(fold, train=tuple(name for name in fold.train if name not in chosen), validation=tuple(sorted(chosen)))


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
    of = groups("speaker", utterances)
    return set(of[rng.choice(sorted(of))])


VALIDATIONS: Mapping[str, Callable[[Sequence[Utterance], str, random.Random], set[str]]] = {
    "random": _random_tenth,
    "speaker": _one_speaker,
}


def _check_parts(fold: Fold) -> None:
    """Nothing to train on or to test on, or an utterance in two parts, is no fold."""
    for part in ("train", "test"):
        if not getattr(fold, part):
            raise ProtocolError(f"fold {fold.name}: no utterance in its {part} part")
    if fold.selected_on_test and fold.validation != fold.test:
        raise ProtocolError(f"fold {fold.name}: is selected on test, but its validation part is another one")
    apart = (("train", "test"), ("train", "validation"), *([] if fold.selected_on_test else [("validation", "test")]))
    for one, other in apart:
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
    seen = {by_id[name].speaker for name in fold.learnt}
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
        trained = {words[name] for name in (*fold.learnt, *dict(fold.views)) if name in words}
        tested = [words[name] for name in fold.test if name in words]
        known += len(tested)
        shared += sum(text in trained for text in tested)
    return TextOverlap(shared=shared, known=known)
