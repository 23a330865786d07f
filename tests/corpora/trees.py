"""Tiny corpora in the layouts of the real ones: short tones for audio, words of our own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import soundfile

IEMOCAP_TURNS: Mapping[str, str] = {
    "Ses01F_impro01_F000": "neu",
    "Ses01F_impro01_M000": "ang",
    "Ses01F_impro01_F001": "exc",
    "Ses01M_script03_2_F026": "fru",
    "Ses02M_script01_1b_M003": "sad",
    "Ses02F_impro05a_F010": "hap",
    "Ses02F_impro05a_F011": "xxx",
}
RAVDESS_NAMES = ("03-01-01-01-01-01-01", "03-01-05-02-02-01-02", "03-01-02-01-02-02-24", "03-01-08-01-01-01-13")


def tone(path: Path, seconds: float = 0.1, hz: float = 440.0) -> Path:
    """A 16 kHz PCM16 wav or flac with one tone in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time_s = np.arange(round(seconds * 16_000)) / 16_000
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz * time_s), 16_000, subtype="PCM_16")
    return path


def write(path: Path, content: str | bytes) -> Path:
    """A file with its folders."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def block(turn: str, emotion: str, averages: str = "2.5000, 3.0000, 3.5000", votes: str = "C-E2:\tNeutral;\t()\n") -> str:
    """One turn as EmoEvaluation files have it."""
    return f"[6.2901 - 8.2357]\t{turn}\t{emotion}\t[{averages}]\n{votes}A-E3:\tval 3; act 2; dom  ;\t(unsure)\n\n"


def labels_of(root: Path, dialogue: str) -> Path:
    """Where the labels of a dialogue lie."""
    return root / f"Session{dialogue[4]}" / "dialog" / "EmoEvaluation" / f"{dialogue}.txt"


def words_of(root: Path, dialogue: str) -> Path:
    """Where the transcripts of a dialogue lie."""
    return root / f"Session{dialogue[4]}" / "dialog" / "transcriptions" / f"{dialogue}.txt"


def wav_of(root: Path, turn: str) -> Path:
    """Where the audio of a turn lies."""
    return root / f"Session{turn[4]}" / "sentences" / "wav" / turn.rsplit("_", 1)[0] / f"{turn}.wav"


def iemocap(root: Path, turns: Mapping[str, str] = IEMOCAP_TURNS) -> Path:
    """An IEMOCAP release with these turns and labels."""
    for dialogue in sorted({turn.rsplit("_", 1)[0] for turn in turns}):
        mine = {turn: emotion for turn, emotion in turns.items() if turn.rsplit("_", 1)[0] == dialogue}
        heading = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
        write(labels_of(root, dialogue), heading + "".join(block(turn, emotion) for turn, emotion in mine.items()))
        write(words_of(root, dialogue), "".join(f"{turn} [006.2901-008.2357]: Words of {turn}.\n" for turn in mine))
        for turn in mine:
            tone(wav_of(root, turn))
    return root


def ravdess(root: Path, names: tuple[str, ...] = RAVDESS_NAMES) -> Path:
    """The RAVDESS speech part with these files."""
    for name in names:
        tone(root / f"Actor_{name[-2:]}" / f"{name}.wav")
    return root


def listed(root: Path) -> Path:
    """A CSV file and its audio, beside each other."""
    tone(root / "one.wav")
    tone(root / "deep" / "two.flac", seconds=0.2)
    return write(root / "list.csv", "utterance_id,path,emotion,speaker,room\na,one.wav,calm,p1,kitchen\nb,deep/two.flac,,p2,\n")


TREES: Mapping[str, Callable[[Path], Path]] = {"iemocap": iemocap, "ravdess": ravdess, "csv": listed}
"""A tiny corpus for every reader."""
