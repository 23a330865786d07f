"""Who says what, and how, in each dialogue of the demo corpus: decided by the script and the turn's id alone."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from random import Random

from emocache.demo import script
from emocache.demo.espeak import Prosody
from emocache.demo.script import BORROWED, DELIVERY, DIALOGUES, EMOTIONS, EXTRA, FILLERS, SPREAD, TURNS_PER_KIND, VOICES, WORDING


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One utterance to be spoken."""

    id: str
    gender: str
    emotion: str
    text: str
    voice: str
    prosody: Prosody


@dataclass(frozen=True, kw_only=True, slots=True)
class Dialogue:
    """The turns of one dialogue, in the order in which they are spoken."""

    id: str
    session: int
    kind: str
    turns: tuple[Turn, ...]


def chance(*names: object) -> Random:
    """A random generator that depends on `names` and nothing else."""
    digest = hashlib.sha256("/".join(map(str, names)).encode()).digest()
    return Random(int.from_bytes(digest[:8], "big"))


def dialogues(session: int) -> list[Dialogue]:
    """The eight dialogues of a session: each voice speaks six turns per emotion and kind, and one extra."""
    found = []
    for kind in ("impro", "script"):
        ids = [f"Ses0{session}{name}" for name in DIALOGUES if f"_{kind}" in name]
        pairs = list(zip(_emotions(session, "F", kind), _emotions(session, "M", kind), strict=True))
        found += [_dialogue(name, session, kind, pairs[start :: len(ids)]) for start, name in enumerate(ids)]
    return found


def _emotions(session: int, gender: str, kind: str) -> list[str]:
    """The emotions of one voice's turns of one kind, in a random order."""
    emotions = [emotion for emotion in EMOTIONS for _ in range(TURNS_PER_KIND)] + [EXTRA[kind]]
    chance(session, gender, kind).shuffle(emotions)
    return emotions


def _dialogue(name: str, session: int, kind: str, pairs: Sequence[tuple[str, str]]) -> Dialogue:
    """A dialogue in which the two voices take turns, F first."""
    turns = [
        _turn(f"{name}_{gender}{number:03d}", session, gender, kind, emotion)
        for number, pair in zip(count(), pairs)
        for gender, emotion in zip("FM", pair, strict=True)
    ]
    return Dialogue(id=name, session=session, kind=kind, turns=tuple(turns))


def _turn(name: str, session: int, gender: str, kind: str, emotion: str) -> Turn:
    """One turn: its words and its delivery are drawn independently of each other."""
    return Turn(
        id=name,
        gender=gender,
        emotion=emotion,
        text=_words(name, kind, emotion),
        voice=VOICES[session, gender].name,
        prosody=_prosody(name, session, gender, emotion),
    )


def _words(name: str, kind: str, emotion: str) -> str:
    """A sentence for an emotion: one of its own, one that fits two emotions, or one that fits any."""
    random = chance(name, "words")
    pools = script.IMPROVISED if kind == "impro" else script.SCRIPTED
    own = emotion if emotion in pools else script.SHARED.get(emotion, "open")
    pool = {"own": own, "shared": script.SHARED.get(emotion, "open"), "open": "open"}
    [choice] = random.choices(list(WORDING), weights=list(WORDING.values()))
    sentence = random.choice(pools[pool[choice]])
    text = sentence.format(**{slot: random.choice(words) for slot, words in FILLERS.items()})
    return text[0].upper() + text[1:]


def _prosody(name: str, session: int, gender: str, emotion: str) -> Prosody:
    """A delivery around the mean of an emotion, or around that of one that is as much aroused."""
    random = chance(name, "prosody")
    borrowed = random.random() < BORROWED and emotion in script.SOUNDS_LIKE
    mean = DELIVERY[random.choice(script.SOUNDS_LIKE[emotion]) if borrowed else emotion]
    voice = VOICES[session, gender]
    return Prosody(
        rate_wpm=_within(random.gauss(mean.rate_wpm, SPREAD.rate_wpm) * voice.speed, 110, 260),
        pitch=_within(voice.pitch + random.gauss(mean.pitch, SPREAD.pitch), 0, 99),
        pitch_range=_within(random.gauss(mean.pitch_range, SPREAD.pitch_range), 0, 99),
        volume=_within(random.gauss(mean.volume, SPREAD.volume), 30, 180),
        word_gap=_within(random.gauss(mean.word_gap, SPREAD.word_gap), 0, 5),
    )


def _within(value: float, lowest: int, highest: int) -> int:
    """Rounded, and moved into the range."""
    return min(max(round(value), lowest), highest)
