"""A whole corpus through an aligner: what was aligned before is taken from the journal, and every failure is kept with its reason."""

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path

from tqdm import tqdm

from emocache import audio, languages
from emocache.aligners import journal
from emocache.aligners.base import Aligner
from emocache.aligners.journal import Entry
from emocache.alignment import FOLDER, LEVELS, Alignment, tidy
from emocache.errors import AlignmentError, AudioError, CorpusError
from emocache.heard import HEARD
from emocache.places import plain_name
from emocache.types import SAMPLE_RATE, Corpus, Utterance

WORTH_A_WORKER = 20
"""Utterances for which starting one more process pays."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The alignment of a corpus, how many utterances were worked on now, their seconds of audio, and the seconds that took."""

    alignment: Alignment
    now: int
    audio_s: float
    work_s: float


def align(
    corpus: Corpus, data: Path, aligner: Aligner, *, source: str, workers: int = 1, any_language: bool = False
) -> Outcome:  # fmt: skip
    """Align every utterance that is new, or whose audio, transcript or aligner has changed.

    More than one of `workers` are processes, each with an aligner of its own. With `any_language` the corpus's column
    `language` is not looked at. Interrupted, it goes on from there. CorpusError when no utterance has a transcript.
    """
    if not any(utterance.transcript for utterance in corpus.utterances):
        raise CorpusError(f"{corpus.name}: has no transcripts, and aligning needs them; add a column `transcript` to its manifest")
    known = () if any_language else aligner.languages
    refused = {u.id: reason for u in corpus.utterances if (reason := _refused(u, known)) is not None}
    asked = [u for u in corpus.utterances if u.id not in refused]
    heard, unreadable = audio.scan(asked, corpus.audio_root, data / corpus.name / HEARD)
    path = data / corpus.name / FOLDER / f"{plain_name(source, 'alignment')}.jsonl"
    before = journal.read(path, aligner.about)
    done = {u.id: before[u.id] for u in heard if u.id in before and before[u.id].key == _key(u)}
    todo = [u for u in heard if u.id not in done]
    began = time.perf_counter()
    journal.begin(path, aligner.about, done.values())
    with path.open("a", encoding="utf-8") as file, _bar(corpus, source, todo) as bar:
        for utterance, entry in zip(todo, _entries(aligner, todo, corpus.audio_root, workers), strict=True):
            journal.append(file, entry)
            done[entry.id] = entry
            bar.update(utterance.samples or 0)
    journal.begin(path, aligner.about, (done[u.id] for u in heard))
    failed = refused | unreadable | {entry.id: entry.without for entry in done.values() if entry.without}
    return Outcome(
        alignment=_alignment(corpus, aligner, source, done, failed),
        now=len(todo),
        audio_s=sum(u.samples or 0 for u in todo) / SAMPLE_RATE,
        work_s=time.perf_counter() - began,
    )


def _refused(utterance: Utterance, known: Sequence[str]) -> str | None:
    """Why an utterance is not even tried."""
    if not (utterance.transcript or "").strip():
        return "has no transcript"
    language = languages.code(utterance.language or "")
    if known and language and language not in known:
        return f"is in {utterance.language!r}, and the aligner knows {', '.join(known)} (--language any tries all the same)"
    return None


def _key(utterance: Utterance) -> str:
    """Another one whenever the audio or the transcript is another."""
    words = hashlib.sha256((utterance.transcript or "").encode()).hexdigest()
    return f"{utterance.audio_sha256}/{words}"


def _entries(aligner: Aligner, todo: Sequence[Utterance], root: Path, workers: int) -> Iterator[Entry]:
    """What becomes of each utterance, in their order."""
    try:
        with _mapping(min(workers, -(-len(todo) // WORTH_A_WORKER))) as spread:
            yield from spread(partial(_entry, aligner, root), todo)
    except BrokenProcessPool:
        raise AlignmentError(
            "a worker process died (out of memory?); what it had done is kept: run this again, with fewer --workers"
        ) from None


@contextmanager
def _mapping(workers: int) -> Iterator[Callable[[Callable[[Utterance], Entry], Sequence[Utterance]], Iterable[Entry]]]:
    """`map`, or the same over several processes: started afresh, since a copy of one with threads may hang."""
    if workers <= 1:
        yield map
        return
    pool = ProcessPoolExecutor(workers, mp_context=get_context("spawn"), initializer=_begin_worker)
    try:
        yield partial(pool.map, chunksize=4)
    finally:
        pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """A worker leaves an interrupt from the keyboard to who started it, and ends when that one is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _entry(aligner: Aligner, root: Path, utterance: Utterance) -> Entry:
    """Align one utterance."""
    empty = Entry(id=utterance.id, key=_key(utterance))
    try:
        wave = audio.load_utterance(utterance, root)
        aligned = aligner.align(wave, utterance.transcript or "")
    except (AlignmentError, AudioError) as error:
        return replace(empty, without=str(error))
    mended = {level: tidy(segments, len(wave) / SAMPLE_RATE) for level, segments in aligned.segments.items()}
    notes = [aligned.note, *(f"{level}s: {note}" for level, (_, note) in mended.items() if note)]
    return replace(empty, segments={level: kept for level, (kept, _) in mended.items()}, note="; ".join(filter(None, notes)))


def _alignment(corpus: Corpus, aligner: Aligner, source: str, done: dict[str, Entry], failed: dict[str, str]) -> Alignment:
    """All that is known, in the order of the corpus."""
    order = [u.id for u in corpus.utterances]
    segments = {
        level: {name: done[name].segments[level] for name in order if name not in failed} for level in LEVELS if level in aligner.levels
    }
    notes = {name: done[name].note for name in order if name not in failed and done[name].note}
    without = {name: failed[name] for name in order if name in failed}
    keys = {name: done[name].key.partition("/") for name in order if name in done}
    heard, texts = ({name: key[part] for name, key in keys.items()} for part in (0, 2))
    return Alignment(
        source=source, about=aligner.about, segments=segments, without=without, notes=notes, audio=heard, texts=texts
    )  # fmt: skip


def _bar(corpus: Corpus, source: str, todo: Sequence[Utterance]) -> "tqdm[None]":
    """A bar on stderr in seconds of audio, shown once a run takes longer than a second."""
    shape = "{desc}: {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} {unit} [{elapsed}<{remaining}, {rate_fmt}]"
    total = sum(u.samples or 0 for u in todo)
    return tqdm(
        total=total, desc=f"{corpus.name}/{source}", unit="s of audio", unit_scale=1 / SAMPLE_RATE, delay=1, bar_format=shape
    )  # fmt: skip
