"""Corpora that came: which of several manifests is kept, and how it is taken in beside one that is here."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from emocache import manifest
from emocache.share.format import Version
from emocache.share.policy import AUDIO, FIELDS
from emocache.types import Corpus, Utterance

Origin = tuple[str, str]
"""A corpus, and the version that it came from."""


def widest(corpora: Mapping[Origin, Corpus], origins: Mapping[Origin, Version]) -> list[Origin]:
    """Of each corpus the manifest with the most utterances, of several the newest: whoever pushed a few last hides no others' labels."""
    ranked = sorted(corpora, key=lambda origin: (len(corpora[origin].utterances), origins[origin].made))
    return list(dict(ranked).items())


def others_labels(features: str, version: str, kept: Iterable[Origin], origins: Mapping[Origin, Version]) -> str:
    """The version whose manifest is kept, where it is another one than that of a feature set's own version; else nothing."""
    corpus = features.partition("/")[0]
    taken = dict(kept)[corpus]
    own, other = (origins[corpus, name].corpora[corpus][manifest.MANIFEST] for name in (version, taken))
    return taken if own != other else ""


def save(root: Path, corpus: Corpus, audio: Mapping[str, Path]) -> None:
    """Write a corpus into the cache at `root`, with its `audio` (name in its folder -> file).

    One that was prepared here, or has utterances that the new one lacks, is left as it is.
    """
    folder = root / corpus.name
    if (folder / manifest.MANIFEST).is_file():
        mine = manifest.load(root, corpus.name)
        if not mine.lacks or not {one.id for one in mine.utterances} <= {one.id for one in corpus.utterances}:
            return
        corpus = _with_what_is_here(corpus, mine)
    for name, source in audio.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        shutil.copyfile(source, part)
        part.replace(path)
    manifest.save(corpus, root)


def _with_what_is_here(corpus: Corpus, mine: Corpus) -> Corpus:
    """A corpus with the transcripts, audio and the like that an earlier pull brought and this one does not."""
    kinds = [kind for kind in corpus.lacks if kind not in mine.lacks]
    known = {one.id: one for one in mine.utterances}
    whole = len(known) == len(corpus.utterances)
    utterances = tuple(_filled(one, known[one.id], kinds) if one.id in known else one for one in corpus.utterances)
    return replace(
        corpus, utterances=utterances, audio_root=Path(AUDIO) if AUDIO in kinds else corpus.audio_root,
        lacks=tuple(kind for kind in corpus.lacks if kind not in kinds or not whole),
        passes=tuple(dict.fromkeys([*corpus.passes, *(kind for kind in kinds if whole and kind in mine.passes)])),
    )  # fmt: skip


def _filled(utterance: Utterance, known: Utterance, kinds: Iterable[str]) -> Utterance:
    """An utterance with what is known of it of these kinds."""
    found = {name: getattr(known, name) for kind in kinds for name in FIELDS[kind]}
    return replace(utterance, path=known.path if AUDIO in kinds else utterance.path, **found)
