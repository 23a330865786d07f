"""CREMA-D: 91 actors say twelve sentences in six emotions; listeners voted on what they heard and saw.

    ROOT/AudioWAV/1001_IEO_ANG_HI.wav               actor_sentence_emotion_level (or .flac; may lie one folder deeper)
    ROOT/VideoDemographics.csv                      sex, age, race and ethnicity of the actors
    ROOT/SentenceFilenames.csv                      all recordings; one that it lists and that is not there is missing
    ROOT/processedResults/summaryTable.csv          the votes; a tie reads 'N:S'

The three tables may be missing; then what they say is not known. The label is the emotion that the actor was asked for; the
votes are extra columns, and the scheme cremad-voted makes classes of the voice's.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from emocache.corpora import tables
from emocache.corpora.tables import csv_rows, find, recordings
from emocache.errors import CorpusError
from emocache.types import PASSABLE, CorpusInfo, LeftOut, Utterance

SENTENCES: Mapping[str, str] = {
    "IEO": "It's eleven o'clock", "TIE": "That is exactly what happened", "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about", "TAI": "The airplane is almost full", "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock", "ITH": "I think I have a doctor's appointment", "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before", "TSI": "The surface is slick", "WSI": "We'll stop in a couple of minutes",
}  # fmt: skip
LEVELS: Mapping[str, str] = {"LO": "low", "MD": "medium", "HI": "high", "XX": "unspecified", "X": "unspecified"}
LISTED_AS: Mapping[str, str] = {"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}
"""The one recording that the tables call otherwise."""
VOTES: Mapping[str, str] = {
    "VoiceVote": "voice_vote", "VoiceLevel": "voice_level", "FaceVote": "face_vote", "FaceLevel": "face_level",
    "MultiModalVote": "multimodal_vote", "MultiModalLevel": "multimodal_level",
}  # fmt: skip
"""Column of summaryTable.csv -> extra column."""

_COUNTS = {"ang": 1271, "dis": 1271, "fea": 1271, "hap": 1271, "neu": 1087, "sad": 1271}

INFO = CorpusInfo(
    title="CREMA-D",
    licence="Open Database License (ODbL) 1.0",
    share="free",
    passes=PASSABLE,
    citation="Cao et al. (2014), CREMA-D: Crowd-sourced Emotional Multimodal Actors Dataset, "
    "IEEE Transactions on Affective Computing 5(4): 377-390",
    scheme="cremad-6",
    languages=("en",),
    home="https://github.com/CheyneyComputerScience/CREMA-D (clone it with Git LFS)",
    expected={"cremad-6": _COUNTS, "as-is": _COUNTS},
    broken={"1076_MTI_SAD_XX": "has no audio"},
)

_NAME = re.compile(rf"(?P<actor>\d{{4}})_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>ANG|DIS|FEA|HAP|NEU|SAD)_(?P<level>XX?|LO|MD|HI)")


def info(_root: Path) -> CorpusInfo:
    """The release knows only one form."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every recording by name, with what the tables say of it. CorpusError when it is not CREMA-D.

    Recordings that SentenceFilenames.csv lists, or that are known to be broken, are among them though they are not there.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds AudioWAV")
    folder = find(root, "AudioWAV")
    if folder is None:
        raise CorpusError(f"{root}: no AudioWAV here or one level below; give the folder that holds it")
    files = {path.stem: path.name for path in recordings(folder)}
    if not files:
        raise CorpusError(f"{folder}: holds no recordings; complete the corpus (git lfs pull), and give the folder above it")
    home = folder.parent
    people, votes = _table(home / "VideoDemographics.csv", "ActorID"), _table(home / "processedResults" / "summaryTable.csv", "FileName")
    paths = {name: (folder / files.get(name, f"{name}.wav")).relative_to(root) for name in sorted({*files, *_listed(home, files)})}
    return [_utterance(name, path, people, votes.get(LISTED_AS.get(name, name), {})) for name, path in paths.items()]


def strays(root: Path, utterances: Iterable[Utterance]) -> list[LeftOut]:
    """What else lies in AudioWAV: deeper, in another format, or a second file of one name."""
    folder = find(root, "AudioWAV")
    return tables.strays(folder, root, utterances) if folder else []


def _listed(home: Path, files: Mapping[str, str]) -> set[str]:
    """The names that SentenceFilenames.csv lists, and of the known broken those of actors that are here."""
    here = {name.split("_")[0] for name in files}
    listed = set(_table(home / "SentenceFilenames.csv", "Filename")) - {LISTED_AS[name] for name in files if name in LISTED_AS}
    return listed | {name for name in INFO.broken if name.split("_")[0] in here}


def _table(path: Path, key: str) -> dict[str, dict[str, str]]:
    """The rows of a table by one of its columns; none where there is no table."""
    return {row[key]: row for _, row in csv_rows(path, [key])} if path.is_file() else {}


def _utterance(name: str, path: Path, people: Mapping[str, Mapping[str, str]], votes: Mapping[str, str]) -> Utterance:
    """One recording, labelled by its name."""
    parts = _NAME.fullmatch(name)
    if parts is None:
        raise CorpusError(f"{path}: not a CREMA-D name; expected such as 1001_IEO_ANG_HI, so rename or remove the file")
    person = people.get(parts["actor"], {})
    about = {column.lower(): person[column] for column in ("Age", "Race", "Ethnicity") if column in person}
    return Utterance(
        id=name,
        path=path.as_posix(),
        emotion=parts["emotion"].lower(),
        speaker=parts["actor"],
        gender={"Male": "M", "Female": "F"}.get(person.get("Sex", "")),
        transcript=SENTENCES[parts["sentence"]],
        language="en",
        extra={"sentence": parts["sentence"], "intensity": LEVELS[parts["level"]]}
        | about
        | {column: votes[title] for title, column in VOTES.items() if title in votes},
    )
