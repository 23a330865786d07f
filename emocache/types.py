"""The nouns that travel between the rooms: an utterance, a corpus, and what is known of both.

Utterance -> waveform or words -> frames per layer -> store -> packed tensors -> head -> scores.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

SAMPLE_RATE = 16_000
"""Samples per second of every waveform that an encoder is given."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Utterance:
    """One labelled stretch of speech.

    `path` is relative to the corpus's audio root (or absolute). `start_s` and `end_s` cut it out of a longer file,
    `channel` (0 = first) picks one channel; None means the mean of all. `samples` and `audio_sha256` describe the
    float32 waveform after channel, cropping and resampling to 16 kHz; they are None until the audio was scanned.
    """

    id: str
    path: str
    emotion: str | None = None
    speaker: str | None = None
    gender: str | None = None
    session: str | None = None
    fold: str | None = None
    split: str | None = None
    dialogue: str | None = None
    turn: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    channel: int | None = None
    transcript: str | None = None
    language: str | None = None
    valence: float | None = None
    arousal: float | None = None
    dominance: float | None = None
    votes: str | None = None
    parent: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    samples: int | None = None
    audio_sha256: str | None = None

    def label(self, column: str) -> str | None:
        """The label in `column`: 'emotion', another field, or an extra column of the manifest; '' counts as None."""
        value = getattr(self, column) if column in LABEL_FIELDS else self.extra.get(column)
        return value or None


PASSABLE = ("labels", "speakers", "folds", "transcripts", "audio")
"""What of a corpus may be passed on with its features, by the names that licences are described with."""
USUAL = PASSABLE[:3]
"""What goes with features unless a corpus says otherwise: what a head is trained on."""
SHARES = ("free", "ask", "forbidden")
"""Whether features of a corpus may be passed on, the strictest last."""
LABEL_FIELDS = ("emotion", "speaker", "gender", "session", "fold", "split", "dialogue", "language")
"""Fields of an utterance that can serve as a label or group; every extra column can too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CorpusInfo:
    """What is known of a corpus apart from its files.

    `share` says whether features may be passed on (of SHARES), `passes` what may go with them (of PASSABLE). `home` is where
    to get the corpus.
    `expected` holds the published number of utterances by label scheme and class, `expected_splits` by scheme, split and
    class; known broken ones are counted in both. `broken` maps the ids of known broken utterances to what is wrong with them.
    Utterances that last longer than `longest_s` are pointed out. `alignment` says how the alignments that it brings were made.
    """

    title: str
    licence: str
    share: str
    citation: str
    scheme: str
    passes: tuple[str, ...] = USUAL
    languages: tuple[str, ...] = ()
    home: str = ""
    expected: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    expected_splits: Mapping[str, Mapping[str, Mapping[str, int]]] = field(default_factory=dict)
    broken: Mapping[str, str] = field(default_factory=dict)
    longest_s: float | None = None
    alignment: str = ""

    @property
    def language(self) -> str | None:
        """The language of every utterance, where the corpus has one only."""
        return self.languages[0] if len(self.languages) == 1 else None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An utterance that is no part of a prepared corpus: its label ('' for none), and why."""

    id: str
    label: str
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus:
    """A prepared corpus: its utterances and where their audio lies.

    `differs` lists in words how the counts differ from what is expected (empty: as expected, or nothing known).
    `left_out` counts what was left out: by label for the label scheme, and audio that cannot be used. `notes` say in words
    what else whoever uses the corpus must know. `lacks` names what a copy was passed on without (of PASSABLE): of a corpus that
    lies here whole, nothing.
    """

    name: str
    reader: str
    scheme: str
    audio_root: Path
    utterances: tuple[Utterance, ...]
    licence: str = "unknown"
    share: str = "ask"
    citation: str = ""
    passes: tuple[str, ...] = USUAL
    lacks: tuple[str, ...] = ()
    differs: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
