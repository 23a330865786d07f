"""Other transcripts of a prepared corpus, such as a recogniser's: a corpus beside it, of the same utterances in other words.

    data/NAME/manifest.csv    as that of the corpus, but for the transcripts
    data/NAME/corpus.json     the same audio, licence and label scheme, and in its notes whose words these are
    data/NAME/journal.jsonl   what a recogniser has heard so far (journal.py)

All that takes a corpus takes it: `extract` encodes these words, `train --test-text NAME/FEATURES` tests with them.
"""

import csv
import io
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from emocache import manifest
from emocache.errors import CorpusError, UsageError
from emocache.files import line_of
from emocache.heard import HEARD
from emocache.types import Corpus, Utterance

COLUMNS = ("utterance_id", "transcript")
NOTE = "the transcripts are another's than those of {}: {}"


def read_csv(path: Path) -> dict[str, str]:
    """Id -> text, of a table with COLUMNS; an empty text is one. CorpusError names file and line of whatever does not fit."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise CorpusError(f"{path}: cannot be read ({error.strerror}); give a CSV with the columns {' and '.join(COLUMNS)}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}:{line_of(error)}: not UTF-8 (byte {error.start}); save it as UTF-8") from None
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        if missing := [name for name in COLUMNS if name not in (rows.fieldnames or [])]:
            raise CorpusError(f"{path}: no column {', '.join(missing)}; needed are {' and '.join(COLUMNS)}")
        if twice := [name for name in COLUMNS if (rows.fieldnames or []).count(name) > 1]:
            raise CorpusError(f"{path}: two columns are called {twice[0]}; leave one")
        pairs = [_pair(row, f"{path}:{rows.line_num}") for row in rows]
    except csv.Error as error:
        raise CorpusError(f"{path}:{rows.line_num + 1}: not a CSV row ({error}); look for a double quote too many") from None
    if twice := [name for name, count in Counter(name for name, _ in pairs).items() if count > 1]:
        raise CorpusError(f"{path}: {twice[0]!r} stands twice; give one transcript an utterance")
    return dict(pairs)


def _pair(row: Mapping[str | None, str | list[str] | None], where: str) -> tuple[str, str]:
    """One row of the table."""
    if None in row or None in row.values():
        raise CorpusError(f"{where}: not as many fields as the header; put text with commas in double quotes")
    return str(row[COLUMNS[0]]).strip(), str(row[COLUMNS[1]]).strip()


def originals(corpus: Corpus) -> list[Utterance]:
    """The utterances that are no views of others."""
    return [utterance for utterance in corpus.utterances if not utterance.parent]


def check_name(corpus: Corpus, name: str, data: Path) -> None:
    """UsageError when a corpus with other words cannot be called so, because that is another one."""
    if name == corpus.name:
        raise UsageError(f"--name {name}: is the corpus itself, whose transcripts are kept; give another name")
    if name in manifest.names(data) and not _made_of(corpus, manifest.load(data, name)):
        raise UsageError(f"--name {name}: {data / name} is another corpus; give another name")


def _made_of(corpus: Corpus, other: Corpus) -> bool:
    """Whether the other is this one in other words; of several steps the last counts."""
    return any(note.startswith(NOTE.format(corpus.name, "")) for note in other.notes[-1:])


def in_other_words(corpus: Corpus, texts: Mapping[str, str], name: str, whose: str) -> Corpus:
    """The corpus `name`: the utterances of `corpus`, views left aside, with `texts` in place of their transcripts.

    `whose` says in words who transcribed. CorpusError when an utterance has no text, or a text no utterance.
    """
    known = originals(corpus)
    if lacking := [one.id for one in known if one.id not in texts]:
        raise CorpusError(
            f"{whose}: has no transcript of {len(lacking)} of {len(known)} utterances of {corpus.name}, first {lacking[0]}; "
            "add them (an empty transcript for one that has none)"
        )
    if strange := sorted(texts.keys() - {one.id for one in corpus.utterances}):
        raise CorpusError(f"{whose}: {len(strange)} transcripts are of no utterance of {corpus.name}, first {strange[0]!r}; mend the ids")
    spoken = tuple(replace(one, transcript=texts[one.id] or None) for one in known)
    return replace(corpus, name=name, utterances=spoken, notes=(*corpus.notes, NOTE.format(corpus.name, whose)))


def save(corpus: Corpus, source: Corpus, data: Path) -> Path:
    """Write it beside the corpus that it was made of; what was heard in the audio of that one is known of this one."""
    folder = data / corpus.name
    folder.mkdir(parents=True, exist_ok=True)
    if (data / source.name / HEARD).is_file():
        shutil.copyfile(data / source.name / HEARD, folder / HEARD)
    return manifest.save(corpus, data)


def same(utterances: Sequence[Utterance], texts: Mapping[str, str]) -> bool:
    """Whether these utterances are in these words."""
    return all(texts.get(one.id) == (one.transcript or "") for one in utterances)
