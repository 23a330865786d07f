"""What each corpus reader finds in a tiny tree in its corpus's layout, as a Markdown table.

    python -m benchmarks.corpora

The trees are those of the tests (tests/corpora/trees.py), so that the numbers are of tones and not of speech: the table shows
that every reader runs from its layout to a manifest, and what it counts on the way. Counts of classes and splits are those
of the manifest; `left out` is by label.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from emocache.corpora import CORPORA
from emocache.corpora.prepare import prepare
from tests.corpora.trees import TREES

TRAPS = {
    "iemocap": "speaker by the last letter; excited merged; subfolders and `._*` files; several votes; Latin-1; averages off the scale",
    "meld": "ids by split; C1 quotes; unlisted clips; wav before mp4; ffmpeg missing or failing; two broken; clips of minutes",
    "cremad": "X for XX; ties; actors without data; a file that is listed and missing; silent, empty or absent 1076_MTI_SAD_XX; Git LFS",
    "ravdess": "FLLR chunk; stereo; song beside speech; two copies; wav and flac of one name",
    "emodb": "A is fear; names without version; hand labels beside the wavs",
    "esd": "two layouts; four encodings; lines without tabs; evaluation is dev; two languages",
    "msp-podcast": "speaker Unknown; no agreement; Test3 without labels; CSV or JSON; transcripts for some",
    "emobox": "folds or a split; paths from the clone; a file under two names; `channel` is a count; labels that disagree",
    "huggingface": "audio in Parquet and Arrow; class names in the schema; -1; shards; one name in two splits; AudioFolder",
    "jsonl": "two channels; segments; null; lists; a field twice; NaN",
    "csv": "no label; further columns; two channels; segments",
}
"""What the tests of each reader go through."""
HEADER = ("reader", "read", "kept", "classes", "speakers", "splits or folds", "left out", "traps that its tests cover")


def main() -> None:
    """Print the table."""
    print("| " + " | ".join(HEADER) + " |")
    print("|" + "---|" * len(HEADER))
    for reader in CORPORA:
        with tempfile.TemporaryDirectory() as folder:
            print("| " + " | ".join(row(reader, Path(folder))) + " |")


def row(reader: str, folder: Path) -> list[str]:
    """One reader's line, of a tree made in `folder`."""
    root = TREES[reader](folder / "corpus")
    prepared = prepare(reader, root, name="tiny", data=folder / "data")
    kept = prepared.corpus.utterances
    read = str(len(kept) + len(prepared.left_out))
    people = str(len({utterance.speaker for utterance in kept} - {None}))
    parts = counts(utterance.split or utterance.fold or utterance.session for utterance in kept)
    left_out = counts(one.label or "(no label)" for one in prepared.left_out)
    return [reader, read, str(len(kept)), counts(u.emotion or "(no label)" for u in kept), people, parts, left_out, TRAPS[reader]]


def counts(values: Iterable[str | None]) -> str:
    """'calm 2, sad 1', or a dash where there is nothing."""
    return ", ".join(f"{name} {count}" for name, count in sorted(Counter(value for value in values if value).items())) or "-"


if __name__ == "__main__":
    main()
