"""MSP-Podcast: turns cut from podcasts, labelled by several annotators each; the numbers grow with every release.

    ROOT/Labels/labels_consensus.csv              what the annotators agreed on (or .json; may lie at ROOT)
    ROOT/Audios/MSP-PODCAST_0001_0008.wav         the turns
    ROOT/Transcripts/MSP-PODCAST_0001_0008.txt    what was said, where it is known

A speaker 'Unknown' is no speaker. Recordings without a row (those of Test3) have no labels; they are listed all the same.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path

from emocache.corpora.tables import Row, cell, csv_rows, find, text
from emocache.errors import CorpusError
from emocache.manifest import from_cells
from emocache.types import CorpusInfo, Utterance

COLUMNS = ("FileName", "EmoClass", "EmoAct", "EmoVal", "EmoDom", "SpkrID", "Gender", "Split_Set")
EMOTIONS: Mapping[str, str] = {
    "A": "angry", "S": "sad", "H": "happy", "U": "surprise", "F": "fear", "D": "disgust", "C": "contempt", "N": "neutral",
    "O": "other", "X": "no agreement", "": "",
}  # fmt: skip
SPLITS: Mapping[str, str] = {
    "Train": "train", "Development": "dev", "Test": "test", "Test1": "test1", "Test2": "test2", "Test3": "test3", "": "",
}  # fmt: skip
GENDERS: Mapping[str, str] = {"Male": "M", "Female": "F"}

INFO = CorpusInfo(
    title="MSP-Podcast",
    licence="release agreement of the University of Texas at Dallas, research use only",
    share="ask",
    citation="Lotfian and Busso (2019), Building Naturalistic Emotionally Balanced Speech Corpus by Retrieving Emotional Speech "
    "From Existing Podcast Recordings, IEEE Transactions on Affective Computing 10(4): 471-483",
    scheme="msp-podcast-4",
    languages=("en",),
    home="https://ecs.utdallas.edu/research/researchlabs/msp-lab/MSP-Podcast.html (on request)",
)


def info(_root: Path) -> CorpusInfo:
    """Counts are of a release, and labels do not say which one they are from: none are expected."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """Every turn of the labels in their order, then recordings without a row. CorpusError when it is not MSP-Podcast.

    `arousal`, `valence` and `dominance` are the averages, from 1 to 7.
    """
    if not root.is_dir():
        raise CorpusError(f"{root}: no such folder; give the one that holds Labels and Audios")
    rows = _rows(root)
    listed = {row["FileName"] for _, row in rows}
    folder = find(root, "Audios") or root / "Audios"
    names = sorted(path.name for path in folder.glob("*.wav")) if folder.is_dir() else []
    unlisted = [(str(folder / name), {"FileName": name}) for name in names if name not in listed and name[0] != "."]
    return [_utterance(row, folder, root) for row in (*rows, *unlisted)]


def _rows(root: Path) -> list[Row]:
    """The labels, from the CSV file or else the JSON file."""
    if table := find(root, "labels_consensus.csv"):
        return csv_rows(table, COLUMNS)
    path = find(root, "labels_consensus.json")
    if path is None:
        raise CorpusError(f"{root}: no labels_consensus.csv or .json here or one level below; give the folder that holds Labels and Audios")
    try:
        labels = json.loads(text(path))
        return [
            (f"{path}: {name}", {"FileName": name} | {key: cell(value) for key, value in about.items()}) for name, about in labels.items()
        ]
    except (ValueError, AttributeError, RecursionError) as error:
        raise CorpusError(f"{path}: damaged ({error}); restore the file") from None


def _utterance(row: Row, folder: Path, root: Path) -> Utterance:
    """One turn; one without a row has its name alone."""
    where, cells = row
    name = Path(cells["FileName"]).stem
    podcast = re.match(r"MSP-PODCAST_(\d+)_", name)
    split = cells.get("Split_Set", "Test3" if "test3" in name.lower() else "")
    return from_cells(
        {
            "utterance_id": name,
            "path": (folder.relative_to(root) / cells["FileName"]).as_posix(),
            "emotion": _known(EMOTIONS, "EmoClass", cells.get("EmoClass", ""), where),
            "speaker": "" if (speaker := cells.get("SpkrID", "")) == "Unknown" else speaker,
            "gender": GENDERS.get(cells.get("Gender", ""), ""),
            "split": _known(SPLITS, "Split_Set", split, where),
            "transcript": _transcript(folder.parent / "Transcripts" / f"{name}.txt"),
            "language": "en",
            "arousal": cells.get("EmoAct", ""),
            "valence": cells.get("EmoVal", ""),
            "dominance": cells.get("EmoDom", ""),
            "podcast": podcast[1] if podcast else "",
        },
        where,
    )


def _known(words: Mapping[str, str], column: str, code: str, where: str) -> str:
    """What a code stands for."""
    if code not in words:
        raise CorpusError(f"{where}: {column} is {code!r}, expected one of {', '.join(filter(None, words))}; restore the file")
    return words[code]


def _transcript(path: Path) -> str:
    """What was said; '' where nobody wrote it down."""
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split()) if path.is_file() else ""
