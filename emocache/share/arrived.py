"""A corpus as it came from a remote: its manifest is held against what a copy may be before anything reads it as the user's own."""

import re
from dataclasses import fields, replace
from pathlib import Path

from emocache import manifest
from emocache.errors import CacheError, CorpusError
from emocache.share.policy import AUDIO, FIELDS
from emocache.share.sharecard import SharedCorpus
from emocache.types import PASSABLE, Corpus, Utterance
from emocache.views import VOICE

_FILE = re.compile(r"[0-9]{7}(?:\.[a-z0-9]{1,8})?")
"""What audio that was passed on is called."""


def arrived(folder: Path, said: SharedCorpus) -> Corpus:
    """The corpus in `folder/NAME`, with licence and sharing as the card says them; to be saved in the place of what came.

    CacheError when it names files outside of the copy, holds what the card does not tell of, or text that cannot be shown.
    """
    try:
        corpus = manifest.load(folder, said.name)
    except CorpusError as error:
        raise CacheError(f"{said.name}: its manifest cannot be used: {error}") from None
    for utterance in corpus.utterances:
        _check(utterance, said)
    lacks = tuple(kind for kind in PASSABLE if kind not in said.passes)
    root = Path(AUDIO) if AUDIO in said.passes else Path()
    return replace(
        corpus, audio_root=root, lacks=lacks, notes=(), licence=said.licence, share=said.share, citation=said.citation,
        scheme=_line(corpus.scheme, said), reader=_line(corpus.reader, said), passes=_passes(corpus, said),
        differs=tuple(_line(one, said) for one in corpus.differs),
        left_out={_line(name, said): _count(count, said) for name, count in corpus.left_out.items()},
    )  # fmt: skip


def _check(utterance: Utterance, said: SharedCorpus) -> None:
    """CacheError for an utterance that is not as the card says."""
    if utterance.path and not (AUDIO in said.passes and _FILE.fullmatch(utterance.path)):
        raise CacheError(f"{said.name}: its manifest names files outside of the copy, at {utterance.id!a}; it is not used")
    untold = [name for kind in PASSABLE if kind not in said.passes for name in FIELDS[kind] if getattr(utterance, name) is not None]
    untold += [name for name in utterance.extra if name not in {*said.columns, *((VOICE,) if "speakers" in said.passes else ())}]
    if untold:
        raise CacheError(f"{said.name}: its manifest holds {untold[0][:80]!a}, which its card does not tell of; it is not used")
    texts = [value for one in fields(utterance) if isinstance(value := getattr(utterance, one.name), str)]
    for text in (*texts, *utterance.extra, *utterance.extra.values()):
        _line(text, said)


def _line(text: object, said: SharedCorpus) -> str:
    """A text that can be shown; CacheError for any other value."""
    if not isinstance(text, str) or not text.replace("\n", "").replace("\t", "").isprintable():
        raise CacheError(f"{said.name}: its manifest or corpus.json holds text that cannot be shown; it is not used")
    return text


def _count(value: object, said: SharedCorpus) -> int:
    """A number of utterances."""
    if type(value) is not int or value < 0:
        raise CacheError(f"{said.name}: its corpus.json counts {value!a}; it is not used")
    return value


def _passes(corpus: Corpus, said: SharedCorpus) -> tuple[str, ...]:
    """What may be passed on further: of what came."""
    return tuple(kind for kind in PASSABLE if kind in said.passes and kind in corpus.passes)
