"""The file of a searched cell: what it is, and how it was found.

    {"format": 1, "kind": "convolutional", "cell": {"normal": [["sep_conv_3x3", 0], ...], ...}, "found": {"corpus": ...}}

`kind` is `convolutional` (a genotype of the DARTS space) or `recurrent` (a recipe of NAS-Bench-NLP). `found` tells where the cell is
from and decides nothing: a network is made of `kind` and `cell` alone, and these are part of the settings of a run. What others have
published is read as it is: a genotype as DARTS prints it, a recipe of NAS-Bench-NLP as JSON or as a Python literal.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emocache.errors import UsageError
from heads import runfolder
from heads.emotionnas import genotype, recipe

FORMAT = 1
KINDS = ("convolutional", "recurrent")
MOST_CHARACTERS = 10_000_000
"""Of a file; that of a cell has a few thousand."""

EXPECTED = "no searched cell: expected JSON with format, kind and cell, Genotype(...), or a recipe of NAS-Bench-NLP"


@dataclass(frozen=True, slots=True)
class Cell:
    """A searched cell; `text` is JSON in one form, so that equal cells have equal texts. None is of no kind."""

    kind: str = ""
    text: str = ""

    @classmethod
    def of(cls, kind: str, cell: Mapping[str, Any]) -> "Cell":
        """From what the file holds."""
        return cls(kind, json.dumps(cell, sort_keys=True, separators=(",", ":")))

    @classmethod
    def parse(cls, text: str) -> "Cell":
        """Of a setting: the file's own JSON or a published form, or the path of a file that holds one of them."""
        return from_text(text) if _inline(text) else load(Path(text)).cell

    @property
    def value(self) -> dict[str, Any]:
        """The cell as the JSON object that it is in the file."""
        found: dict[str, Any] = json.loads(self.text)
        return found

    @property
    def setting(self) -> str:
        """What `parse` makes this cell of, without a file."""
        return json.dumps({"format": FORMAT, "kind": self.kind, "cell": self.value}, sort_keys=True, separators=(",", ":"))

    @property
    def digest(self) -> str:
        """Tells cells apart by what they are."""
        return hashlib.sha256(self.setting.encode()).hexdigest()


NO_CELL = Cell()


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """A cell with how it was found: corpus, features, protocol, seed, fold, budget and validation loss, as far as known."""

    cell: Cell
    found: Mapping[str, Any] = field(default_factory=dict)


def save(path: Path, one: Found) -> None:
    """Write the file, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "kind": one.cell.kind, "cell": one.cell.value, "found": dict(one.found)}
    runfolder.replace_text(path, runfolder.to_json(about))


def load(path: Path) -> Found:
    """Read a file; UsageError for one that is not there, or is no searched cell."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or 'no text'}); give a file that a search wrote"
        ) from None
    if len(text) > MOST_CHARACTERS:
        raise UsageError(f"{path}: no searched cell: is longer than {MOST_CHARACTERS} characters")
    try:
        return _read(text)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def from_text(text: str) -> Cell:
    """The cell of a text."""
    return _read(text).cell


def _inline(text: str) -> bool:
    """Whether a setting is a cell rather than the path of one."""
    return text.lstrip().startswith(("{", "Genotype("))


def _read(text: str) -> Found:
    """The cell of JSON or of a published form; UsageError says what is wrong."""
    if text.lstrip().startswith("Genotype("):
        return Found(cell=Cell.of("convolutional", genotype.to_json(genotype.from_text(text))))
    try:
        about: Any = recipe.value_of(text)
    except UsageError:
        raise UsageError(EXPECTED) from None
    if recipe.published(about):
        return Found(cell=Cell.of("recurrent", recipe.of_json(about).to_json()))
    try:
        version, kind, cell = about["format"], about["kind"], dict(about["cell"])
    except (ValueError, KeyError, TypeError):
        raise UsageError(EXPECTED) from None
    if version != FORMAT:
        raise UsageError(f"format {version} of searched cells is not known; this version reads format {FORMAT}")
    if kind not in KINDS:
        raise UsageError(f"no kind of cell {kind!r}; there are: {', '.join(KINDS)}")
    cell = genotype.to_json(genotype.from_json(cell)) if kind == "convolutional" else recipe.of_json(cell).to_json()
    return Found(cell=Cell.of(kind, cell), found=about.get("found") or {})
