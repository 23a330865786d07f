"""The corpora that can be prepared: one module each, with the same parts.

    INFO: CorpusInfo                          licence, citation, label scheme, expected counts
    info(root: Path) -> CorpusInfo            the same for what lies at `root` (a look-alike may describe itself)
    read(root: Path) -> list[Utterance]       every utterance, with its raw label, in an order that never changes
    alignments(root: Path, utterances) -> list[Alignment]
                                              only where the corpus brings forced alignments: those of these utterances
    strays(root: Path, utterances) -> list[LeftOut]
                                              only where recordings are found by name: what looks like one and is none of these

Paths of utterances are relative to `root`, or to its folder where `root` is a file. Reading opens no audio
(but `huggingface` writes out what lies inside tables). An utterance whose audio is not there is read all the same.
"""

from collections.abc import Mapping
from types import ModuleType

from emocache.corpora import (
    cremad,
    emobox,
    emodb,
    esd,
    generic,
    huggingface,
    iemocap,
    jsonl,
    meld,
    msp_podcast,
    ravdess,
)

CORPORA: Mapping[str, ModuleType] = {
    "iemocap": iemocap,
    "meld": meld,
    "cremad": cremad,
    "ravdess": ravdess,
    "emodb": emodb,
    "esd": esd,
    "msp-podcast": msp_podcast,
    "emobox": emobox,
    "huggingface": huggingface,
    "jsonl": jsonl,
    "csv": generic,
}
"""Readers by the name that `emocache prepare` takes."""
