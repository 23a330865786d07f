"""A whole corpus to other transcripts: what was heard before in the same audio is taken from the journal."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from emocache import audio, journal, transcripts
from emocache.errors import CorpusError, UsageError
from emocache.heard import HEARD
from emocache.journal import JOURNAL, Entry
from emocache.recogniser import Recogniser
from emocache.types import SAMPLE_RATE, Corpus, Utterance

NO_WORD = re.compile(r"[^\w']+")
"""What stands between words when errors are counted."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The corpus in other words, its manifest, how many utterances were heard now, and of how many there is no word.

    `errors` and `words` count the wrong and all words, held against the transcripts that the corpus has itself (0 where none).
    """

    corpus: Corpus
    manifest: Path
    now: int
    work_s: float
    silent: int
    errors: int
    words: int


def transcribe(corpus: Corpus, data: Path, name: str, recogniser: Recogniser, batch: int) -> Outcome:
    """Hear every utterance of the corpus that is new or has other audio than when it was heard, and write the corpus `name`.

    Interrupted, it goes on from there. CorpusError for audio that cannot be used, UsageError when what lies under `name` was
    heard by something else.
    """
    transcripts.check_name(corpus, name, data)
    heard, broken = audio.scan(transcripts.originals(corpus), corpus.audio_root, data / corpus.name / HEARD)
    if broken:
        first = next(iter(broken.items()))
        raise CorpusError(f"{corpus.name}: {len(broken)} audio files cannot be used, first {first[0]}: {first[1]}; prepare it again")
    path = data / name / JOURNAL
    before = _before(path, recogniser.about, name)
    done = {one.id: before[one.id] for one in heard if one.id in before and before[one.id].key == one.audio_sha256}
    todo = sorted((one for one in heard if one.id not in done), key=lambda one: -(one.samples or 0))
    began = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    journal.begin(path, recogniser.about, done.values())
    with path.open("a", encoding="utf-8") as file, _bar(name, todo) as bar:
        for utterance, entry in _entries(todo, corpus.audio_root, recogniser, batch):
            journal.append(file, entry)
            done[entry.id] = entry
            bar.update(utterance.samples or 0)
    return _written(corpus, data, name, {one: entry.text for one, entry in done.items()}, recogniser.about, len(todo), began)


def from_table(corpus: Corpus, data: Path, name: str, table: Path) -> Outcome:
    """The corpus `name` in the words of a table, see transcripts.read_csv."""
    transcripts.check_name(corpus, name, data)
    began = time.perf_counter()
    return _written(corpus, data, name, transcripts.read_csv(table), f"table {table.name}", 0, began)


def _written(corpus: Corpus, data: Path, name: str, texts: dict[str, str], whose: str, now: int, began: float) -> Outcome:
    """Write the corpus in these words, and hold them against its own."""
    made = transcripts.in_other_words(corpus, texts, name, whose)
    errors, words = errors_of(transcripts.originals(corpus), texts)
    return Outcome(
        corpus=made, manifest=transcripts.save(made, corpus, data), now=now, work_s=time.perf_counter() - began,
        silent=sum(not one.transcript for one in made.utterances), errors=errors, words=words,
    )  # fmt: skip


def _before(path: Path, about: str, name: str) -> dict[str, Entry]:
    """What the journal knows; UsageError when something else heard it."""
    entries, told = journal.read(path), journal.about(path)
    if entries and told != about:
        raise UsageError(f"{name} was heard by {told}, now asked for: {about}; two kinds are never mixed: give another --name")
    return entries


def _entries(todo: Sequence[Utterance], root: Path, recogniser: Recogniser, batch: int) -> Iterator[tuple[Utterance, Entry]]:
    """What is heard of each, batch by batch."""
    for start in range(0, len(todo), batch):
        part = todo[start : start + batch]
        texts = recogniser.hear([audio.load_utterance(one, root) for one in part])
        for one, text in zip(part, texts, strict=True):
            yield one, Entry(id=one.id, key=one.audio_sha256 or "", text=text)


def _bar(name: str, todo: Sequence[Utterance]) -> "tqdm[None]":
    """Seconds of audio, on stderr."""
    total = sum(one.samples or 0 for one in todo)
    shape = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
    return tqdm(total=total, desc=name, unit="s of audio", unit_scale=1 / SAMPLE_RATE, delay=1, bar_format=shape)


def errors_of(utterances: Sequence[Utterance], texts: dict[str, str]) -> tuple[int, int]:
    """Words inserted, deleted and substituted, and words in all, of utterances with a transcript: lower case, no punctuation."""
    from emocache.encoders.torchaudio_shim import make_torchaudio_importable

    make_torchaudio_importable()
    from speechbrain.utils.edit_distance import accumulatable_wer_stats

    known = [one for one in utterances if one.transcript]
    counts = accumulatable_wer_stats([words(one.transcript or "") for one in known], [words(texts[one.id]) for one in known])
    return sum(counts[kind] for kind in ("insertions", "deletions", "substitutions")), counts["num_ref_tokens"]


def words(text: str) -> list[str]:
    """The words of a text, as errors are counted."""
    return NO_WORD.sub(" ", text.lower()).split()
