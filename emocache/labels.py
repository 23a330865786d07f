"""Published label schemes, as data: which raw labels make which class, and which utterances count at all."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from emocache.errors import UsageError
from emocache.types import LeftOut, Utterance

NO_LABEL = "(no label)"
"""What an utterance without label is counted under."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelScheme:
    """Raw label -> class; a raw label that is not listed leaves its utterance out.

    `column` says where the raw labels stand. `where` asks for values of extra manifest columns, such as
    {"kind": "improvised"}. `keep_all` keeps every raw label as its own class. `source` is where the scheme was published.
    """

    about: str
    source: str = ""
    column: str = "emotion"
    merge: Mapping[str, str] = field(default_factory=dict)
    where: Mapping[str, str] = field(default_factory=dict)
    keep_all: bool = False


def _same(*names: str) -> dict[str, str]:
    """Raw labels that are classes as they stand."""
    return {name: name for name in names}


_MSP_4 = ("neutral", "happy", "sad", "angry")

SCHEMES: Mapping[str, LabelScheme] = {
    "as-is": LabelScheme(about="every label as the corpus gives it", keep_all=True),
    "iemocap-4": LabelScheme(
        about="angry, happy with excited merged, sad, neutral: 5531 utterances",
        source="as in Yoon, Byun and Jung (2018), SLT",
        merge={"exc": "hap", **_same("ang", "hap", "sad", "neu")},
    ),
    "iemocap-improvised": LabelScheme(
        about="improvised turns, excited left out: 2280 utterances",
        source="as in Satt, Rozenberg and Hoory (2017), Interspeech",
        merge=_same("ang", "hap", "sad", "neu"),
        where={"kind": "improvised"},
    ),
    "meld-7": LabelScheme(
        about="the seven emotions: 13,708 utterances, 13,706 of which can be heard",
        source="Poria et al. (2019), ACL",
        merge=_same("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"),
    ),
    "meld-sentiment": LabelScheme(
        about="negative, neutral, positive",
        source="Poria et al. (2019), ACL",
        column="sentiment",
        merge=_same("neutral", "positive", "negative"),
    ),
    "cremad-6": LabelScheme(
        about="the emotion that the actor was asked for: 7442 utterances",
        source="Cao et al. (2014), IEEE Transactions on Affective Computing 5(4)",
        merge=_same("ang", "dis", "fea", "hap", "neu", "sad"),
    ),
    "cremad-voted": LabelScheme(
        about="the emotion that most listeners heard in the voice alone; ties are left out",
        source="VoiceVote of processedResults/summaryTable.csv",
        column="voice_vote",
        merge={"A": "ang", "D": "dis", "F": "fea", "H": "hap", "N": "neu", "S": "sad"},
    ),
    "ravdess-8": LabelScheme(
        about="all eight acted emotions: 1440 utterances",
        source="Livingstone and Russo (2018), PLoS ONE 13(5)",
        merge=_same("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
    ),
    "ravdess-4": LabelScheme(
        about="angry, happy, sad, neutral (calm left out): 672 utterances",
        merge={"angry": "ang", "happy": "hap", "sad": "sad", "neutral": "neu"},
    ),
    "emodb-7": LabelScheme(
        about="all seven acted emotions: 535 utterances",
        source="Burkhardt et al. (2005), Interspeech",
        merge=_same("anger", "boredom", "disgust", "fear", "happiness", "sadness", "neutral"),
    ),
    "esd-5": LabelScheme(
        about="all five acted emotions: 35,000 utterances",
        source="Zhou et al. (2022), Speech Communication 137",
        merge=_same("neutral", "happy", "angry", "sad", "surprise"),
    ),
    "msp-podcast-4": LabelScheme(
        about="neutral, happy, sad, angry by the vote of the annotators",
        source="as is common; Lotfian and Busso (2019), IEEE Transactions on Affective Computing 10(4)",
        merge=_same(*_MSP_4),
    ),
    "msp-podcast-8": LabelScheme(
        about="the eight primary emotions; other and no agreement are left out",
        source="Lotfian and Busso (2019), IEEE Transactions on Affective Computing 10(4)",
        merge=_same(*_MSP_4, "fear", "disgust", "surprise", "contempt"),
    ),
}


def scheme(name: str) -> LabelScheme:
    """The scheme of that name, or a UsageError that lists them all."""
    if name not in SCHEMES:
        raise UsageError(f"no label scheme {name!r}; there are: {', '.join(SCHEMES)}")
    return SCHEMES[name]


def apply(name: str, utterances: Iterable[Utterance]) -> tuple[list[Utterance], list[LeftOut]]:
    """The utterances that a scheme keeps, relabelled, and those that it leaves out.

    The emotion that the corpus gives stays with a kept utterance, as the extra column `raw_emotion`.
    """
    chosen = scheme(name)
    kept: list[Utterance] = []
    left_out: list[LeftOut] = []
    for utterance in utterances:
        raw = utterance.label(chosen.column) or ""
        reason = _against(name, chosen, raw, utterance)
        if reason:
            left_out.append(LeftOut(utterance.id, raw, reason))
        else:
            target = raw if chosen.keep_all else chosen.merge[raw]
            extra = {"raw_emotion": utterance.emotion or "", **utterance.extra}
            kept.append(replace(utterance, emotion=target or None, extra=extra))
    return kept, left_out


def _against(name: str, chosen: LabelScheme, raw: str, utterance: Utterance) -> str:
    """Why a scheme leaves an utterance out; '' when it keeps it."""
    if not chosen.keep_all and raw not in chosen.merge:
        return f"{chosen.column} {raw!r} is no class of {name}" if raw else f"no {chosen.column}"
    unlike = [column for column, value in chosen.where.items() if utterance.label(column) != value]
    return "; ".join(f"{column} is {utterance.label(column)!r}, not {chosen.where[column]!r}" for column in unlike)


def counted(left_out: Sequence[LeftOut]) -> dict[str, int]:
    """How many were left out of each label."""
    return dict(sorted(Counter(one.label or NO_LABEL for one in left_out).items()))


def differences(expected: Mapping[str, int], found: Mapping[str, int]) -> tuple[str, ...]:
    """In words, where the number of utterances per class is not what the corpus's INFO says."""
    return tuple(
        f"{label}: {found.get(label, 0)} utterances, expected {expected.get(label, 0)}"
        for label in sorted({*expected, *found})
        if found.get(label, 0) != expected.get(label, 0)
    )
