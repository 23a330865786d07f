"""The hand-made labels of the Berlin database (EmoDB): .silb and .labsilb (syllables), .lablaut (phones), ISO-8859-1.

    0.312  das                 signal 03a01Fa
    0.520  .                   type 0
    0.704  schwarz             #
                                   0.118  121  d
                                   0.191  121  a    extra

Each line gives an end; a segment begins where the one before it ended, the first at 0. "." is a pause.
That .labsilb holds syllables (Silben) and .lablaut phones (Laute) is taken from their names.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from emocache.alignment import SILENCE, SPEECH, Alignment, Segment
from emocache.alignments.gather import first_of_level, gather
from emocache.alignments.tiers import Tier, seconds, segment
from emocache.errors import CorpusError
from emocache.types import Utterance

LEVELS = {".silb": "syllable", ".labsilb": "syllable", ".lablaut": "phone"}


def read(path: Path) -> list[Tier]:
    """The one tier of a file, by its suffix. CorpusError names the line of what is damaged."""
    suffix = path.suffix.lower()
    lines = list(enumerate(path.read_text(encoding="iso-8859-1").split("\n"), start=1))
    if suffix != ".silb":
        lines = _after_header(lines, path)
    segments: list[Segment] = []
    for number, line in lines:
        if line.strip():
            segments.append(_segment(line, segments[-1].end_s if segments else 0.0, f"{path}:{number}", suffix))
    return [Tier(recording=path.stem, level=LEVELS[suffix], segments=tuple(segments))]


def _after_header(lines: list[tuple[int, str]], path: Path) -> list[tuple[int, str]]:
    """The lines after the one that ends the header of an xlabel file."""
    for position, (_, line) in enumerate(lines):
        if line.strip() == "#":
            return lines[position + 1 :]
    raise CorpusError(f"{path}:{len(lines) or 1}: no line '#' ends its header; restore the file")


def _segment(line: str, start_s: float, where: str, suffix: str) -> Segment:
    """`end label` of .silb, `end colour label<TAB>extra` of xlabel."""
    skipped = 1 if suffix == ".silb" else 2
    fields = line.split(None, skipped)
    if len(fields) < skipped or (suffix == ".silb" and len(fields) == 1):
        raise CorpusError(f"{where}: {line.strip()!r} lacks a field; restore the file")
    label = fields[skipped].split("\t")[0].strip() if len(fields) > skipped else ""
    one = segment(label, start_s, seconds(fields[0], where), where)
    return replace(one, kind=SILENCE if label in {"", "."} else SPEECH)


def emodb_alignment(root: Path, utterances: Sequence[Utterance]) -> list[Alignment]:
    """The hand labels beside the audio of EmoDB: `silb/`, `lablaut/` and `labsilb/` in `root`; none where no such folder is.

    Syllables are those of `silb/`, and of `labsilb/` where there is no such file, or an empty one. A damaged file's utterance is listed.
    """
    folders = [(root / suffix[1:], suffix) for suffix in LEVELS]
    if not any(folder.is_dir() for folder, _ in folders):
        return []

    def tiers_of(utterance: Utterance) -> list[Tier]:
        paths = [folder / f"{utterance.id}{suffix}" for folder, suffix in folders]
        return first_of_level(read(path) for path in paths if path.is_file())

    about = "the labels that EmoDB brings, made by hand: .silb, .lablaut, .labsilb"
    return [gather(utterances, tiers_of, source="emodb", about=about, skip_broken=True)]
