"""The augmented views of a corpus, in `data/NAME/views/`, and how they become utterances of it.

    views.csv      a row a view: utterance_id, parent, voice, path, transcript, made_from; written last and whole
    about.json     how they were made, and what voices stand for the speakers
    ID.wav         the speech of a view, 16 kHz, mono (none where that is its parent's own)
    left_out.csv   the views that were not made or are not used: id, label, reason
    journal.jsonl  what was made so far (journal.py)

A view is an utterance like its parent but for its id, its audio and its text; it has the parent's labels, speaker and folds. Two
more columns say whose voice it has (`voice`: a speaker of the corpus) and how it was made (`view`). A view whose parent is gone, or
has another text, emotion or speaker by now, is none of the corpus's utterances, nor is one whose voice no speaker has.
"""

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Any

from emocache.errors import CorpusError
from emocache.files import write_changed
from emocache.types import Utterance

FOLDER, VIEWS, ABOUT = "views", "views.csv", "about.json"
VOICE, HOW = "voice", "view"
"""Columns that a view has beyond those of its parent."""


@dataclass(frozen=True, slots=True)
class View:
    """One view as it is listed: `path` is the name of its file, '' for its parent's own audio; `made_from` is what its parent was."""

    utterance_id: str
    parent: str
    voice: str
    path: str
    transcript: str
    made_from: str


@dataclass(frozen=True, slots=True)
class Attached:
    """The utterances that views are, and in words what there is to know of them (nothing where there are no views)."""

    utterances: tuple[Utterance, ...] = ()
    notes: tuple[str, ...] = ()


def state(utterance: Utterance) -> str:
    """Another one whenever what a view shows of an utterance is another: its words, emotion or speaker."""
    told = [utterance.transcript, utterance.emotion, utterance.speaker]
    return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).hexdigest()[:16]


def attach(originals: Sequence[Utterance], folder: Path) -> Attached:
    """The views in `folder` (data/NAME/views) as utterances, in the order of their list. CorpusError where the list is damaged.

    Nobody could keep a voice from the test part of a speaker who is called otherwise by now, so such views are not used.
    """
    listed = read(folder)
    if not listed:
        return Attached()
    by_id = {one.id: one for one in originals}
    how = str(about(folder).get(HOW, ""))
    speakers = {one.speaker for one in originals}
    used = [view for view in listed if view.voice in speakers and view.parent in by_id and view.made_from == state(by_id[view.parent])]
    found = tuple(utterance(view, by_id[view.parent], folder, how) for view in used)
    return Attached(found, _notes(used, len(listed) - len(used), how))


def utterance(view: View, parent: Utterance, folder: Path, how: str) -> Utterance:
    """A view as an utterance."""
    own = {"path": str((folder / view.path).resolve()), "start_s": None, "end_s": None, "channel": None, "samples": None}
    audio: dict[str, Any] = own | {"audio_sha256": None} if view.path else {}
    extra = {**parent.extra, VOICE: view.voice, HOW: how}
    return replace(parent, id=view.utterance_id, parent=view.parent, transcript=view.transcript, extra=extra, **audio)


def _notes(used: Sequence[View], others: int, how: str) -> tuple[str, ...]:
    """How many views there are, and how many are not used."""
    parents = len({view.parent for view in used})
    notes = [f"{len(used)} augmented views of {parents} utterances ({how})"] if used else []
    if others:
        notes.append(
            f"{others} augmented views are not used, since their utterances or voices are gone or changed; `emocache augment` mends it"
        )
    return tuple(notes)


def told(utterances: Iterable[Utterance]) -> list[str]:
    """How many of some utterances are views, and how those were made: for everybody who shows or uses them."""
    counted = Counter(utterance.extra.get(HOW) or "as the manifest says" for utterance in utterances if utterance.parent)
    return [f"{count} of these are augmented views ({how})" for how, count in counted.items()]


def read(folder: Path) -> list[View]:
    """The views that are listed; none where there is no list. CorpusError where it is damaged."""
    path = folder / VIEWS
    if not path.is_file():
        return []
    try:
        header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8"), newline=""), strict=True)
        if header != [field.name for field in fields(View)]:
            raise ValueError("other columns than expected")
        return [View(*row) for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise CorpusError(f"{path}: damaged ({error}); try `emocache augment --corpus {folder.parent.name} --remove`") from None


def about(folder: Path) -> dict[str, Any]:
    """How the views were made; nothing where nobody has said so."""
    try:
        return dict(json.loads((folder / ABOUT).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def save(views: Iterable[View], told: Mapping[str, object], folder: Path) -> Path:
    """Write how they were made, then the list."""
    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerow(field.name for field in fields(View))
    writer.writerows(astuple(view) for view in views)
    write_changed(folder / ABOUT, json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    write_changed(folder / VIEWS, sink.getvalue())
    return folder / VIEWS
