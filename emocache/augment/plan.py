"""Which views a corpus is to have: of which utterance, in whose voice, and what decides each; and which it cannot have."""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from emocache import languages, views
from emocache.augment.base import Synthesiser, Voice
from emocache.augment.draw import draw, voices
from emocache.errors import CorpusError, UsageError
from emocache.types import Corpus, Utterance


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What is asked for: so many views an utterance, drawn by a seed, of utterances in a language, all of them or those of `ids`.

    `batch` is how many texts are rewritten at once.
    """

    views: int = 1
    seed: int = 0
    ids: Collection[str] | None = None
    language: str | None = None
    batch: int = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A view: its id, of what, in whose voice (None: its parent's own audio), the key of all that decides it, if it is asked for."""

    id: str
    parent: Utterance
    voice: Voice | None
    key: str
    asked: bool

    @property
    def speaker(self) -> str:
        """Whose voice it has."""
        return self.voice.speaker if self.voice else self.parent.speaker or ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The views to have, and the reason by id for those that are asked for and cannot be."""

    planned: tuple[Planned, ...]
    without: Mapping[str, str]


def originals(corpus: Corpus) -> list[Utterance]:
    """The utterances that are no views of others, be these there or not."""
    return [utterance for utterance in corpus.utterances if not utterance.parent]


def check(corpus: Corpus, synthesiser: Synthesiser | None, wish: Wish) -> None:
    """CorpusError when the corpus lacks what views need, UsageError when what is asked for cannot be."""
    known = originals(corpus)
    if not any((utterance.transcript or "").strip() for utterance in known):
        raise CorpusError(f"{corpus.name}: has no transcripts, and views are made from them; add a column `transcript` to its manifest")
    if synthesiser is not None and len({utterance.speaker for utterance in known if utterance.speaker}) < 2:
        raise CorpusError(f"{corpus.name}: names fewer than two speakers, and a view has another one's voice; mend its column `speaker`")
    if synthesiser is not None and not any(utterance.emotion for utterance in known):
        raise CorpusError(f"{corpus.name}: has no emotions, and a view has the voice of somebody in the same; mend its column `emotion`")
    if strange := sorted(set(wish.ids or ()) - {utterance.id for utterance in known}):
        raise UsageError(f"--ids-from: {corpus.name} has no utterance {strange[0]!r} (of {len(strange)} such)")


def plan(heard: Sequence[Utterance], corpus: Corpus, synthesiser: Synthesiser | None, wish: Wish, before: Iterable[str]) -> Plan:
    """The views of the utterances that can be `heard`: those asked for, and those that there were `before` (ids of views)."""
    known = voices(heard, corpus.audio_root)
    keys = {(voice.speaker, voice.emotion): _voice_key(voice, synthesiser) for members in known.values() for voice in members}
    taken = {utterance.id for utterance in originals(corpus)}
    highest = _highest(before)
    planned: list[Planned] = []
    without: dict[str, str] = {}
    for utterance in heard:
        asked = wish.views if wish.ids is None or utterance.id in wish.ids else 0
        count = max(asked, highest.get(utterance.id, 0))
        reason = _refused(utterance, synthesiser, wish)
        drawn = _drawn(utterance, known, count, synthesiser, wish) if not reason else []
        for number in range(count):
            name = f"{utterance.id}-view{number + 1}"
            if name in taken:
                raise CorpusError(f"{corpus.name}: has an utterance {name!r} already, as a view would be called; rename it")
            if number < len(drawn):
                voice = drawn[number]
                key = _key(utterance, keys[voice.speaker, voice.emotion] if voice else "")
                planned.append(Planned(id=name, parent=utterance, voice=voice, key=key, asked=number < asked))
            else:
                without[name] = reason or _too_few(utterance, len(drawn), synthesiser)
    return Plan(tuple(planned), without)


def _drawn(
    utterance: Utterance, known: Mapping[str, Sequence[Voice]], count: int, synthesiser: Synthesiser | None, wish: Wish
) -> Sequence[Voice | None]:
    """The voices of the views of an utterance; its own audio serves once, since nothing but its text would be another."""
    return draw(utterance, known, count, wish.seed) if synthesiser else [None][:count]


def _too_few(utterance: Utterance, drawn: int, synthesiser: Synthesiser | None) -> str:
    """Why there are no more views of an utterance."""
    if synthesiser is None:
        return "in other words alone an utterance has one view"
    return f"{drawn or 'no'} other speakers say anything in {utterance.emotion!r}"


def _refused(utterance: Utterance, synthesiser: Synthesiser | None, wish: Wish) -> str:
    """Why an utterance can have no view; '' where it can."""
    if not (utterance.transcript or "").strip():
        return "has no transcript"
    if not utterance.emotion:
        return "has no emotion"
    if not utterance.speaker:
        return "has no speaker"
    spoken = languages.code(utterance.language or "")
    if wish.language and spoken and spoken != wish.language:
        return f"is in {utterance.language!r}, not in {wish.language}"
    if synthesiser and synthesiser.languages and spoken and spoken not in synthesiser.languages:
        return f"is in {utterance.language!r}, and {synthesiser.name} speaks {', '.join(synthesiser.languages)}"
    return ""


def _voice_key(voice: Voice, synthesiser: Synthesiser | None) -> str:
    """Another one whenever a voice sounds otherwise."""
    if synthesiser is None or not synthesiser.listens:
        return f"{voice.speaker} as {synthesiser.voices.get(voice.speaker) if synthesiser else ''}"
    return f"{voice.speaker} in {voice.emotion}: {[utterance.audio_sha256 for utterance in voice.utterances]}"


def _key(utterance: Utterance, voice: str) -> str:
    """What decides a view, beside how all of them are made."""
    told = [views.state(utterance), utterance.language, utterance.audio_sha256, voice]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:32]


def _highest(names: Iterable[str]) -> dict[str, int]:
    """Utterance -> the highest number of its views, by their ids."""
    found: dict[str, int] = {}
    for match in filter(None, (re.fullmatch(r"(.+)-view(\d+)", name) for name in names)):
        found[match[1]] = max(found.get(match[1], 0), int(match[2]))
    return found
