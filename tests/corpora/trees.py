"""Tiny corpora in the layouts of the real ones: short tones for audio, words of our own."""

import csv
import json
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


MELD_HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
MELD_ROWS: Mapping[str, tuple[str, ...]] = {
    "train": (
        '1,"It\u0092s \u0093fine\u0094, really",Ross,neutral,neutral,0,0,8,21,"00:16:16,059","00:16:21,731"',
        "2,Oh!,Rachel,joy,positive,0,1,8,21,t,t",
    ),
    "dev": ("1,Hm.,Ross,neutral,neutral,0,0,4,7,t,t",),
    "test": ("1,No!,Monica,anger,negative,0,0,3,19,t,t",),
}
MELD_FOLDERS = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}


def meld(root: Path, rows: Mapping[str, tuple[str, ...]] = MELD_ROWS, suffix: str = ".wav") -> Path:
    """MELD with these rows and a clip for each; the dev folder holds a clip that no table lists."""
    for split, lines in rows.items():
        write(root / f"{split}_sent_emo.csv", MELD_HEADER + "".join(f"{line}\n" for line in lines))
        for line in lines:
            dialogue, number = next(csv.reader([line]))[5:7]
            tone(root / MELD_FOLDERS[split] / f"dia{dialogue}_utt{number}{suffix}")
    tone(root / MELD_FOLDERS["dev"] / f"dia99_utt0{suffix}")
    return root


CREMAD_NAMES = ("1001_IEO_ANG_HI", "1002_TIE_NEU_XX", "1040_ITH_SAD_X", "1091_WSI_SAD_LO")
VOTES_HEADER = '"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel","MultiModalVote","MultiModalLevel"\n'


def cremad(root: Path, names: tuple[str, ...] = CREMAD_NAMES, votes: tuple[str, ...] = ("A", "N", "N:S", "S")) -> Path:
    """CREMA-D with these recordings and votes."""
    for name in names:
        tone(root / "AudioWAV" / f"{name}.wav")
    write(
        root / "VideoDemographics.csv",
        "ActorID,Age,Sex,Race,Ethnicity\n1001,51,Male,Caucasian,Not Hispanic\n1002,21,Female,Asian,Not Hispanic\n",
    )
    listed = [{"1040_ITH_SAD_X": "1040_ITH_SAD_XX"}.get(name, name) for name in names]
    rows = (f'"{n}","{name}","{vote}",55,"N",60,"A",70\n' for n, (name, vote) in enumerate(zip(listed, votes, strict=False)))
    write(root / "processedResults" / "summaryTable.csv", VOTES_HEADER + "".join(rows))
    return root


EMODB_NAMES = ("03a01Fa", "08b10Ac", "10a04N", "16b02Wb")


def emodb(root: Path, names: tuple[str, ...] = EMODB_NAMES) -> Path:
    """EmoDB with these recordings."""
    for name in names:
        tone(root / "wav" / f"{name}.wav")
    return root


ESD_FILES = (
    "0001/Happy/train/0001_000371",
    "0003/Sad/test/0003_001100",
    "0011/Angry/evaluation/0011_000351",
    "0016/Surprise/test/0016_001401",
)
ESD_WORDS: Mapping[str, bytes] = {
    "0001": "0001_000371\t打远一看。\t快乐\n".encode("gb2312"),
    "0003": "0003_001100\t他不在。\t伤心\n".encode("utf-16"),
    "0011": b"0011_000351\tThe nine the eggs, I keep.\tAngry\n\n0011_000352 no tabs\n",
    "0016": "0016_001401\tA caf\u00e9, chef.\tSurprise\n".encode("latin-1"),
}


def esd(root: Path, files: tuple[str, ...] = ESD_FILES) -> Path:
    """ESD with these recordings, and the lists of their speakers in the encodings that they come in."""
    for name in files:
        tone(root / f"{name}.wav")
        write(root / name[:4] / f"{name[:4]}.txt", ESD_WORDS.get(name[:4], b""))
    return root


MSP_HEADER = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set\n"
MSP_ROWS = (
    "MSP-PODCAST_0001_0008.wav,N,2.2,4.0,4.6,127,Male,Train",
    "MSP-PODCAST_0001_0019.wav,H,5.4,6.0,5.0,Unknown,Unknown,Development",
    "MSP-PODCAST_0002_0033.wav,X,4.2,4.0,5.6,129,Female,Test1",
    "MSP-PODCAST_0002_0051.wav,A,6.2,1.8,6.0,129,Female,Test2",
)


def msp_podcast(root: Path, rows: tuple[str, ...] = MSP_ROWS) -> Path:
    """MSP-Podcast with these labels, one transcript, and a recording of Test3, which has no labels."""
    write(root / "Labels" / "labels_consensus.csv", MSP_HEADER + "".join(f"{row}\n" for row in rows))
    for name in (*(row.split(",")[0] for row in rows), "MSP-PODCAST_test3_0001.wav"):
        tone(root / "Audios" / name)
    write(root / "Transcripts" / "MSP-PODCAST_0001_0008.txt", "so this is\nthe show\n")
    return root


def emobox(root: Path, folds: int = 2, keys: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """A corpus in a clone of EmoBox: the first utterance is in the test part of fold 1, the second in that of fold 2, and so on round."""
    rows = []
    for key, emotion in zip(keys, ("exc", "neu", "neu"), strict=True):
        tone(root / "downloads" / "toy" / f"{key}.wav")
        about = {"key": f"toy-{key}", "dataset": "toy", "wav": f"downloads/toy/{key}.wav", "type": "raw"}
        rows.append(about | {"length": 0.1, "emo": emotion, "channel": 1})
    home = root / "data" / "toy"
    for fold in range(1, folds + 1):
        for part in ("train", "test"):
            mine = [row for n, row in enumerate(rows) if (n % max(2, folds) + 1 == fold) == (part == "test")]
            write(home / f"fold_{fold}" / f"toy_{part}_fold_{fold}.jsonl", "".join(json.dumps(row) + "\n" for row in mine))
    write(home / "label_map.json", json.dumps({"exc": "Happy", "neu": "Neutral"}))
    return home


def audio_folder(root: Path) -> Path:
    """An AudioFolder with a split in CSV and one in JSONL, and a file of the same name in both."""
    for name in ("train/a.wav", "train/b.flac", "test/a.wav"):
        tone(root / name)
    write(root / "train" / "metadata.csv", "file_name,label,text,room\na.wav,calm,hello there,kitchen\nb.flac,,bye,\n")
    write(root / "test" / "metadata.jsonl", '{"file_name": "a.wav", "label": "angry", "speaker_id": 7}\n')
    return root


def json_listed(root: Path) -> Path:
    """A JSONL file and its audio: a file of its own, and two channels of a longer one."""
    tone(root / "one.wav")
    left, right = (0.5 * np.sin(2 * np.pi * hz * np.arange(16_000) / 16_000) for hz in (440.0, 880.0))
    soundfile.write(root / "call.wav", np.stack([left, right], axis=1), 16_000, subtype="PCM_16")
    rows = (
        {"utterance_id": "a", "path": "one.wav", "emotion": "calm", "speaker": "p1", "room": "kitchen", "mood": ["good", 3]},
        {"utterance_id": "b", "path": "call.wav", "emotion": None, "channel": 0, "start": 0.25, "end": 0.35, "turn": 1},
        {"utterance_id": "c", "path": "call.wav", "emotion": "angry", "channel": "right", "start": "0.5", "end": "0.6"},
    )
    return write(root / "list.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")


TREES: Mapping[str, Callable[[Path], Path]] = {
    "iemocap": iemocap,
    "meld": meld,
    "cremad": cremad,
    "ravdess": ravdess,
    "emodb": emodb,
    "esd": esd,
    "msp-podcast": msp_podcast,
    "emobox": emobox,
    "huggingface": audio_folder,
    "jsonl": json_listed,
    "csv": listed,
}
"""A tiny corpus for every reader."""
