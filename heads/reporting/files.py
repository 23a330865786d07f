"""The four files of a report."""

from pathlib import Path

from heads.reporting import page, tables
from heads.reporting.entries import Report


def write(report: Report, out: Path) -> dict[str, Path]:
    """Write report.md, .csv, .tex and .html to a folder, in the place of older ones; where each is, by its ending."""
    texts = {
        "md": tables.markdown(report),
        "csv": tables.csv(report.entries),
        "tex": tables.latex(report.entries),
        "html": page.html(report),
    }
    out.mkdir(parents=True, exist_ok=True)
    for ending, text in texts.items():
        (out / f"report.{ending}").write_text(text, encoding="utf-8")
    return {ending: out / f"report.{ending}" for ending in texts}
