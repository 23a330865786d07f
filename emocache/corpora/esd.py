"""ESD: ten speakers of Mandarin and ten of English say the same 350 sentences each in five emotions.

    ROOT/0011/Happy/train/0011_000371.wav    (or .flac, or without train/, evaluation/ and test/; ROOT may lie one folder deeper)
    ROOT/0011/0011.txt                       id, text and emotion of every utterance, in one of four encodings

The emotion is that of the folder. The part that ESD calls evaluation is the split 'dev' here, since it is for validation.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from emocache.corpora import tables
from emocache.corpora.tables import recordings
from emocache.errors import CorpusError
from emocache.types import CorpusInfo, LeftOut, Utterance

EMOTIONS = ("Neutral", "Happy", "Angry", "Sad", "Surprise")
SPLITS = {"train": "train", "evaluation": "dev", "test": "test"}
MALE = frozenset({"0004", "0005", "0006", "0008", "0010", "0011", "0012", "0013", "0014", "0020"})
MANDARIN = frozenset(f"{number:04}" for number in range(1, 11))
"""The others speak English."""

_COUNTS = {name.lower(): 7000 for name in EMOTIONS}
_PER_SPEAKER = {"train": 300, "dev": 20, "test": 30}  # of each emotion

INFO = CorpusInfo(
    title="ESD, Emotional Speech Dataset",
    licence="for research only, on the publishers' terms",
    share="ask",
    citation="Zhou et al. (2022), Emotional voice conversion: Theory, databases and ESD, Speech Communication 137: 1-18",
    scheme="esd-5",
    languages=("zh", "en"),
    home="https://github.com/HLTSingapore/Emotional-Speech-Data",
    expected={"esd-5": _COUNTS, "as-is": _COUNTS},
    expected_splits={
        scheme: {split: dict.fromkeys(_COUNTS, 20 * count) for split, count in _PER_SPEAKER.items()} for scheme in ("esd-5", "as-is")
    },
)

_SPEAKER = re.compile(r"00(?:0[1-9]|1\d|20)")


def info(_root: Path) -> CorpusInfo:
    """The release knows only one form."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every utterance by speaker, emotion, split and name. CorpusError when it is not ESD."""
    return [utterance for speaker in _speakers(root) for utterance in _of_speaker(speaker, root)]


def strays(root: Path, utterances: Iterable[Utterance]) -> list[LeftOut]:
    """Recordings beside the speakers, or in a folder of theirs that ESD does not have."""
    return tables.strays(_speakers(root)[0].parent, root, utterances)


def _speakers(root: Path) -> list[Path]:
    """The folders 0001 to 0020 at `root`, or in the first folder of it that holds any."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds 0001 to 0020")
    for folder in (root, *sorted(path for path in root.iterdir() if path.is_dir())):
        if found := sorted(path for path in folder.iterdir() if path.is_dir() and _SPEAKER.fullmatch(path.name)):
            return found
    raise CorpusError(f"{root}: no folders 0001 to 0020 here or one level below; give the folder that holds them")


def _of_speaker(speaker: Path, root: Path) -> list[Utterance]:
    """The utterances of one speaker, in both layouts."""
    words = _transcripts(speaker / f"{speaker.name}.txt")
    utterances = [
        _utterance(path, speaker.name, emotion, SPLITS.get(path.parent.name), words, root)
        for emotion in EMOTIONS
        for folder in (speaker / emotion, *(speaker / emotion / split for split in SPLITS))
        for path in recordings(folder)
    ]
    if not utterances:
        raise CorpusError(f"{speaker}: no recordings in {', '.join(EMOTIONS)}; unpack the speaker whole")
    return utterances


def _utterance(path: Path, speaker: str, emotion: str, split: str | None, words: dict[str, str], root: Path) -> Utterance:
    """One file, labelled by its folder."""
    if not re.fullmatch(rf"{speaker}_\d{{6}}", path.stem):
        raise CorpusError(f"{path}: not an ESD name of this speaker; expected such as 0011_000371, so rename or remove the file")
    return Utterance(
        id=path.stem,
        path=path.relative_to(root).as_posix(),
        emotion=emotion.lower(),
        speaker=speaker,
        gender="M" if speaker in MALE else "F",
        split=split,
        transcript=words.get(path.stem),
        language="zh" if speaker in MANDARIN else "en",
    )


def _transcripts(path: Path) -> dict[str, str]:
    """Words by utterance id; none where there is no list. Lines that begin with no id are nobody's."""
    if not path.is_file():
        return {}
    rows = [re.split(r"\t+", line.strip()) for line in _decoded(path).splitlines()]
    return {row[0].strip(): row[1].strip() for row in rows if len(row) > 1 and row[1].strip()}


def _decoded(path: Path) -> str:
    """UTF-16 (by its mark, or its zero bytes), UTF-8, or else GB 18030, which includes GB 2312, for Mandarin and Latin-1 for English."""
    raw = path.read_bytes()
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        return raw.decode("utf-16-le", errors="replace")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030" if path.stem in MANDARIN else "latin-1", errors="replace")
