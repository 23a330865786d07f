"""What a paper's table consists of: rows with the configuration and the printed numbers of each, and rows of other authors."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from emocache.errors import UsageError

Searches = Literal["", "recurrent", "spectrogram"]
"""What is searched for before a row's head is trained: nothing, or a cell."""
CELLS = 20
"""How many recurrent cells a search tries."""
Shows = Literal["confusion", "maps", "curves"]
"""What a figure shows of its runs."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input as the paper has it: an encoder, the level of its rows, how many blocks are averaged, and their width.

    Instead of the outputs of all blocks it may be the one `layer`.
    """

    encoder: str
    level: str
    blocks: int
    dim: int
    text: bool = False
    layer: int | None = None

    @property
    def layers(self) -> tuple[int, ...]:
        """The outputs that are taken."""
        return tuple(range(1, self.blocks + 1)) if self.layer is None else (self.layer,)


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the paper's own: the head, what it is given, and what is printed, in percent by metric (ua, wa, wf1).

    `deviations` say in words where our head differs from the row whatever it is run on. A row that `combines` others by name is
    made of their results and trains nothing. `setting` is what this configuration of the paper's system is called. A row of
    `other_text` is predicted with other transcripts than it learns from. `search` is what is found on the corpus before the head is
    trained, where the settings name a stand-in. `protocol` and `folds` are the recipe's where a row has none of its own; `by_fold` is
    what is printed of single folds, by our name of the fold.
    """

    name: str
    head: str
    sources: tuple[Source, ...]
    printed: Mapping[str, float]
    settings: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    combines: tuple[str, ...] = ()
    setting: str = ""
    protocol: str | None = None
    folds: int | None = None
    by_fold: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    other_text: bool = False
    search: Searches = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cited:
    """A row of other authors that the paper prints beside its own: shown, never run."""

    name: str
    printed: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A table or figure of a paper, and what the paper's system is called.

    `folds`, `utterances` and `classes` are what its corpus gives; `notes` say what the paper leaves open. A figure has no metrics
    and `shows` something of the runs. With `over_folds` the printed scores are means of folds.
    """

    name: str
    paper: str
    url: str
    table: str
    about: str
    corpus: str
    utterances: int
    protocol: str
    folds: int
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    rows: tuple[Row, ...]
    classes: int = 4
    cited: tuple[Cited, ...] = ()
    notes: tuple[str, ...] = field(default=())
    system: str = ""
    over_folds: bool = False
    shows: Shows | None = None

    @property
    def encoders(self) -> tuple[str, ...]:
        """Every encoder that a row names, each once."""
        return tuple(dict.fromkeys(source.encoder for row in self.rows for source in row.sources))

    @property
    def layers(self) -> Literal["blocks", "last"]:
        """Which outputs of an encoder are taken: those of all blocks, or that of the last."""
        return "last" if any(source.layer is not None for row in self.rows for source in row.sources) else "blocks"

    def protocol_of(self, row: Row) -> str:
        """Who is tested in a row."""
        return row.protocol or self.protocol

    def folds_of(self, row: Row) -> int:
        """How many folds that gives on the paper's corpus."""
        return row.folds or self.folds

    def trained(self, row: Row) -> tuple[Row, ...]:
        """The rows whose heads are trained for a row: those that it combines, or itself."""
        return self.pick(row.combines) if row.combines else (row,)

    def pick(self, names: tuple[str, ...]) -> tuple[Row, ...]:
        """The rows of these names, or all where none is given; UsageError lists them."""
        known = [row.name for row in self.rows]
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"--rows {unknown[0]}: no such row in {self.name}; there are: {', '.join(known)}")
        return tuple(row for row in self.rows if not names or row.name in names)
