"""The table of results as Markdown, CSV and LaTeX."""

import re
from collections.abc import Sequence

from heads import runfolder
from heads.metrics import METRICS, Interval, Spread
from heads.reporting.entries import DEVIATION, Entry, Report, footnotes

HEADER = (
    "run", "features", "corpus", "protocol", "tested", *(f"{name.upper()} %" for name in METRICS), "UA over seeds", "UA, mean of folds"
)  # fmt: skip
WORDS = 4
"""How many columns of HEADER hold words; numbers follow."""
TEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "[": "{[}", "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': "''",
    "^": r"\textasciicircum{}", "±": r"$\pm$",
}  # fmt: skip
"""What LaTeX reads as something else."""


def cells(entry: Entry) -> list[str]:
    """One run as cells under HEADER."""
    of, run = entry.scores, entry.run
    shown = [interval_text(getattr(of, name)) for name in METRICS]
    return [
        entry.name,
        run.features,
        run.corpus,
        run.protocol,
        str(of.tested),
        *shown,
        spread_text(of.over_seeds["ua"]),
        spread_text(of.over_folds["ua"]),
    ]


def interval_text(one: Interval) -> str:
    """A score and its bounds in percent."""
    return f"{100 * one.mean:.1f} [{100 * one.low:.1f}, {100 * one.high:.1f}]"


def spread_text(one: Spread) -> str:
    """Mean, standard deviation and extremes in percent, and of how many; a dash where there is one alone."""
    if one.std is None:
        return "-"
    return f"{100 * one.mean:.1f} ± {100 * one.std:.1f} ({100 * one.low:.1f} to {100 * one.high:.1f}, n = {one.count})"


def plain(entries: Sequence[Entry]) -> str:
    """The table for the terminal, with its footnotes."""
    rows = [(*row[:2], *row[WORDS : WORDS + 1 + len(METRICS)]) for row in (HEADER, *map(cells, entries))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, "", *footnotes(entries)])


def markdown(report: Report) -> str:
    """The table, its footnotes, each run's remarks and commands."""
    lines = ["# Results", "", _bars(HEADER), _bars(["---"] * WORDS + ["---:"] * (len(HEADER) - WORDS))]
    lines += [_bars([_md(cell) for cell in cells(entry)]) for entry in report.entries]
    lines += ["", *(f"- {line}" for line in (*footnotes(report.entries), DEVIATION, *report.left_out))]
    for entry in report.entries:
        lines += ["", f"## {_md(entry.name)}", "", *_classes(entry), ""]
        lines += [f"- deviates: {_md(text)}" for text in entry.run.deviations] + [f"- note: {_md(text)}" for text in entry.run.notes]
        lines += ["", *_console(made_by(entry))]
    return "\n".join([*lines, "", "Made by:", "", *_console(report.command), ""])


def _md(text: str) -> str:
    """Text as Markdown shows it, on one line: what begins a tag, a cell, a link or code there is a character here."""
    return re.sub(r"([\\|<>`*]|\](?=\())", r"\\\1", " ".join(text.split("\n")))


def _console(command: str) -> list[str]:
    """A command as a block of code, whose fence is longer than any in it."""
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", command)), default=0))
    return [f"{fence}console", f"$ {command}", fence]


def made_by(entry: Entry) -> str:
    """The command that made a run."""
    return str(entry.run.config.get("command") or "(the command was not recorded: a run of an older release)")


def _bars(row: Sequence[str]) -> str:
    """A row of Markdown."""
    return f"| {' | '.join(row)} |"


def _classes(entry: Entry) -> list[str]:
    """Recall and precision of each class as Markdown."""
    rows = [[_md(name), interval_text(one), f"{100 * entry.scores.precision[name]:.1f}"] for name, one in entry.scores.recall.items()]
    return [_bars(["class", "recall %", "precision %"]), _bars(["---", "---:", "---:"]), *(_bars(row) for row in rows)]


def csv(entries: Sequence[Entry]) -> str:
    """One line for each run, scores in 0..1; a class that a run does not have is empty. No text is a formula: see `_text`."""
    classes = list(dict.fromkeys(name for entry in entries for name in entry.run.classes))
    parts = ("", "_low", "_high", "_seeds_std", "_seeds_min", "_seeds_max", "_folds_mean", "_folds_std", "_folds_min", "_folds_max")
    header = ["run", "marks", "head", "corpus", "protocol", "label", "encoders", "seeds", "folds", "parameters", "tested", "resampled"]
    header += [f"{name}{part}" for name in METRICS for part in parts] + [f"recall_{name}" for name in classes]
    return runfolder.to_csv(header, ([_text(cell) for cell in _line(entry, classes)] for entry in entries))


def _text(cell: object) -> object:
    """A cell as it is, but for an apostrophe before text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _line(entry: Entry, classes: Sequence[str]) -> list[object]:
    """One run as a line of CSV."""
    run, of = entry.run, entry.scores
    line: list[object] = [entry.run.path.name, "; ".join(run.marks), run.head, run.corpus, run.protocol, run.label, ",".join(run.encoders)]
    line += [",".join(map(str, run.seeds)), of.over_folds["ua"].count, run.parameters, of.tested, of.resampled]
    for name in METRICS:
        score, seeds, folds = getattr(of, name), of.over_seeds[name], of.over_folds[name]
        line += [score.mean, score.low, score.high, seeds.std, seeds.low, seeds.high, folds.mean, folds.std, folds.low, folds.high]
    return line + [of.recall[name].mean if name in of.recall else "" for name in classes]


def latex(entries: Sequence[Entry]) -> str:
    """A tabular for the package booktabs, its footnotes beneath."""
    columns = len(METRICS) + 1
    lines = [r"% needs \usepackage{booktabs}", rf"\begin{{tabular}}{{l{'r' * (columns - 1)}}}", r"\toprule"]
    lines += [" & ".join(["", *(rf"{name.upper()} \%" for name in METRICS)]) + r" \\", r"\midrule"]
    for entry in entries:
        shown = [getattr(entry.scores, name) for name in METRICS]
        scores = [rf"{100 * one.mean:.1f} {{\scriptsize [{100 * one.low:.1f}, {100 * one.high:.1f}]}}" for one in shown]
        lines.append(" & ".join([_tex(entry.name), *scores]) + r" \\")
    notes = [rf"\multicolumn{{{columns}}}{{p{{0.95\linewidth}}}}{{\scriptsize {_tex(line)}}} \\" for line in footnotes(entries)]
    return "\n".join([*lines, r"\midrule", *notes, r"\bottomrule", r"\end{tabular}", ""])


def _tex(text: str) -> str:
    """Text as LaTeX prints it."""
    return "".join(TEX.get(letter, letter) for letter in text)
