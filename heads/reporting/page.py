"""The report as one HTML page: styles and pictures are inside, nothing is fetched, no script is needed."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from heads.marks import explained
from heads.metrics import METRICS, WORDS
from heads.reporting import figures, tables
from heads.reporting.entries import DEVIATION, Entry, Report, footnotes

STYLE = Path(__file__).with_name("style.css")


def html(report: Report) -> str:
    """The whole page."""
    entries = report.entries
    body = [
        "<h1>Results</h1>",
        _results(entries),
        f"<ul class=notes>{_items((_words(), *footnotes(entries), DEVIATION, *report.left_out))}</ul>",
        f"<h3>UA % with 95 % intervals</h3>{figures.side_by_side(entries)}",
        *(_section(i, entry, maps=report.maps) for i, entry in enumerate(entries)),
        f"<h2>Made by</h2><pre>{escape(report.command)}</pre>",
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>emocache: results</title><style>{STYLE.read_text(encoding='utf-8')}</style></head><body>{''.join(body)}</body></html>\n"
    )


def _words() -> str:
    """The names of the scores in words."""
    return "; ".join(f"{name.upper()}: {WORDS[name]}" for name in METRICS) + "."


def _results(entries: Sequence[Entry]) -> str:
    """The table of all runs."""
    head = "".join(f"<th{' class=words' if i < tables.WORDS else ''}>{escape(name)}</th>" for i, name in enumerate(tables.HEADER))
    return f"<div class=wide><table><tr>{head}</tr>{''.join(_row(i, entry) for i, entry in enumerate(entries))}</table></div>"


def _row(number: int, entry: Entry) -> str:
    """One run of the table."""
    cells = tables.cells(entry)
    name = f'<td class=words><a href="#run-{number}">{escape(entry.name)}</a></td>'
    words = "".join(f"<td class=words>{escape(cell)}</td>" for cell in cells[1 : tables.WORDS])
    numbers = "".join(f"<td class=score>{_two_lines(cell)}</td>" for cell in cells[tables.WORDS :])
    return f"<tr>{name}{words}{numbers}</tr>"


def _two_lines(cell: str) -> str:
    """A number, what is in brackets behind it smaller beneath."""
    for bracket in (" [", " ("):
        before, found, after = cell.partition(bracket)
        if found:
            unbroken = (found.strip() + after).replace(", ", ",\N{NO-BREAK SPACE}")
            return f"{escape(before)}<small>{escape(unbroken)}</small>"
    return escape(cell)


def _section(number: int, entry: Entry, *, maps: bool) -> str:
    """All there is of one run."""
    badges = "".join(f" <span class=mark>{escape(mark)}</span>" for mark in entry.run.marks)
    title = entry.run.path.name if entry.run.marks else entry.name
    parts = [
        f'<section id="run-{number}"><h2>{escape(title)}{badges}</h2>',
        *(f"<p class=warning>{escape(line)}</p>" for line in explained(entry.run.marks)),
        _facts(entry),
        _list("Where it is not the paper", entry.run.deviations),
        _list("Notes", entry.run.notes),
        f"<h3>Confusion matrix, % of the row (all seeds)</h3><div class=wide>{figures.confusion(entry)}</div>",
        f"<h3>Recall of each class, %</h3><p>The vertical line is their mean, UA.</p>{figures.class_recalls(entry)}{_precisions(entry)}",
        f"<h3>Over seeds and folds</h3>{figures.spreads(entry)}",
        f"<h3>Speakers, UA %</h3>{figures.speakers(entry)}",
        f"<h3>Learning curves</h3>{figures.curves(entry)}",
        f"<h3>Embeddings</h3>{figures.maps(entry)}" if maps else "",
        f"<h3>The command that made it</h3><pre>{escape(tables.made_by(entry))}</pre></section>",
    ]
    return "".join(parts)


def _facts(entry: Entry) -> str:
    """What decides the numbers."""
    run, config = entry.run, entry.run.config
    inputs = [
        f"{one['encoder']}, {one['level']}, layers {_layers(one['layers'])}, {str(one['digest'])[:12]}" for one in config.get("inputs", ())
    ]
    facts: Mapping[str, Any] = {
        "head": f"{run.head}, {run.parameters:,} parameters",
        "corpus": f"{run.corpus}, {entry.scores.tested} utterances tested, {len(run.classes)} classes of {run.label}",
        "protocol": f"{run.protocol} ({config.get('protocol_about', '')})",
        "folds and seeds": f"{entry.scores.over_folds['ua'].count} folds, seeds {', '.join(map(str, run.seeds))}",
        "validation": config.get("validation", ""),
        "epoch chosen by": config.get("selection", ""),
        "features": "; ".join(inputs),
        "settings": ", ".join(f"{name}={value}" for name, value in config.get("config", {}).items()),
        "computed on": f"{config.get('device', '')} in {run.seconds:.0f} s",
        "versions": ", ".join(f"{name} {value}" for name, value in config.get("versions", {}).items()),
        "folder": run.path,
        "digest": str(config.get("digest", ""))[:16],
    }
    return f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>' for name, value in facts.items())}</dl>"


def _layers(layers: Sequence[int]) -> str:
    """Layer numbers, those in a row as a range."""
    whole = len(layers) > 2 and list(layers) == list(range(layers[0], layers[-1] + 1))
    return f"{layers[0]}-{layers[-1]}" if whole else ",".join(map(str, layers))


def _list(title: str, lines: Sequence[str]) -> str:
    """A headed list, nothing where it would be empty."""
    return f"<h3>{title}</h3><ul>{_items(lines)}</ul>" if lines else ""


def _items(lines: Sequence[str]) -> str:
    """Lines as items of a list."""
    return "".join(f"<li>{escape(line)}</li>" for line in lines)


def _precisions(entry: Entry) -> str:
    """Recall and precision of each class in numbers."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td>{escape(tables.interval_text(one))}</td><td>{100 * entry.scores.precision[name]:.1f}</td></tr>"
        for name, one in entry.scores.recall.items()
    )
    return f"<table><tr><th>class</th><th>recall %</th><th>precision %</th></tr>{rows}</table>"
