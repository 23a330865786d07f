"""Any corpus that a CSV file lists: the columns of manifest.py, and whatever else it holds."""

from pathlib import Path

from emocache.manifest import read_csv
from emocache.types import CorpusInfo, Utterance

INFO = CorpusInfo(
    title="Utterances listed in a CSV file",
    licence="unknown",
    share="ask",
    citation="",
    scheme="as-is",
)


def info(_root: Path) -> CorpusInfo:
    """Nothing is known of a CSV file's corpus beyond the file itself."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """The utterances of the CSV file `root`, in its order; relative paths count from its folder."""
    return read_csv(root)
