"""IEMOCAP: five sessions of an actress and an actor each, improvised and scripted, one wav per turn.

    ROOT/Session1/dialog/EmoEvaluation/<dialogue>.txt         labels, averages and votes of every turn
    ROOT/Session1/dialog/transcriptions/<dialogue>.txt        what was said
    ROOT/Session1/sentences/wav/<dialogue>/<utterance>.wav    the turns
    ROOT/Session1/sentences/ForcedAlignment/<dialogue>/<utterance>.wdseg    their words in time; .phseg, .syseg
    ROOT/INFO.json    only where a look-alike (the demo corpus) describes itself; see `info`

The speaker is the letter of an id's LAST field: in Ses01F_impro01_M003 the actress of session 1 wears the markers (01F)
and the actor speaks (M003), so the speaker is Ses01M.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from emocache.alignment import Alignment
from emocache.alignments.formats import FORMATS
from emocache.alignments.gather import NO_FILE, gather
from emocache.alignments.tiers import Tier
from emocache.errors import CorpusError
from emocache.types import PASSABLE, SHARES, USUAL, CorpusInfo, Utterance

INFO = CorpusInfo(
    title="IEMOCAP",
    licence="IEMOCAP release agreement (University of Southern California), research use only",
    share="ask",
    citation="Busso et al. (2008), IEMOCAP: Interactive emotional dyadic motion capture database, "
    "Language Resources and Evaluation 42(4): 335-359",
    scheme="iemocap-4",
    languages=("en",),
    home="https://sail.usc.edu/iemocap/iemocap_release.htm (on request)",
    expected={
        "iemocap-4": {"ang": 1103, "hap": 1636, "sad": 1084, "neu": 1708},
        "iemocap-improvised": {"ang": 289, "hap": 284, "sad": 608, "neu": 1099},
        "as-is": {
            "xxx": 2507, "fru": 1849, "neu": 1708, "ang": 1103, "sad": 1084, "exc": 1041,
            "hap": 595, "sur": 107, "fea": 40, "oth": 3, "dis": 2,
        },
    },
    alignment=FORMATS["sphinx"].about,
)  # fmt: skip

UNSAID = "as the corpus brings it in files like IEMOCAP's; its INFO.json does not say how it was made"
RELEASE = "IEMOCAP_full_release"
UNALIGNED = ("Ses03F_impro07_M030", "Ses03M_impro03_M001")
"""Turns without .wdseg in the release."""

_ID = re.compile(r"Ses0(?P<session>[1-5])[FM]_(?P<kind>impro|script)(?:\d\d[ab]?|\d\d_\d[b]?)_(?P<speaker>[FM])(?P<turn>\d{3})")
_TURN = re.compile(r"\[(?P<start>[\d.]+)\s*-\s*(?P<end>[\d.]+)\]\s+(?P<id>\S+)\s+(?P<emotion>\S+)\s+\[(?P<averages>[^\]]*)\]")
_VOTE = re.compile(r"(?P<who>C-\w+):(?P<labels>[^(]*)")
_RATING = re.compile(r"(?P<who>A-\w+):(?P<ratings>[^(]*)")
_RATED = [re.compile(rf"\b{name}\s*([^\s;]*)") for name in ("val", "act", "dom")]
_WORDS = re.compile(r"(?P<id>Ses\w+)\s*\[[^\]]*\]:?\s*(?P<words>.*)")
_KINDS = {"impro": "improvised", "script": "scripted"}


def info(root: Path) -> CorpusInfo:
    """INFO, or what `INFO.json` beside the sessions says of a corpus made in IEMOCAP's layout.

    The file holds title, licence, share and citation; passes, language, scheme, expected and alignment (how its ForcedAlignment
    was made) are optional. CorpusError when it is damaged.
    """
    path = _release(root) / "INFO.json"
    if not path.is_file():
        return INFO
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        described = CorpusInfo(
            title=about["title"],
            licence=about["licence"],
            share=about["share"],
            citation=about["citation"],
            scheme=about.get("scheme", INFO.scheme),
            passes=tuple(map(str, about.get("passes", USUAL))),
            languages=(about.get("language", "en"),),
            alignment=about.get("alignment", UNSAID),
            expected={
                scheme: {label: int(count) for label, count in counts.items()} for scheme, counts in about.get("expected", {}).items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CorpusError(f"{path}: damaged ({error}); it needs title, licence, share and citation, and may have expected counts") from None
    if described.share not in SHARES:
        raise CorpusError(f"{path}: share is {described.share!r}, expected one of {', '.join(SHARES)}")
    if unknown := [name for name in described.passes if name not in PASSABLE]:
        raise CorpusError(f"{path}: passes has {unknown[0]!r}, expected some of {', '.join(PASSABLE)}")
    return described


def read(root: Path) -> list[Utterance]:
    """Every labelled turn, by session and dialogue, in the order of the label files. CorpusError when it is not IEMOCAP.

    `session` is '1'..'5', `turn` counts per speaker, `votes` reads 'C-E2=Neutral;C-E3=Happiness+Excited' with the
    self-reports C-F1 and C-M1 among them; the extra column `ratings` reads 'A-E3=3,2,;A-E4=4,3,2': valence, activation and
    dominance by each annotator, nothing where one gave none. Averages outside 1..5 stand in the corpus and are kept. The times within
    the dialogue are the extra columns dialogue_start and dialogue_end, since the wavs are cut already. A turn that
    the transcriptions leave out has no transcript.
    """
    release = _release(root)
    sessions = [folder for number in range(1, 6) if (folder := release / f"Session{number}").is_dir()]
    return [utterance for session in sessions for labels in _label_files(session) for utterance in _dialogue(session, labels, root)]


def alignments(root: Path, utterances: Sequence[Utterance]) -> list[Alignment]:
    """What the release holds in the files of CMU Sphinx-3, named wdseg: words, phones and syllables; nothing where no session holds any.

    The files of an utterance may be missing in part or altogether; a damaged one's utterance is listed, and stays.
    """
    if not any(_release(root).glob("Session*/sentences/ForcedAlignment")):
        return []
    sphinx = FORMATS["sphinx"]

    def tiers_of(utterance: Utterance) -> list[Tier]:
        wav = root / utterance.path
        folder = wav.parents[2] / "ForcedAlignment" / wav.parent.name
        paths = [folder / f"{utterance.id}{suffix}" for suffix in sphinx.suffixes]
        return [tier for path in paths if path.is_file() for tier in sphinx.read(path)]

    found = gather(utterances, tiers_of, source=sphinx.source, about=info(root).alignment, skip_broken=True)
    known = {name: f"{NO_FILE} in the release" for name in UNALIGNED if found.without.get(name) == NO_FILE}
    return [replace(found, without={**found.without, **known})]


def _release(root: Path) -> Path:
    """The folder that holds the sessions: `root`, or the release folder in it."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds Session1..Session5")
    for folder in (root, root / RELEASE):
        if any((folder / f"Session{number}").is_dir() for number in range(1, 6)):
            return folder
    raise CorpusError(f"{root}: no Session1..Session5 here (nor in {RELEASE}/); give the folder that holds them")


def _label_files(session: Path) -> list[Path]:
    """One file per dialogue; not the subfolders with single evaluators, not the `._*` files that macOS leaves."""
    folder = session / "dialog" / "EmoEvaluation"
    if found := sorted(folder.glob("Ses*.txt")):
        return found
    raise CorpusError(f"{folder}: no label files Ses*.txt; unpack the session whole")


@dataclass(frozen=True, slots=True)
class _Block:
    """One turn of a label file: its first line, and the votes and ratings below it."""

    where: str
    turn: re.Match[str]
    votes: list[str] = field(default_factory=list)
    ratings: list[str] = field(default_factory=list)


def _dialogue(session: Path, label_file: Path, root: Path) -> list[Utterance]:
    """The turns of one dialogue."""
    words = _transcripts(session / "dialog" / "transcriptions" / label_file.name)
    wavs = session.relative_to(root) / "sentences" / "wav" / label_file.stem
    utterances = [_utterance(block, words, wavs) for block in _blocks(label_file)]
    if not utterances:
        raise CorpusError(f"{label_file}: holds no turns; expected lines such as [6.2901 - 8.2357] Ses01F_impro01_F000 neu [2.5, 2.5, 2.5]")
    return utterances


def _blocks(label_file: Path) -> Iterator[_Block]:
    """The blocks of a label file."""
    block: _Block | None = None
    for number, line in enumerate(_lines(label_file), start=1):
        if line.startswith("["):
            if block is not None:
                yield block
            block = _Block(f"{label_file}:{number}", _match(_TURN, line, f"{label_file}:{number}"))
        elif block is not None and (vote := _VOTE.match(line)):
            block.votes.extend(_vote(vote))
        elif block is not None and (rating := _RATING.match(line)):
            block.ratings.append(_rating(rating))
        elif _ID.search(line):
            _match(_TURN, line, f"{label_file}:{number}")  # a turn, but damaged
    if block is not None:
        yield block


def _vote(vote: re.Match[str]) -> list[str]:
    """'C-E2: Happiness; Excited; ;' as ['C-E2=Happiness+Excited']; nothing for an evaluator who named no label."""
    labels = [label.strip() for label in vote["labels"].split(";") if label.strip()]
    return [f"{vote['who']}={'+'.join(labels)}"] if labels else []


def _rating(rating: re.Match[str]) -> str:
    """'A-E3: val 3; act 2; dom  ;' as 'A-E3=3,2,': what stands after each name up to a semicolon, which the last may lack."""
    values = [found[1] if (found := one.search(rating["ratings"])) else "" for one in _RATED]
    return f"{rating['who']}={','.join(values)}"


def _utterance(block: _Block, words: Mapping[str, str], wavs: Path) -> Utterance:
    """One turn with its words."""
    turn, name = block.turn, block.turn["id"]
    parts = _match(_ID, name, block.where)
    valence, arousal, dominance = _averages(turn["averages"], block.where)
    return Utterance(
        id=name,
        path=(wavs / f"{name}.wav").as_posix(),
        emotion=turn["emotion"],
        speaker=f"Ses0{parts['session']}{parts['speaker']}",
        gender=parts["speaker"],
        session=parts["session"],
        dialogue=name.rsplit("_", 1)[0],
        turn=int(parts["turn"]),
        transcript=words.get(name) or None,
        language=INFO.language,
        valence=valence,
        arousal=arousal,
        dominance=dominance,
        votes=";".join(block.votes) or None,
        extra={
            "kind": _KINDS[parts["kind"]],
            "dialogue_start": turn["start"],
            "dialogue_end": turn["end"],
            "ratings": ";".join(block.ratings),
        },
    )


def _averages(text: str, where: str) -> tuple[float, float, float]:
    """Valence, activation (arousal) and dominance, in the file's order."""
    try:
        valence, arousal, dominance = map(float, text.split(","))
    except ValueError:
        raise CorpusError(f"{where}: averages are [{text}], expected [valence, activation, dominance]; restore the file") from None
    return valence, arousal, dominance


def _transcripts(path: Path) -> dict[str, str]:
    """Words by utterance id. Lines without an id, and ids with XX (neither wav nor label), are nobody's transcript."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such transcription; unpack the session whole")
    return {line["id"]: line["words"].strip() for line in map(_WORDS.match, _lines(path)) if line}


def _match(pattern: re.Pattern[str], text: str, where: str) -> re.Match[str]:
    """The match of a whole id or line, or a CorpusError that names the place."""
    if found := pattern.fullmatch(text):
        return found
    raise CorpusError(f"{where}: {text!r} is not as IEMOCAP writes it (like Ses01F_impro01_F000); restore the file")


def _lines(path: Path) -> list[str]:
    """Lines of a file that is UTF-8, or else Latin-1. Split at line feeds only: Latin-1's byte 0x85 is no line's end."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("latin-1")
    return [line.strip() for line in text.split("\n")]
