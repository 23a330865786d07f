"""From a corpus as it was published to `data/NAME/`: read, label, listen to every file, compare the counts, write."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from emocache import alignment, audio, labels, manifest
from emocache.alignment import Alignment
from emocache.corpora import CORPORA
from emocache.errors import CorpusError, UsageError
from emocache.heard import HEARD
from emocache.places import plain_name
from emocache.types import SAMPLE_RATE, Corpus, CorpusInfo, Utterance

SKIPPED = "(audio missing or broken)"
"""What `left_out` calls utterances left out by name for their audio."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What `prepare` made: the corpus, its manifest on disk, seconds of audio, and reasons by id of what was left out.

    `alignments` are those that the corpus brings. The utterances of `corpus` carry the length and the digest of their audio.
    """

    corpus: Corpus
    manifest: Path
    seconds: float
    skipped: Mapping[str, str] = field(default_factory=dict)
    alignments: tuple[Alignment, ...] = ()


def prepare(
    reader: str,
    root: Path,
    *,
    name: str | None = None,
    data: Path = Path("data"),
    audio_root: Path | None = None,
    scheme: str | None = None,
    skip_broken: bool = False,
) -> Prepared:
    """Read the corpus at `root` and write its manifest to `data/NAME/`; an earlier one is replaced.

    `name` is the reader's unless given (a CSV file needs one), `scheme` the corpus's own label scheme unless given.
    Audio paths count from `audio_root`, else from `root` or its folder. Every file that the scheme keeps is decoded,
    once: the results are remembered beside the manifest. Audio that is missing or broken is a CorpusError, unless
    it is known to be so from the publishers, or `skip_broken` leaves it out by name. Alignments that the corpus brings are
    written again, for these utterances; who has none is listed in them. When something is raised,
    nothing is written but that memory. UsageError for an unknown reader or scheme, or a name that cannot be.
    """
    module, name = _reader(reader), _corpus_name(reader, name)
    info: CorpusInfo = module.info(root)
    chosen = scheme or info.scheme
    spoken = [replace(utterance, language=utterance.language or info.language) for utterance in module.read(root)]
    kept, left_out = _labelled(spoken, chosen, root)
    folder = (audio_root or (root if root.is_dir() else root.parent)).resolve()
    may_skip = {utterance.id for utterance in kept} if skip_broken else set(info.broken)
    heard, skipped = _listen(kept, folder, data / name / HEARD, may_skip)
    corpus = Corpus(
        name=name,
        reader=reader,
        scheme=chosen,
        audio_root=folder,
        utterances=tuple(heard),
        licence=info.licence,
        share=info.share,
        citation=info.citation,
        differs=_differs(info, chosen, heard),
        left_out=left_out | ({SKIPPED: len(skipped)} if skipped else {}),
    )
    aligned: list[Alignment] = module.alignments(root, heard) if hasattr(module, "alignments") else []
    for one in aligned:
        alignment.save(one, data, name)
    seconds = sum(utterance.samples or 0 for utterance in heard) / SAMPLE_RATE
    path = manifest.save(corpus, data)
    return Prepared(corpus=corpus, manifest=path, seconds=seconds, skipped=skipped, alignments=tuple(aligned))


def _reader(reader: str) -> ModuleType:
    if reader not in CORPORA:
        raise UsageError(f"no corpus reader {reader!r}; there are: {', '.join(CORPORA)} (csv reads any list of utterances)")
    return CORPORA[reader]


def _corpus_name(reader: str, name: str | None) -> str:
    """The folder name of the corpus."""
    if name is None and reader == "csv":
        raise UsageError("a CSV file does not say what its corpus is called; give --name")
    return plain_name(reader if name is None else name, "--name")


def _labelled(utterances: Sequence[Utterance], scheme: str, root: Path) -> tuple[list[Utterance], dict[str, int]]:
    """What the label scheme keeps, and the labels that it leaves out."""
    manifest.check_ids(utterances, root)
    kept, left_out = labels.apply(scheme, utterances)
    if not kept:
        found = ", ".join(f"{label} {count}" for label, count in left_out.items())
        raise CorpusError(f"{root}: label scheme {scheme!r} keeps none of {len(utterances)} utterances ({found}); use --scheme as-is")
    return kept, left_out


def _listen(utterances: Sequence[Utterance], folder: Path, memory: Path, may_skip: set[str]) -> tuple[list[Utterance], dict[str, str]]:
    """Decode every file: the utterances with lengths and digests, and reasons by id of those left out."""
    missing = {u.id: f"{folder / u.path}: no such file" for u in utterances if not (folder / u.path).is_file()}
    _stop(missing, may_skip, "are missing", "complete the corpus, or say with --root where the audio lies", len(utterances))
    heard, broken = audio.scan([u for u in utterances if u.id not in missing], folder, memory)
    _stop(broken, may_skip, "cannot be used", "restore the files, or leave them out by name with --skip-broken", len(utterances))
    if not heard:
        raise CorpusError(f"{folder}: none of {len(utterances)} audio files can be used; nothing is left to prepare")
    return heard, missing | broken


def _stop(reasons: Mapping[str, str], may_skip: set[str], what: str, remedy: str, total: int) -> None:
    """Raise for audio that may not be left out: all of it counted, the first named."""
    if bad := [name for name in reasons if name not in may_skip]:
        raise CorpusError(f"{len(bad)} of {total} audio files {what}, first {bad[0]}: {reasons[bad[0]]}; {remedy}")


def _differs(info: CorpusInfo, scheme: str, utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """How the counts differ from the published ones; nothing where none are published."""
    if scheme not in info.expected:
        return ()
    return labels.differences(info.expected[scheme], Counter(utterance.emotion or "(no label)" for utterance in utterances))
