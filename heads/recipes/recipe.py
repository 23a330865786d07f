"""What a paper's table consists of: rows with the configuration and the printed numbers of each, and rows of other authors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from emocache.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """One input as the paper has it: an encoder, the level of its rows, how many blocks are averaged, and their width."""

    encoder: str
    level: str
    blocks: int
    dim: int
    text: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of the paper's own: the head, what it is given, and what is printed, in percent by metric (ua, wa, wf1).

    `deviations` say in words where our head differs from the row whatever it is run on. A row that `combines` others by name is
    made of their results and trains nothing. `setting` is what this configuration of the paper's system is called.
    """

    name: str
    head: str
    sources: tuple[Source, ...]
    printed: Mapping[str, float]
    settings: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    combines: tuple[str, ...] = ()
    setting: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Cited:
    """A row of other authors that the paper prints beside its own: shown, never run."""

    name: str
    printed: Mapping[str, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """A table of a paper, and what the paper's system is called.

    `folds` and `utterances` are what its corpus gives; `notes` say what the paper leaves open.
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
    cited: tuple[Cited, ...] = ()
    notes: tuple[str, ...] = field(default=())
    system: str = ""

    @property
    def encoders(self) -> tuple[str, ...]:
        """Every encoder that a row names, each once."""
        return tuple(dict.fromkeys(source.encoder for row in self.rows for source in row.sources))

    def trained(self, row: Row) -> tuple[Row, ...]:
        """The rows whose heads are trained for a row: those that it combines, or itself."""
        return self.pick(row.combines) if row.combines else (row,)

    def pick(self, names: tuple[str, ...]) -> tuple[Row, ...]:
        """The rows of these names, or all where none is given; UsageError lists them."""
        known = [row.name for row in self.rows]
        if unknown := [name for name in names if name not in known]:
            raise UsageError(f"--rows {unknown[0]}: no such row in {self.name}; there are: {', '.join(known)}")
        return tuple(row for row in self.rows if not names or row.name in names)
