"""What of a corpus may be passed on, as its licence says, and what of a feature set that lets out.

The corpus's INFO decides (types.CorpusInfo, and from there the prepared corpus):

    free        features go, and beside them what `passes` names
    ask         the same, for whoever says why it may be (--i-may-share); the reason stands in the card for all to read
    forbidden   nothing goes; there is no way around that

Labels, speakers and folds go without being asked for, so that a copy can be trained on. Transcripts and audio go only when asked
for by name and where `passes` has them; so do the columns of a manifest that emocache does not know, since nobody knows what is
in them. The labels of segments (words, phones), the token that a row stands for and its place in the text are the transcript,
and go with it or not at all. The times of segments and how many rows there are go always.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from emocache import manifest
from emocache.errors import CacheError, CorpusError, UsageError
from emocache.store.card import Card
from emocache.store.layout import CHECKSUMS, SOURCE, to_json
from emocache.store.plan import COLUMN
from emocache.store.seal import SEALED, sealed
from emocache.types import PASSABLE, SHARES, USUAL, Corpus, Utterance
from emocache.views import VOICE

FREE, ASK, FORBIDDEN = SHARES
BY_NAME = tuple(kind for kind in PASSABLE if kind not in USUAL)
"""What goes only when it is asked for by name."""
FIELDS: Mapping[str, tuple[str, ...]] = {
    "labels": ("emotion", "valence", "arousal", "dominance", "votes"),
    "speakers": ("speaker", "gender"),
    "folds": ("session", "fold", "split", "dialogue", "turn"),
    "transcripts": ("transcript",),
    "audio": ("start_s", "end_s", "channel"),
}
"""The fields of an utterance that go with each kind. Its id, language and parent go always, its path never."""
TIMES = ("kind", "nearest", "begin", "end")
"""What is said of a segment and is no transcript."""
PARTS = ("plan", "commits", "features.zarr")
"""Folders of a feature set that hold what was made; the others are work in progress."""
AUDIO = "audio"
"""The folder of a corpus that audio lies in, in a copy that was passed on with it."""
_FOLDERS = re.compile(r"(?:(?<=[\s'\"(=:])|^)(?!//)(?:~\w*|[A-Za-z]:)?[\\/](?=[^\s\\/])(?:[^\\/:\n]+[\\/])*")
"""The folders of an absolute path in a text."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """What of one corpus goes with its features: `kinds` (of PASSABLE), and further `columns` of its manifest by name.

    `reason` is why it may, where the licence asks for one.
    """

    corpus: str
    licence: str
    share: str
    citation: str
    kinds: tuple[str, ...]
    columns: tuple[str, ...] = ()
    reason: str = ""

    @property
    def lacks(self) -> tuple[str, ...]:
        """What the copy is without."""
        return tuple(kind for kind in PASSABLE if kind not in self.kinds)


def strictest(shares: Iterable[str]) -> str:
    """Of several words on the same corpus the strictest; an unknown one forbids."""
    return max(shares, key=lambda share: SHARES.index(share) if share in SHARES else len(SHARES), default=ASK)


def allowed(
    corpus: Corpus, cards: Iterable[Card] = (), *, asked: Sequence[str] = (), columns: Sequence[str] = (), reason: str | None = None
) -> Allowed:
    """What of a corpus may go, when `asked` (of BY_NAME) is asked for by name too; `cards` are those of its feature sets.

    UsageError when nothing may, when a reason is needed and not given, and for what was asked for and may not go or is not there.
    """
    share = strictest([corpus.share, *(card.corpus_share for card in cards)])
    if share not in {FREE, ASK}:
        raise UsageError(f"{corpus.name}: its licence ({corpus.licence}) forbids passing features on, and no option changes that")
    given = " ".join((reason or "").split())
    if share == ASK and not given:
        raise UsageError(
            f"{corpus.name}: its licence ({corpus.licence}) lets features be passed on only by who may; if you may, say why with "
            f"--i-may-share REASON (it will stand in the card), or leave this corpus out with --corpus"
        )
    kinds = tuple(kind for kind in PASSABLE if kind in corpus.passes and kind not in corpus.lacks and (kind in USUAL or kind in asked))
    for kind in asked:
        _check_asked(corpus, kind)
    extra = {name for utterance in corpus.utterances for name in utterance.extra}
    if unknown := [name for name in columns if name not in extra]:
        raise UsageError(f"{corpus.name}: has no further column {unknown[0]!r}; there are: {', '.join(sorted(extra)) or 'none'}")
    return Allowed(
        corpus=corpus.name, licence=corpus.licence, share=share, citation=corpus.citation, kinds=kinds, columns=tuple(columns),
        reason=given if share == ASK else "",
    )  # fmt: skip


def _check_asked(corpus: Corpus, kind: str) -> None:
    """UsageError for something that is asked for by name and may not go, or is not there."""
    if kind not in BY_NAME:
        raise UsageError(f"{kind!r} cannot be asked for; only {' and '.join(BY_NAME)} are left out otherwise")
    if kind not in corpus.passes:
        raise UsageError(f"{corpus.name}: its licence ({corpus.licence}) does not let {kind} be passed on, and no option changes that")
    if kind in corpus.lacks:
        raise UsageError(f"{corpus.name}: came here without {kind}; prepare the corpus itself")


def public_corpus(corpus: Corpus, allowed: Allowed) -> Corpus:
    """A corpus as it may go: without fields, columns, paths and notes that may not, and saying what it lacks.

    Where audio goes, paths are those of `audio_files`.
    """
    files = {source: name for name, source in audio_files(corpus, allowed).items()}
    kept = tuple(_public(one, allowed, files.get(corpus.audio_root / one.path, "")) for one in corpus.utterances)
    return replace(corpus, utterances=kept, audio_root=Path(AUDIO) if files else Path(), lacks=allowed.lacks, notes=())


def _public(utterance: Utterance, allowed: Allowed, path: str) -> Utterance:
    """One utterance, with what may go."""
    lost = {field: None for kind in allowed.lacks for field in FIELDS[kind]}
    columns = {*allowed.columns, *((VOICE,) if "speakers" in allowed.kinds else ())}
    extra = {name: value for name, value in utterance.extra.items() if name in columns}
    return replace(utterance, path=path, samples=None, audio_sha256=None, extra=extra, **lost)  # type: ignore[arg-type]


def left_columns(corpus: Corpus, allowed: Allowed) -> tuple[str, ...]:
    """The further columns of a manifest that do not go, for whoever wants to ask for them."""
    there = dict.fromkeys(name for utterance in corpus.utterances for name in utterance.extra)
    return tuple(name for name in there if name not in {*allowed.columns, VOICE})


def audio_files(corpus: Corpus, allowed: Allowed) -> dict[str, Path]:
    """Name of a file in the copy's folder `audio/` -> where it lies here; nothing where audio does not go.

    Files are numbered: names of one's own could tell of folders, or not fit another system.
    """
    if "audio" not in allowed.kinds:
        return {}
    sources = dict.fromkeys(corpus.audio_root / utterance.path for utterance in corpus.utterances if utterance.path)
    named = {f"{i:07d}{source.suffix.lower()}": source for i, source in enumerate(sources)}
    if gone := [source for source in sources if not source.is_file()]:
        raise CorpusError(f"{corpus.name}: {len(gone)} audio files are not there, first {gone[0]}; push without audio, or from --data")
    return named


def write_public(corpus: Corpus, allowed: Allowed, folder: Path) -> Path:
    """Write `folder/NAME/manifest.csv` and `corpus.json` as they may go. Nothing else of the corpus goes."""
    return manifest.save(public_corpus(corpus, allowed), folder)


def goes(path: PurePosixPath, allowed: Allowed) -> bool:
    """Whether a file of a feature set, by its path in the set's folder, may go: what was made, less what tells the transcript."""
    parts = path.parts
    if any(part.startswith(".") or part.endswith(".partial") for part in parts):
        return False
    if parts == ("card.json",):
        return True
    if len(parts) < 2 or parts[0] not in PARTS:
        return False
    return "transcripts" in allowed.kinds or not _tells(path)


def _tells(path: PurePosixPath) -> bool:
    """Whether a file of a plan says what was said: plan/0/tokens/column.word.npy, plan/0/word@mfa/column.label.npy."""
    if path.parts[0] != "plan" or not path.name.startswith(COLUMN):
        return False
    return SOURCE not in path.parent.name or path.stem.removeprefix(COLUMN) not in TIMES


def public_bytes(path: PurePosixPath, data: bytes, allowed: Allowed) -> bytes:
    """A small file of a feature set (*.json) as it may go: no folders of whoever made it, no checksums of files that stay.

    What needs no change is left as it is, to the byte. CacheError where it is damaged.
    """
    if path.suffix != ".json" or path.parts[0] == "features.zarr":
        return data
    try:
        found = json.loads(data)
        changed = {name: value for name, value in found.items() if name != SEALED}
        if path.name == CHECKSUMS:
            changed = {name: value for name, value in changed.items() if goes(path.with_name(name), allowed)}
        elif path.parts == ("card.json",):
            changed |= {name: without_folders(changed[name]) for name in ("model", "origin", "revision")}
        elif "failures" in changed:
            changed["failures"] = {name: without_folders(why) for name, why in changed["failures"].items()}
            changed |= {"notes": [without_folders(note) for note in changed["notes"]]} if "notes" in changed else {}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CacheError(f"{path}: is damaged ({error}); run `emocache verify`") from None
    if changed == {name: value for name, value in found.items() if name != SEALED}:
        return data
    return (sealed(to_json(changed)) if SEALED in found else to_json(changed)).encode()


def without_folders(text: str) -> str:
    """A text in which of every absolute path the last name is left: paths tell of users and hosts."""
    return _FOLDERS.sub("", text)


def warnings(cards: Iterable[Card], levels: Iterable[str], allowed: Allowed) -> list[str]:
    """What whoever passes these features on, or is given them, must know of what they let out."""
    if "transcripts" in allowed.kinds:
        return []
    found = []
    if texts := sorted({card.encoder for card in cards if card.modality == "text"}):
        found.append(
            f"{allowed.corpus}: embeddings of text ({', '.join(texts)}) may reveal the words that they were made from, and who guesses a "
            "text exactly can check the guess by its SHA-256 in the plan"
        )
    if any(SOURCE in level for level in levels):
        found.append(f"{allowed.corpus}: segments are passed on with their times, without their labels")
    return found
