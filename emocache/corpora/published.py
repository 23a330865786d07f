"""What was found of a corpus, held against what its publishers say of it."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from emocache import labels
from emocache.types import SAMPLE_RATE, CorpusInfo, Utterance


def differs(info: CorpusInfo, scheme: str, utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """How counts per class differ from the published ones, split by split where splits are published and known here.

    `utterances` are those found and those left out as known to be broken, which publishers count too. Nothing where no
    counts are published.
    """
    if scheme in info.expected_splits and any(utterance.split for utterance in utterances):
        return _by_split(info.expected_splits[scheme], utterances)
    if scheme not in info.expected:
        return ()
    return labels.differences(info.expected[scheme], _classes(utterances))


def _by_split(expected: Mapping[str, Mapping[str, int]], utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """The same within each split; each difference begins with the split's name."""
    found: dict[str, list[Utterance]] = {name: [] for name in expected}
    for utterance in utterances:
        found.setdefault(utterance.split or "(no split)", []).append(utterance)
    return tuple(
        f"{split}, {difference}"
        for split, members in found.items()
        for difference in labels.differences(expected.get(split, {}), _classes(members))
    )


def _classes(utterances: Iterable[Utterance]) -> Counter[str]:
    """Utterances per class."""
    return Counter(utterance.emotion or labels.NO_LABEL for utterance in utterances)


def notes(info: CorpusInfo, scheme: str, heard: Sequence[Utterance], absent: Sequence[Utterance]) -> tuple[str, ...]:
    """What else is to be said: which known broken utterances are left out, and which last longer than anybody speaks.

    `absent` are those left out as known to be broken.
    """
    said = [_broken(info, scheme, heard, absent)] if absent else []
    longest = info.longest_s or float("inf")
    seconds = {utterance.id: (utterance.samples or 0) / SAMPLE_RATE for utterance in heard}
    said += [f"{name} lasts {length:.0f} s, and is kept; listen to it" for name, length in seconds.items() if length > longest]
    return tuple(said)


def _broken(info: CorpusInfo, scheme: str, heard: Sequence[Utterance], absent: Sequence[Utterance]) -> str:
    """Whether the known broken utterances explain all that is not there."""
    names = ", ".join(f"{utterance.id} ({info.broken[utterance.id]})" for utterance in absent)
    known = scheme in info.expected or scheme in info.expected_splits
    whole = known and not differs(info, scheme, [*heard, *absent])
    return f"{'complete but for' if whole else 'left out as'} {len(absent)} utterances known to be broken: {names}"
