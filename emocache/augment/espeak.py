"""espeak-ng as a plain third backend: voices of its own stand for the speakers, and there is no emotion in them.

Nothing is learnt from a speaker's audio. Each speaker is given a voice by the order of names, those that are taken to be women one
of the female ones; where there are more speakers than voices, a voice comes again at another pitch. None of them speaks in
the demo corpus, so that no view sounds like a speaker who is tested.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version

import numpy as np

from emocache import audio
from emocache.augment.base import Voice, Waveform
from emocache.demo import espeak
from emocache.errors import AugmentationError, UsageError

FEMALE = ("f5", "Annie", "linda", "Alicia", "belinda", "anika", "Andrea", "aunty")
MALE = ("m2", "m5", "m6", "Andy", "Lee", "Denis", "Diogo", "Marco", "Mike", "antonio", "edward", "john", "paul", "travis", "victor")
"""Variants of espeak-ng's voices that sound like people."""
PITCHES = (50, 30, 70, 15, 85)
"""Of a variant that stands for several speakers, in espeak-ng's units."""
LANGUAGES = {"": "en-us", "en": "en-us", "zh": "cmn"}
"""Codes of languages that espeak-ng calls otherwise; '' is one that the corpus does not name."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What stands for a speaker: a variant, and its pitch."""

    variant: str
    pitch: int

    def __str__(self) -> str:
        return f"{self.variant} at pitch {self.pitch}"


def stands(genders: Mapping[str, str]) -> dict[str, Stand]:
    """Speaker -> what stands for them; `genders` by speaker, '' where unknown (those take turns)."""
    found: dict[str, Stand] = {}
    counts = [0, 0]
    for speaker in sorted(genders):
        said = genders[speaker][:1].lower()
        which = {"f": 0, "m": 1, "w": 0}.get(said, int(counts[1] <= counts[0]))
        variants = (FEMALE, MALE)[which]
        again, place = divmod(counts[which], len(variants))
        found[speaker] = Stand(variants[place], PITCHES[again % len(PITCHES)])
        counts[which] += 1
    return found


@dataclass(frozen=True, slots=True)
class EspeakSynthesiser:
    """Speaks with what stands for each speaker."""

    stands: Mapping[str, Stand]
    name: str = "plain voices of espeak-ng"
    languages: tuple[str, ...] = ()
    listens: bool = False
    about: str = field(init=False)

    def __post_init__(self) -> None:
        made = f"espeak-ng of espeakng-loader {version('espeakng-loader')}, plain voices without emotion"
        object.__setattr__(self, "about", made)

    @property
    def voices(self) -> Mapping[str, str]:
        """Speaker -> variant and pitch."""
        return {speaker: str(stand) for speaker, stand in self.stands.items()}

    def speak(self, text: str, voice: Voice, language: str, seed: int) -> Waveform:
        """The text at espeak-ng's own pace; `seed` decides nothing."""
        stand = self.stands[voice.speaker]
        try:
            said = espeak.speak(text, f"{LANGUAGES.get(language, language)}+{stand.variant}", espeak.Prosody(pitch=stand.pitch))
        except UsageError as error:
            raise AugmentationError(str(error)) from None
        return audio.resample(said.samples.astype(np.float32) * np.float32(2**-15), espeak.SPOKEN_RATE)


def find(voices: Iterable[Voice]) -> EspeakSynthesiser:
    """espeak-ng for these voices; UsageError when it is not installed."""
    espeak.check()
    genders: dict[str, str] = {}
    for voice in voices:
        genders[voice.speaker] = genders.get(voice.speaker) or voice.gender
    return EspeakSynthesiser(stands(genders))
