"""Published label schemes, as data: which raw labels make which class, and which utterances count at all."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from emocache.errors import UsageError
from emocache.types import Utterance


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelScheme:
    """Raw label -> class; a raw label that is not listed leaves its utterance out.

    `where` asks for values of extra manifest columns, such as {"kind": "improvised"}. `keep_all` keeps every raw
    label as its own class.
    """

    about: str
    merge: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    keep_all: bool = False


_RAVDESS_8 = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")

SCHEMES: Mapping[str, LabelScheme] = {
    "as-is": LabelScheme(about="every label as the corpus gives it", keep_all=True),
    "iemocap-4": LabelScheme(
        about="angry, happy with excited merged, sad, neutral: 5531 utterances",
        merge={"ang": "ang", "hap": "hap", "exc": "hap", "sad": "sad", "neu": "neu"},
    ),
    "iemocap-improvised": LabelScheme(
        about="improvised turns, excited left out: 2280 utterances",
        merge={"ang": "ang", "hap": "hap", "sad": "sad", "neu": "neu"},
        where={"kind": "improvised"},
    ),
    "ravdess-8": LabelScheme(about="all eight acted emotions: 1440 utterances", merge={name: name for name in _RAVDESS_8}),
    "ravdess-4": LabelScheme(
        about="angry, happy, sad, neutral (calm left out): 672 utterances",
        merge={"angry": "ang", "happy": "hap", "sad": "sad", "neutral": "neu"},
    ),
}


def scheme(name: str) -> LabelScheme:
    """The scheme of that name, or a UsageError that lists them all."""
    if name not in SCHEMES:
        raise UsageError(f"no label scheme {name!r}; there are: {', '.join(SCHEMES)}")
    return SCHEMES[name]


def apply(name: str, utterances: Iterable[Utterance]) -> tuple[list[Utterance], dict[str, int]]:
    """The utterances that a scheme keeps, relabelled, and how many of each raw label it leaves out.

    The raw label stays with a kept utterance, as the extra column `raw_emotion`.
    """
    chosen = scheme(name)
    kept: list[Utterance] = []
    left_out: Counter[str] = Counter()
    for utterance in utterances:
        raw = utterance.emotion or ""
        fits = all(utterance.label(column) == value for column, value in chosen.where.items())
        target = raw if chosen.keep_all else chosen.merge.get(raw)
        if target is None or not fits:
            left_out[raw or "(no label)"] += 1
        else:
            kept.append(replace(utterance, emotion=target or None, extra={"raw_emotion": raw, **utterance.extra}))
    return kept, dict(sorted(left_out.items()))


def differences(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, ...]:
    """In words, where the number of utterances per class is not what the corpus's INFO says."""
    return tuple(
        f"{label}: {found.get(label, 0)} utterances, expected {expected.get(label, 0)}"
        for label in sorted({*expected, *found})
        if found.get(label, 0) != expected.get(label, 0)
    )
