"""The formats of alignments by name, and which one a folder holds."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from emocache.alignments import ctm, emodb, mfa, sphinx, textgrid
from emocache.alignments.tiers import Tier
from emocache.errors import UsageError


@dataclass(frozen=True, kw_only=True, slots=True)
class Format:
    """How files of a format are known and read.

    Of several files of one recording, those whose suffix comes first in `suffixes` give the levels that they have. `opens`
    is what a file begins with and `holding` what stands in it, where the suffix alone says little. `many` files hold
    recordings that only their content names. `source` is what an alignment is called unless its user says otherwise.
    """

    about: str
    source: str
    suffixes: tuple[str, ...]
    read: Callable[[Path], list[Tier]]
    opens: str = ""
    holding: str = ""
    many: bool = False

    def holds(self, path: Path) -> bool:
        """Whether a file seems to be of this format."""
        if path.suffix.lower() not in self.suffixes:
            return False
        with path.open("rb") as file:
            start = file.read(-1 if self.holding else 200) if self.opens else b""
        return start.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(self.opens.encode()) and self.holding.encode() in start


FORMATS: Mapping[str, Format] = {
    "sphinx": Format(
        about="CMU Sphinx-3 as IEMOCAP brings it, frames of 10 ms, from SFrm/100 to (EFrm + 1)/100 s",
        source="wdseg", suffixes=tuple(sphinx.LEVELS), read=sphinx.read,
    ),
    "textgrid": Format(about="Praat TextGrid", source="mfa", suffixes=(".textgrid",), read=textgrid.read),
    "mfa-json": Format(
        about="JSON of the Montreal Forced Aligner",
        source="mfa", suffixes=(".json",), read=mfa.read_json, opens="{", holding='"tiers"',
    ),
    "mfa-csv": Format(
        about="CSV of the Montreal Forced Aligner",
        source="mfa", suffixes=(".csv",), read=mfa.read_csv, opens=",".join(mfa.COLUMNS),
    ),
    "ctm": Format(about="CTM", source="ctm", suffixes=(".ctm",), read=ctm.read, many=True),
    "emodb": Format(about="EmoDB's hand-made labels", source="emodb", suffixes=tuple(emodb.LEVELS), read=emodb.read),
}  # fmt: skip


def chosen(root: Path, name: str | None) -> tuple[Format, list[Path]]:
    """The format of that name (None: the one whose files are there) and its files in `root`, or `root` itself if it is one.

    UsageError for an unknown name, when there are no such files, or those of several formats.
    """
    if name is not None and name not in FORMATS:
        raise UsageError(f"no format of alignments {name!r}; there are: {', '.join(FORMATS)}")
    if not root.exists():
        raise UsageError(f"{root}: no such folder or file of alignments")
    inside = [root] if root.is_file() else sorted(path for path in root.rglob("*") if path.is_file() and not path.name.startswith("."))
    asked = FORMATS if name is None else {name: FORMATS[name]}
    found = {key: files for key, one in asked.items() if (files := [path for path in inside if one.holds(path)])}
    if not found:
        suffixes = ", ".join(suffix for one in asked.values() for suffix in one.suffixes)
        raise UsageError(f"{root}: holds no alignments ({suffixes}); give the folder that does")
    if len(found) > 1:
        counts = ", ".join(f"{key} {len(files)}" for key, files in found.items())
        raise UsageError(f"{root}: holds files of several formats ({counts}); say which with --format")
    [(key, files)] = found.items()
    return FORMATS[key], files
