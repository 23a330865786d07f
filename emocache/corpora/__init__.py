"""The corpora that can be prepared: one module each, with the same parts.

    INFO: CorpusInfo                          licence, citation, label scheme, expected counts
    info(root: Path) -> CorpusInfo            the same for what lies at `root` (a look-alike may describe itself)
    read(root: Path) -> list[Utterance]       every utterance, with its raw label, in an order that never changes
    alignments(root: Path, utterances) -> list[Alignment]
                                              only where the corpus brings forced alignments: those of these utterances

Paths of utterances are relative to `root`, or to its folder where `root` is a file. Reading opens no audio.
"""

from collections.abc import Mapping
from types import ModuleType

from emocache.corpora import generic, iemocap, ravdess

CORPORA: Mapping[str, ModuleType] = {"iemocap": iemocap, "ravdess": ravdess, "csv": generic}
"""Readers by the name that `emocache prepare` takes."""
