"""A whole corpus to augmented views: what was made before is taken from the journal, and what is of no use is listed with its reason."""

import hashlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import soundfile
from tqdm import tqdm

from emocache import audio, journal, languages, manifest, views
from emocache.augment import faults
from emocache.augment.base import Rewriter, Rewritten, Synthesiser, Waveform
from emocache.augment.plan import Plan, Planned, Wish, check, originals, plan
from emocache.errors import AugmentationError, UsageError
from emocache.heard import HEARD
from emocache.journal import JOURNAL, Entry
from emocache.types import SAMPLE_RATE, Corpus, LeftOut, Utterance
from emocache.views import View

OWN_AUDIO = "own audio"
"""What tables say of views with the audio of their parents."""
CHANGED = "its utterance or voice has changed since it was made; ask for it again"
GONE = "its utterance is gone, and so is the view"


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """The views that there are by now, the reason for each that is not, and what was done: views tried now, and the seconds that took.

    `how` says in a few words how they are made, `voices` what stands for each speaker (where it is not learnt from their audio).
    """

    path: Path
    how: str
    views: tuple[View, ...]
    left_out: Mapping[str, str]
    voices: Mapping[str, str]
    now: int
    work_s: float


def augment(corpus: Corpus, data: Path, rewriter: Rewriter, synthesiser: Synthesiser | None, wish: Wish) -> Outcome:
    """Make every view that is asked for and new, or whose utterance or voice has changed; those of before are kept.

    Interrupted, it goes on from there. UsageError when there are views that were made in another way, CorpusError when the
    corpus lacks what views need.
    """
    folder = data / corpus.name / views.FOLDER
    check(corpus, synthesiser, wish)
    told = f"{rewriter.about}; {synthesiser.about if synthesiser else OWN_AUDIO}; seed {wish.seed}"
    before = _before(corpus.name, folder, told)
    heard, unreadable = audio.scan(originals(corpus), corpus.audio_root, data / corpus.name / HEARD)
    found = plan(heard, corpus, synthesiser, wish, before)
    done = {one.id: before[one.id] for one in found.planned if one.id in before and before[one.id].key == one.key}
    todo = [one for one in found.planned if one.asked and one.id not in done]
    began = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    journal.begin(folder / JOURNAL, told, done.values())
    with (folder / JOURNAL).open("a", encoding="utf-8") as file, _bar(corpus.name, len(todo)) as bar:
        for entry in _entries(found.planned, todo, rewriter, synthesiser, wish, folder):
            journal.append(file, entry)
            done[entry.id] = entry
            bar.update()
    lost = {f"{name}-view1": reason for name, reason in unreadable.items() if wish.ids is None or name in wish.ids}
    outcome = Outcome(
        path=folder / views.VIEWS,
        how=f"{rewriter.name}, {synthesiser.name if synthesiser else OWN_AUDIO}",
        views=tuple(_view(one, done[one.id]) for one in found.planned if one.id in done and not done[one.id].without),
        left_out=_unused(found, before, done) | dict(found.without) | lost,
        voices=dict(synthesiser.voices) if synthesiser else {},
        now=len(todo),
        work_s=time.perf_counter() - began,
    )
    _hear(outcome, heard, corpus.audio_root, data / corpus.name / HEARD)
    _save(outcome, told, {utterance.id: utterance.emotion or "" for utterance in corpus.utterances})
    return outcome


def _hear(outcome: Outcome, heard: Sequence[Utterance], root: Path, memory: Path) -> None:
    """Take down what the views sound like: by this, features of an earlier view of the same id are known to be of another."""
    by_id = {one.id: one for one in heard}
    audio.scan([views.utterance(view, by_id[view.parent], outcome.path.parent, outcome.how) for view in outcome.views], root, memory)


def _save(outcome: Outcome, told: str, emotions: Mapping[str, str]) -> None:
    """Write who is left out, then the views; remove the speech of those that are none any more, and what a kill left."""
    folder = outcome.path.parent
    left_out = outcome.left_out.items()
    manifest.save_left_out([LeftOut(name, emotions.get(name.rpartition("-view")[0], ""), reason) for name, reason in left_out], folder)
    views.save(outcome.views, {views.HOW: outcome.how, "about": told, "voices": outcome.voices}, folder)
    used = {view.path for view in outcome.views}
    for path in [*folder.glob("*.wav"), *folder.glob(".*.wav.part")]:
        if path.name not in used:
            path.unlink()


def remove(data: Path, corpus: str) -> int:
    """Remove all views of a corpus; how many there were."""
    folder = data / corpus / views.FOLDER
    listed = (folder / views.VIEWS).read_text(encoding="utf-8").splitlines()[1:] if (folder / views.VIEWS).is_file() else []
    count = len(list(folder.glob("*.wav")) or listed)
    (folder / views.VIEWS).unlink(missing_ok=True)  # first, so that nobody finds views without audio
    shutil.rmtree(folder, ignore_errors=True)
    return count


def _before(corpus: str, folder: Path, told: str) -> dict[str, Entry]:
    """What the journal knows and the disk still has; UsageError when that was made in another way."""
    entries, about = journal.read(folder / JOURNAL), journal.about(folder / JOURNAL)
    if entries and about != told:
        raise UsageError(
            f"{corpus} has views that were made otherwise ({about}), now asked for: {told}; two kinds are never mixed: "
            f"repeat those settings, or remove them with `emocache augment --corpus {corpus} --remove`"
        )
    return {name: entry for name, entry in entries.items() if not entry.path or (folder / entry.path).is_file()}


def _entries(
    planned: Sequence[Planned], todo: Sequence[Planned], rewriter: Rewriter, synthesiser: Synthesiser | None, wish: Wish, folder: Path
) -> Iterator[Entry]:
    """What becomes of each view in `todo`. Which texts share a batch is decided by all that is planned, not by what is left to do."""
    texts = sorted({str(one.parent.transcript) for one in planned}, key=lambda text: (len(text), text))
    of: dict[str, list[Planned]] = {}
    for one in todo:
        of.setdefault(str(one.parent.transcript), []).append(one)
    for start in range(0, len(texts), wish.batch):
        batch = texts[start : start + wish.batch]
        if not any(text in of for text in batch):
            continue
        for text, made in zip(batch, rewriter.rewrite(batch), strict=True):
            for one in of.get(text, ()):
                yield _entry(one, made, synthesiser, wish, folder)


def _entry(one: Planned, made: Rewritten, synthesiser: Synthesiser | None, wish: Wish, folder: Path) -> Entry:
    """Make one view: its speech on the disk, or the reason for which there is none."""
    if made.fault or synthesiser is None or one.voice is None:
        return Entry(id=one.id, key=one.key, text="" if made.fault else made.text, without=made.fault)
    name = f"{one.id}.wav"
    if len(os.fsencode(_part(name))) > manifest.LONGEST_NAME:
        return Entry(id=one.id, key=one.key, without="its id is too long for the name of a file")
    try:
        wave = synthesiser.speak(made.text, one.voice, languages.code(one.parent.language or ""), _seed(wish.seed, one.id))
    except AugmentationError as error:
        return Entry(id=one.id, key=one.key, without=str(error))
    if fault := faults.of_speech(wave, one.parent):
        return Entry(id=one.id, key=one.key, without=fault)
    _write(folder / name, wave)
    return Entry(id=one.id, key=one.key, path=name, text=made.text)


def _seed(seed: int, name: str) -> int:
    """A seed of a view's own."""
    return int.from_bytes(hashlib.sha256(f"{seed}/{name}".encode()).digest()[:7], "big")


def _write(path: Path, wave: Waveform) -> None:
    """16 bit, scaled down where it would clip; the file appears whole."""
    part = path.with_name(_part(path.name))
    with part.open("wb") as file:
        soundfile.write(file, wave / max(1.0, float(abs(wave).max())), SAMPLE_RATE, format="WAV", subtype="PCM_16")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def _part(name: str) -> str:
    """What a file is called until it is whole."""
    return f".{name}.part"


def _view(one: Planned, entry: Entry) -> View:
    return View(
        utterance_id=one.id, parent=one.parent.id, voice=one.speaker, path=entry.path, transcript=entry.text,
        made_from=views.state(one.parent),
    )  # fmt: skip


def _unused(found: Plan, before: Mapping[str, Entry], done: Mapping[str, Entry]) -> dict[str, str]:
    """Why a view that is planned, or that there was before, is not used."""
    planned = {one.id for one in found.planned}
    gone = dict.fromkeys((name for name in before if name not in planned), GONE)
    reasons = {one.id: done[one.id].without if one.id in done else CHANGED for one in found.planned}
    return gone | {name: reason for name, reason in reasons.items() if reason}


def _bar(corpus: str, total: int) -> "tqdm[None]":
    """A bar on stderr in views, shown once a run takes longer than a second."""
    return tqdm(total=total, desc=f"{corpus}/views", unit="view", delay=1)
