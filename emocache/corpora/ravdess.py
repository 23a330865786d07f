"""RAVDESS, the audio-only speech part: 24 actors, eight emotions, two sentences; everything stands in the file name.

    ROOT/Actor_01/03-01-05-02-01-01-01.wav    (or .flac; the Actor folders may lie one level deeper)
                  modality-channel-emotion-intensity-statement-repetition-actor

Song and video files beside the speech are other parts of the release and are not read.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from emocache.errors import CorpusError
from emocache.types import PASSABLE, CorpusInfo, Utterance

EMOTIONS: Mapping[str, str] = {
    "01": "neutral", "02": "calm", "03": "happy", "04": "sad",
    "05": "angry", "06": "fearful", "07": "disgust", "08": "surprised",
}  # fmt: skip
EMOTION4: Mapping[str, str] = {"angry": "ang", "happy": "hap", "sad": "sad", "neutral": "neu"}
INTENSITIES: Mapping[str, str] = {"01": "normal", "02": "strong"}
STATEMENTS: Mapping[str, str] = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}

_COUNTS = {name: 96 if name == "neutral" else 192 for name in EMOTIONS.values()}  # neutral has one intensity only

INFO = CorpusInfo(
    title="RAVDESS, speech audio-only",
    licence="CC BY-NC-SA 4.0",
    share="free",
    passes=PASSABLE,
    citation="Livingstone and Russo (2018), The Ryerson Audio-Visual Database of Emotional Speech and Song, PLoS ONE 13(5): e0196391",
    scheme="ravdess-8",
    languages=("en",),
    home="https://zenodo.org/records/1188976 (Audio_Speech_Actors_01-24.zip)",
    expected={
        "ravdess-8": _COUNTS,
        "as-is": _COUNTS,
        "ravdess-4": {short: _COUNTS[name] for name, short in EMOTION4.items()},
    },
)

_NAME = re.compile(
    r"(?P<modality>0[1-3])-(?P<channel>0[12])-(?P<emotion>0[1-8])-(?P<intensity>0[12])"
    r"-(?P<statement>0[12])-(?P<repetition>0[12])-(?P<actor>0[1-9]|1\d|2[0-4])"
)
_AUDIO_SPEECH = ("03", "01")


def info(_root: Path) -> CorpusInfo:
    """The release knows only one form."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every spoken audio-only utterance under `root`, by actor and file name. CorpusError when it is not RAVDESS."""
    files = [
        path
        for actor in _actor_folders(root)
        for path in sorted(actor.iterdir())
        if path.suffix.lower() in {".wav", ".flac"} and not path.name.startswith(".")
    ]
    named = [(path, _parse(path)) for path in files]
    speech = [(path, name) for path, name in named if (name["modality"], name["channel"]) == _AUDIO_SPEECH]
    if not speech:
        raise CorpusError(f"{root}: no speech among {len(files)} audio files (names 03-01-...); unpack Audio_Speech_Actors_01-24.zip")
    return [_utterance(path, name, root) for path, name in speech]


def _actor_folders(root: Path) -> list[Path]:
    """The folders Actor_NN at `root`, or else in the one folder of it that holds any."""
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds Actor_01..Actor_24")
    if here := _actors_in(root):
        return here
    below = {folder: found for folder in sorted(root.iterdir()) if folder.is_dir() and (found := _actors_in(folder))}
    if len(below) > 1:
        raise CorpusError(f"{root}: Actor folders lie in {', '.join(folder.name for folder in below)}; give one of these folders")
    if not below:
        raise CorpusError(f"{root}: no Actor_01..Actor_24 here or one level below; give the folder that holds them")
    return next(iter(below.values()))


def _actors_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("Actor_*") if path.is_dir())


def _parse(path: Path) -> re.Match[str]:
    """The seven fields of a file name."""
    if name := _NAME.fullmatch(path.stem):
        return name
    raise CorpusError(f"{path}: not a RAVDESS name; expected seven numbers such as 03-01-05-02-01-01-01, so rename or remove the file")


def _utterance(path: Path, name: re.Match[str], root: Path) -> Utterance:
    """One file, labelled by its name."""
    emotion = EMOTIONS[name["emotion"]]
    return Utterance(
        id=path.stem,
        path=path.relative_to(root).as_posix(),
        emotion=emotion,
        speaker=f"Actor_{name['actor']}",
        gender="M" if int(name["actor"]) % 2 else "F",
        transcript=STATEMENTS[name["statement"]],
        language=INFO.language,
        extra={
            "emotion4": EMOTION4.get(emotion, ""),
            "intensity": INTENSITIES[name["intensity"]],
            "statement": str(int(name["statement"])),
            "repetition": str(int(name["repetition"])),
        },
    )
