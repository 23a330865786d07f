"""From a corpus as it was published to `data/NAME/`: read, label, listen to every file, compare the counts, write."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType

from emocache import alignment, audio, labels, manifest
from emocache.alignment import Alignment
from emocache.corpora import CORPORA, published
from emocache.errors import CorpusError, UsageError
from emocache.heard import HEARD
from emocache.places import plain_name
from emocache.types import PASSABLE, SAMPLE_RATE, SHARES, Corpus, CorpusInfo, LeftOut, Utterance

SKIPPED = "(audio missing or broken)"
"""What `left_out` calls utterances left out by name for their audio."""


STRAY = "(no recording of the corpus)"
"""What it calls files that look like one, named by their paths."""
NAMELESS = ("csv", "jsonl", "huggingface", "emobox")
"""Readers of many corpora, so that each corpus needs a name of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What `prepare` made: the corpus, its manifest on disk, seconds of audio, and what was left out.

    The utterances of `corpus` carry the length and the digest of their audio. `skipped` gives the reason by id for audio that
    cannot be used; `left_out` names those, all that the label scheme leaves out, and files that look like recordings of the
    corpus and are none. `alignments` are those that the corpus brings.
    """

    corpus: Corpus
    manifest: Path
    seconds: float
    skipped: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()
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
    licence: str | None = None,
    share: str | None = None,
    passes: Sequence[str] | None = None,
) -> Prepared:
    """Read the corpus at `root` and write its manifest to `data/NAME/`; an earlier one is replaced.

    `name` is the reader's unless given (those of NAMELESS need one), `scheme` the corpus's own label scheme unless given.
    Audio paths count from `audio_root`, else from `root` or its folder. Every file that the scheme keeps is decoded,
    once: the results are remembered beside the manifest. Audio that is missing or broken is a CorpusError, unless
    it is known to be so from the publishers, or `skip_broken` leaves it out by name. Alignments that the corpus brings are
    written again, for these utterances; who has none is listed in them. One of the same name that was made otherwise is
    kept, and the corpus's notes say so. When something is raised, nothing is written but that memory. UsageError for an
    unknown reader or scheme, or a name that cannot be. `licence`, `share` and `passes` (see CorpusInfo) are those of a corpus
    of one's own; of a known one they can only be stricter.
    """
    module, name = _reader(reader), _corpus_name(reader, name)
    info = _on_terms(reader, module.info(root), licence, share, passes)
    chosen = scheme or info.scheme
    spoken = [replace(utterance, language=utterance.language or info.language) for utterance in module.read(root)]
    kept, left_out = _labelled(spoken, chosen, root)
    stray: list[LeftOut] = module.strays(root, spoken) if hasattr(module, "strays") else []
    folder = (audio_root or (root if root.is_dir() else root.parent)).resolve()
    may_skip = {utterance.id for utterance in kept} if skip_broken else set(info.broken)
    heard, skipped = _listen(kept, folder, data / name / HEARD, may_skip, set(info.broken))
    absent = [utterance for utterance in kept if utterance.id in skipped and utterance.id in info.broken]
    brought: list[Alignment] = module.alignments(root, heard) if hasattr(module, "alignments") else []
    taken_up = [_take_up(one, data, name) for one in brought]
    corpus = Corpus(
        name=name,
        reader=reader,
        scheme=chosen,
        audio_root=folder,
        utterances=tuple(heard),
        licence=info.licence,
        share=info.share,
        passes=info.passes,
        citation=info.citation,
        differs=published.differs(info, chosen, [*heard, *absent]),
        left_out=labels.counted(left_out) | {what: count for what, count in ((SKIPPED, len(skipped)), (STRAY, len(stray))) if count},
        notes=(*published.notes(info, chosen, heard, absent), *(note for _, note in taken_up if note)),
    )
    left_out += [*(LeftOut(u.id, u.emotion or "", skipped[u.id]) for u in kept if u.id in skipped), *stray]
    manifest.save_left_out(left_out, data / name)
    seconds = sum(utterance.samples or 0 for utterance in heard) / SAMPLE_RATE
    return Prepared(
        corpus=corpus, manifest=manifest.save(corpus, data), seconds=seconds, skipped=skipped, left_out=tuple(left_out),
        alignments=tuple(one for one, _ in taken_up),
    )  # fmt: skip


def _reader(reader: str) -> ModuleType:
    if reader not in CORPORA:
        raise UsageError(f"no corpus reader {reader!r}; there are: {', '.join(CORPORA)} (csv reads any list of utterances)")
    return CORPORA[reader]


def _corpus_name(reader: str, name: str | None) -> str:
    """The folder name of the corpus."""
    if name is None and reader in NAMELESS:
        raise UsageError(f"{reader} does not say what its corpus is called; give --name")
    return plain_name(reader if name is None else name, "--name")


def _on_terms(reader: str, info: CorpusInfo, licence: str | None, share: str | None, passes: Sequence[str] | None) -> CorpusInfo:
    """What is known of a corpus, with what its user says of passing it on. UsageError for what cannot be, or is looser than is known."""
    if share is not None and share not in SHARES:
        raise UsageError(f"--share {share}: expected one of {', '.join(SHARES)}")
    if unknown := [kind for kind in passes or () if kind not in PASSABLE]:
        raise UsageError(f"--passes {unknown[0]}: expected some of {', '.join(PASSABLE)}")
    share, passes = share or info.share, info.passes if passes is None else tuple(passes)
    looser = SHARES.index(share) < SHARES.index(info.share) or not set(passes) <= set(info.passes)
    if reader not in NAMELESS and (licence is not None or looser):
        raise UsageError(
            f"{reader}: its licence is known ({info.licence}; {info.share}, with {', '.join(info.passes)}); --share and --passes can "
            "only be stricter, and --licence is for corpora of your own"
        )
    return replace(info, licence=licence or info.licence, share=share, passes=passes)


def _take_up(brought: Alignment, data: Path, name: str) -> tuple[Alignment, str]:
    """Write an alignment that the corpus brings; where one of that name was made otherwise, keep that, and say so in a note."""
    try:
        there = alignment.load(data, name, brought.source)
    except CorpusError:  # there is none, or it is damaged
        there = brought
    if there.about == brought.about:
        alignment.save(brought, data, name)
        return brought, ""
    path = data / name / alignment.FOLDER / f"{there.source}.csv"
    return there, f"alignment {there.source} was made otherwise and is kept ({there.about}); remove {path} to have the corpus's own"


def _labelled(utterances: Sequence[Utterance], scheme: str, root: Path) -> tuple[list[Utterance], list[LeftOut]]:
    """What the label scheme keeps, and what it leaves out."""
    manifest.check_ids(utterances, root)
    kept, left_out = labels.apply(scheme, utterances)
    if not kept:
        found = ", ".join(f"{label} {count}" for label, count in labels.counted(left_out).items())
        column = labels.scheme(scheme).column
        where = "" if column == "emotion" else f" by column {column}"
        raise CorpusError(
            f"{root}: label scheme {scheme!r} keeps none of {len(utterances)} utterances{where} ({found}); use --scheme as-is"
        )
    return kept, left_out


def _listen(
    utterances: Sequence[Utterance], folder: Path, memory: Path, may_skip: set[str], suspects: set[str]
) -> tuple[list[Utterance], dict[str, str]]:
    """Decode every file: the utterances with lengths and digests, and reasons by id of those left out.

    Digital silence is no speech where it is one of the `suspects`.
    """
    missing = {u.id: f"{folder / u.path}: no such file" for u in utterances if not (folder / u.path).is_file()}
    _stop(missing, may_skip, "are missing", "complete the corpus, or say with --root where the audio lies", len(utterances))
    heard, broken = audio.scan([u for u in utterances if u.id not in missing], folder, memory)
    _stop(broken, may_skip, "cannot be used", "restore the files, or leave them out by name with --skip-broken", len(utterances))
    silent = {u.id: f"{folder / u.path}: is silent" for u in heard if u.id in suspects and not audio.load_utterance(u, folder).any()}
    heard = [utterance for utterance in heard if utterance.id not in silent]
    if not heard:
        raise CorpusError(f"{folder}: none of {len(utterances)} audio files can be used; nothing is left to prepare")
    return heard, missing | broken | silent


def _stop(reasons: Mapping[str, str], may_skip: set[str], what: str, remedy: str, total: int) -> None:
    """Raise for audio that may not be left out: all of it counted, the first named."""
    if bad := [name for name in reasons if name not in may_skip]:
        raise CorpusError(f"{len(bad)} of {total} audio files {what}, first {bad[0]}: {reasons[bad[0]]}; {remedy}")
