"""Whose voice each view has: another speaker of the corpus, in the same emotion, drawn by seed.

A head drops a view in the folds that validate or test the speaker whose voice it has. So that most folds keep some view of an
utterance, the voices of its views are of different sessions (else folds) as long as there are any.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from emocache.augment.base import Voice
from emocache.types import Utterance


def voices(utterances: Sequence[Utterance], root: Path) -> dict[str, list[Voice]]:
    """Emotion -> the voices that speak in it, by the name of their speakers."""
    of: dict[tuple[str, str], list[Utterance]] = defaultdict(list)
    for utterance in utterances:
        if utterance.speaker and utterance.emotion:
            of[utterance.emotion, utterance.speaker].append(utterance)
    found: dict[str, list[Voice]] = defaultdict(list)
    for (emotion, speaker), members in sorted(of.items()):
        found[emotion].append(Voice(speaker=speaker, emotion=emotion, utterances=tuple(members), root=root))
    return found


def draw(utterance: Utterance, known: Mapping[str, Sequence[Voice]], count: int, seed: int) -> list[Voice]:
    """Up to `count` voices for the views of an utterance, none twice; the first of more are those of fewer.

    Of a corpus that brings its split, those of speakers of the same part (by their first utterance) come before the others.
    """
    others = [voice for voice in known.get(utterance.emotion or "", ()) if voice.speaker != utterance.speaker]
    random.Random(f"{seed}/{utterance.id}").shuffle(others)
    if utterance.split:
        others.sort(key=lambda voice: voice.utterances[0].split != utterance.split)
    drawn: list[Voice] = []
    used: Counter[str] = Counter()
    while others and len(drawn) < count:
        chosen = min(others, key=lambda voice: used[voice.group])
        others.remove(chosen)
        used[chosen.group] += 1
        drawn.append(chosen)
    return drawn
