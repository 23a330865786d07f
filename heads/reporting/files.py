"""The four files of a report."""

from collections.abc import Sequence
from pathlib import Path

from heads.reporting import page, tables
from heads.reporting.entries import Entry


def write(entries: Sequence[Entry], out: Path, command: str, left_out: Sequence[str] = ()) -> dict[str, Path]:
    """Write report.md, .csv, .tex and .html to a folder, in the place of older ones; where each is, by its ending.

    `command` is printed as what made the report, and so are lines on runs that were `left_out`.
    """
    texts = {
        "md": tables.markdown(entries, command, left_out),
        "csv": tables.csv(entries),
        "tex": tables.latex(entries),
        "html": page.html(entries, command, left_out),
    }
    out.mkdir(parents=True, exist_ok=True)
    for ending, text in texts.items():
        (out / f"report.{ending}").write_text(text, encoding="utf-8")
    return {ending: out / f"report.{ending}" for ending in texts}
