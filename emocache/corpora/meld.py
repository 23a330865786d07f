"""MELD: dialogues of the series Friends, one video clip per utterance, in three splits.

    ROOT/train_sent_emo.csv               the utterances of a split (also dev_ and test_); may lie up to two folders deeper
    ROOT/train_splits/dia0_utt3.mp4       its clips (also dev_splits_complete/ and output_repeated_splits_test/)
    ROOT/train_splits/dia0_utt3.wav       or .flac: taken instead of the .mp4, which needs ffmpeg

Dialogues are counted from 0 in every split anew, so ids begin with the split: train_dia0_utt3. The folders hold further
clips that no table lists; they have no labels and are not read.
"""

from collections.abc import Mapping
from pathlib import Path

from emocache.corpora.tables import Row, csv_rows, find
from emocache.errors import CorpusError
from emocache.manifest import from_cells
from emocache.types import CorpusInfo, Utterance

FOLDERS: Mapping[str, str] = {"train": "train_splits", "dev": "dev_splits_complete", "test": "output_repeated_splits_test"}
"""Split -> the folder of its clips."""
COLUMNS = ("Utterance", "Speaker", "Emotion", "Sentiment", "Dialogue_ID", "Utterance_ID", "Season", "Episode", "StartTime", "EndTime")

_EMOTIONS = ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear")
_SENTIMENTS = ("neutral", "positive", "negative")
_SEVEN: Mapping[str, Mapping[str, int]] = {
    "train": dict(zip(_EMOTIONS, (4710, 1743, 1205, 1109, 683, 271, 268), strict=True)),
    "dev": dict(zip(_EMOTIONS, (470, 163, 150, 153, 111, 22, 40), strict=True)),
    "test": dict(zip(_EMOTIONS, (1256, 402, 281, 345, 208, 68, 50), strict=True)),
}
_THREE: Mapping[str, Mapping[str, int]] = {
    "train": dict(zip(_SENTIMENTS, (4710, 2334, 2945), strict=True)),
    "dev": dict(zip(_SENTIMENTS, (470, 233, 406), strict=True)),
    "test": dict(zip(_SENTIMENTS, (1256, 521, 833), strict=True)),
}
_BY_SPLIT = {"meld-7": _SEVEN, "meld-sentiment": _THREE, "as-is": _SEVEN}

INFO = CorpusInfo(
    title="MELD",
    licence="GPL-3.0 for the annotations; the clips are from a television series and stay their owner's",
    share="ask",
    citation="Poria et al. (2019), MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations, ACL",
    scheme="meld-7",
    languages=("en",),
    home="https://affective-meld.github.io",
    expected={
        scheme: {label: sum(split[label] for split in splits.values()) for label in splits["train"]} for scheme, splits in _BY_SPLIT.items()
    },
    expected_splits=_BY_SPLIT,
    broken={"train_dia125_utt3": "its clip cannot be decoded", "dev_dia110_utt7": "has no clip"},
    longest_s=60.0,
)

_WINDOWS = {0x85: "…", 0x91: "‘", 0x92: "’", 0x93: "“", 0x94: "”", 0x96: "–", 0x97: "—"}
"""Characters of Windows-1252 that stand in the tables as control characters."""


def info(_root: Path) -> CorpusInfo:
    """The release knows only one form."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every annotated utterance, by split, in the order of the tables. CorpusError when it is not MELD.

    `dialogue` is such as train_dia0, `turn` counts within it from 0; sentiment, season, episode and the times within the
    episode are extra columns. The path of a clip that is not there is that of its .mp4.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds train_sent_emo.csv")
    tables = {split: path for split in FOLDERS if (path := find(root, f"{split}_sent_emo.csv", depth=2))}
    if not tables:
        raise CorpusError(f"{root}: no train_sent_emo.csv, dev_sent_emo.csv or test_sent_emo.csv; give the folder that holds them")
    return [utterance for split, table in tables.items() for utterance in _split(root, split, table)]


def _split(root: Path, split: str, table: Path) -> list[Utterance]:
    """The utterances of one split."""
    folder = find(root, FOLDERS[split], depth=2) or root / FOLDERS[split]
    clips = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return [_utterance(row, split, folder.relative_to(root), clips) for row in csv_rows(table, COLUMNS)]


def _utterance(row: Row, split: str, folder: Path, clips: set[str]) -> Utterance:
    """One row with its clip."""
    where, cells = row
    stem = f"dia{cells['Dialogue_ID']}_utt{cells['Utterance_ID']}"
    clip = next((stem + suffix for suffix in (".wav", ".flac") if stem + suffix in clips), f"{stem}.mp4")
    known = {
        "utterance_id": f"{split}_{stem}",
        "path": (folder / clip).as_posix(),
        "emotion": cells["Emotion"].lower(),
        "speaker": cells["Speaker"],
        "split": split,
        "dialogue": f"{split}_dia{cells['Dialogue_ID']}",
        "turn": cells["Utterance_ID"],
        "transcript": cells["Utterance"].translate(_WINDOWS),
        "language": "en",
        "sentiment": cells["Sentiment"].lower(),
    }
    more = {"season": "Season", "episode": "Episode", "episode_start": "StartTime", "episode_end": "EndTime"}
    return from_cells(known | {name: cells[column] for name, column in more.items()}, where)
