"""Any corpus that a JSONL file lists: one object a line, with the columns of manifest.py and whatever else it holds.

{"utterance_id": "a", "path": "call.wav", "emotion": "calm", "channel": 0, "start": 1.25, "end": 3.5}
"""

from pathlib import Path

from emocache.corpora.tables import json_rows
from emocache.errors import CorpusError
from emocache.manifest import check_ids, from_cells
from emocache.types import CorpusInfo, Utterance

INFO = CorpusInfo(
    title="Utterances listed in a JSONL file",
    licence="unknown",
    share="ask",
    citation="",
    scheme="as-is",
)


def info(_root: Path) -> CorpusInfo:
    """Nothing is known of a JSONL file's corpus beyond the file itself."""
    return INFO


def read(root: Path) -> list[Utterance]:
    """The utterances of the JSONL file `root`, in its order; relative paths count from its folder.

    A field that is null or missing is empty; numbers may be numbers or text. CorpusError names file and line of what does not fit.
    """
    rows = json_rows(root)
    if rows and not any("emotion" in cells for _, cells in rows):
        raise CorpusError(f"{root}: no line has an emotion; needed are utterance_id, path and emotion (null where there is none)")
    utterances = [from_cells(cells, where) for where, cells in rows]
    check_ids(utterances, root)
    return utterances
