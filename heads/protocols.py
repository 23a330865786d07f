"""The rules that divide a corpus, by utterance id and never by count or order of the manifest.

loso, lopo            every session (person) is the test fold once
speaker-folds         whole persons in k folds of about equal size
given                 the manifest's `fold` column, each value the test fold once; without it the `split` column
ra                    ten independent shuffles, a tenth tested in each: speakers are on both sides
random-80-20          one shuffle by the run's seed, a fifth tested: speakers are on both sides
emotionnas            of each session one person validates and the other is tested; all other sessions train
"""

import random
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from emocache.errors import ProtocolError, UsageError
from emocache.types import Utterance

SPLITS = {
    "train": "train", "training": "train",
    "dev": "validation", "development": "validation", "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
"""What may stand in the manifest's `split` column, in any case -> the part it means; whatever begins with 'test' is a test part."""
SHUFFLES = 10
"""Of `ra`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fold:
    """One division of a corpus by utterance id; an empty `validation` has yet to be drawn from `train`.

    `views` are pairs of a view and the training utterance that it shows, for heads that draw them beside these. `unused`
    utterances are in no part. With `selected_on_test` the validation part is the test part: a habit of some papers.
    """

    name: str
    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...]
    unused: tuple[str, ...] = ()
    views: tuple[tuple[str, str], ...] = ()
    selected_on_test: bool = False

    @property
    def learnt(self) -> tuple[str, ...]:
        """Whoever had a say in what was learnt, apart from the test part."""
        return self.train if self.selected_on_test else (*self.train, *self.validation)


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What may be said beside a protocol's name: the run's seed, the number of folds, and which one of several test parts."""

    seed: int = 0
    k: int = 5
    test_split: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Protocol:
    """A rule that makes folds of utterances. `speakers_cross` says that a person may be trained on and tested."""

    about: str
    folds: Callable[[Sequence[Utterance], Options], list[Fold]]
    speakers_cross: bool = False
    validates: bool = False
    """Whether the rule says who validates."""


def _by_session(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`loso`: each session is the test fold once."""
    return _leave_one_out("session", utterances)


def _by_speaker(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`lopo`: each person is the test fold once."""
    return _leave_one_out("speaker", utterances)


def _speaker_folds(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """Persons, most utterances first (then by name), each into the fold that holds the fewest utterances so far."""
    k = options.k
    if k < 2:
        raise UsageError(f"--folds {k}: expected 2 or more")
    counts = Counter({speaker: len(members) for speaker, members in groups("speaker", utterances).items()})
    if len(counts) < k:
        raise ProtocolError(f"{k} speaker-disjoint folds need {k} speakers, there are {len(counts)}; give a smaller --folds")
    sizes = [0] * k
    fold_of: dict[str, str] = {}
    for speaker in sorted(counts, key=lambda name: (-counts[name], _natural(name))):
        smallest = sizes.index(min(sizes))
        fold_of[speaker] = str(smallest + 1)
        sizes[smallest] += counts[speaker]
    return _each_once({u.id: fold_of[u.speaker or ""] for u in utterances})


def _given(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """The corpus's own folds, else its own split."""
    if any(u.fold for u in utterances):
        if options.test_split:
            raise UsageError(f"--test-split {options.test_split}: the manifest has folds, and each is tested once; leave the option out")
        return _leave_one_out("fold", utterances)
    if not any(u.split for u in utterances):
        raise ProtocolError("the manifest has neither a fold nor a split column to go by; use another protocol")
    parts: dict[str, list[str]] = {"train": [], "validation": [], "test": [], "unused": []}
    found = groups("split", utterances)
    tested = _test_split([name for name in found if _part(name) == "test"], options.test_split)
    for name, ids in found.items():
        part = _part(name)
        if part is None:
            raise ProtocolError(f"column split holds {name!r} for {len(ids)} utterances; expected one of {', '.join(SPLITS)}, test, test1")
        parts["unused" if part == "test" and name != tested else part].extend(ids)
    train, validation, test, unused = (tuple(sorted(ids)) for ids in parts.values())
    return [Fold(name=tested or "test", train=train, validation=validation, test=test, unused=unused)]


def _part(name: str) -> str | None:
    """The part that a value of the `split` column means; None for one that means nothing."""
    return "test" if re.fullmatch(r"test\W*\w*", name.lower()) else SPLITS.get(name.lower())


def _test_split(names: Sequence[str], asked: str | None) -> str | None:
    """Which of the test parts is tested; without a choice the only one."""
    if asked is not None and asked not in names:
        raise UsageError(f"--test-split {asked}: no such test part; there are: {', '.join(names) or 'none'}")
    if asked is None and len(names) > 1:
        raise UsageError(f"the corpus has the test parts {', '.join(names)}; say which with --test-split")
    return asked or next(iter(names), None)


def _shuffles(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`ra`: the same ten shuffles for every seed of a run, and each a tenth of the utterances, rounded down."""
    return [_drawn(str(i), utterances, 10, f"ra/{i}") for i in range(1, SHUFFLES + 1)]


def _random_80_20(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """One shuffle by the seed of the run, and a fifth of the utterances, rounded down."""
    return [_drawn("random", utterances, 5, f"random-80-20/{options.seed}")]


def _drawn(name: str, utterances: Sequence[Utterance], parts: int, seed: str) -> Fold:
    """The fold that tests floor(N / parts) utterances drawn by seed."""
    ids = sorted(u.id for u in utterances)
    if len(ids) < parts:
        raise ProtocolError(f"{len(ids)} utterances cannot give one of {parts} to a test part; use another protocol")
    test = set(random.Random(seed).sample(ids, len(ids) // parts))
    return Fold(name=name, train=tuple(i for i in ids if i not in test), test=tuple(sorted(test)))


def _first_validates(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`emotionnas`: of two persons a session the first by name (F before M) validates, the other is tested."""
    return [_one_each(session, both, utterances) for session, both in _pairs(utterances).items()]


def _second_validates(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`emotionnas-swap`: the other way round."""
    return [_one_each(session, both[::-1], utterances) for session, both in _pairs(utterances).items()]


def _both_ways(utterances: Sequence[Utterance], options: Options) -> list[Fold]:
    """`emotionnas-both`: every person is tested once, the other one of the session validates."""
    return [
        _one_each(f"{session}-{both[1]}", both, utterances) for session, pair in _pairs(utterances).items() for both in (pair, pair[::-1])
    ]


def _pairs(utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """Session -> its two persons."""
    sessions, speakers = groups("session", utterances), groups("speaker", utterances)
    if len(sessions) < 2:
        raise ProtocolError(f"emotionnas needs 2 sessions or more, there is {next(iter(sessions), 'none')} alone; use another protocol")
    pairs = {session: [name for name, ids in speakers.items() if not set(ids).isdisjoint(members)] for session, members in sessions.items()}
    for session, names in pairs.items():
        if len(names) != 2:
            raise ProtocolError(f"emotionnas needs two speakers in each session, {session} has {len(names)}; use another protocol")
    return pairs


def _one_each(name: str, both: Sequence[str], utterances: Sequence[Utterance]) -> Fold:
    """The fold in which the first person validates and the second is tested; the sessions without them train."""
    sessions = {u.session for u in utterances if u.speaker in both}
    ids = {speaker: tuple(sorted(u.id for u in utterances if u.speaker == speaker)) for speaker in both}
    train = tuple(sorted(u.id for u in utterances if u.session not in sessions))
    return Fold(name=name, train=train, validation=ids[both[0]], test=ids[both[1]])


PROTOCOLS: Mapping[str, Protocol] = {
    "loso": Protocol(about="leave one session out", folds=_by_session),
    "lopo": Protocol(about="leave one person out", folds=_by_speaker),
    "speaker-folds": Protocol(about="speaker-disjoint k-fold", folds=_speaker_folds),
    "given": Protocol(about="the folds or the split of the manifest", folds=_given),
    "ra": Protocol(about="ten shuffles, a tenth tested in each; speakers are on both sides", folds=_shuffles, speakers_cross=True),
    "random-80-20": Protocol(about="a fifth drawn by seed; speakers are on both sides", folds=_random_80_20, speakers_cross=True),
    "emotionnas": Protocol(about="of each session F validates and M is tested", folds=_first_validates, validates=True),
    "emotionnas-swap": Protocol(about="of each session M validates and F is tested", folds=_second_validates, validates=True),
    "emotionnas-both": Protocol(about="each person tested once, the session's other validates", folds=_both_ways, validates=True),
}


def groups(column: str, utterances: Sequence[Utterance]) -> dict[str, list[str]]:
    """The ids by value of a column, in natural order of the values; ProtocolError where it is empty."""
    found: dict[str, list[str]] = defaultdict(list)
    for utterance in utterances:
        found[utterance.label(column) or ""].append(utterance.id)
    if "" in found:
        empty = found[""]
        share = f"{len(empty)} of {len(utterances)} utterances"
        raise ProtocolError(f"column {column} is empty for {share}, first {empty[0]}; use another protocol")
    return {name: found[name] for name in sorted(found, key=_natural)}


def _leave_one_out(column: str, utterances: Sequence[Utterance]) -> list[Fold]:
    """One fold for each value of a column, tested on it and trained on the rest."""
    found = groups(column, utterances)
    if len(found) < 2:
        only = next(iter(found), "none")
        raise ProtocolError(f"column {column} has one value alone ({only}), so nothing is left to train on; use another protocol")
    return _each_once({name: value for value, names in found.items() for name in names})


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
