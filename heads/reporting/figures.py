"""The figures of a report as HTML: scores side by side, confusion matrix, learning curves, speakers, maps."""

from collections.abc import Mapping, Sequence
from html import escape

from heads import scores, stored
from heads.reporting import svg
from heads.reporting.entries import Entry
from heads.reporting.maps import Map, kinds, maps_of
from heads.reporting.svg import PALETTE, Dot, Line
from heads.stored import Curve

MOST_PANELS = 30
MOST_SPEAKERS = 60
MOST_IN_LEGEND = 30
DARK = 0.66
"""From this share on, white letters are easier to read on a cell than black ones."""
VALIDATION, TRAINING = PALETTE[0], PALETTE[1]


def side_by_side(entries: Sequence[Entry]) -> str:
    """UA of all runs with intervals."""
    rows = [
        Dot(entry.name, entry.scores.ua.mean, entry.scores.ua.low, entry.scores.ua.high, f"{entry.name}: {entry.scores.tested} utterances")
        for entry in entries
    ]
    return svg.dots(rows, "UA of each run with its 95 % interval")


def confusion(entry: Entry) -> str:
    """The confusion matrix, in percent of each row, counts under the pointer."""
    classes, counts = entry.run.classes, entry.scores.confusion
    head = "".join(f"<th>{escape(name)}</th>" for name in classes)
    rows = []
    for name, row in zip(classes, counts, strict=True):
        total = sum(row)
        cells = "".join(_cell(name, other, count, total) for other, count in zip(classes, row, strict=True))
        rows.append(f"<tr><th>{escape(name)}</th>{cells}<td class=sum>{total}</td></tr>")
    return f"<table class=matrix><tr><th>truth \\ predicted</th>{head}<th>count</th></tr>{''.join(rows)}</table>"


def _cell(truth: str, predicted: str, count: int, total: int) -> str:
    """One cell: white for none, dark for all of the row."""
    share = count / total if total else 0.0
    ink = "#fff" if share > DARK else "#111"
    hover = f"{truth} taken for {predicted}: {count} of {total}" if truth != predicted else f"{truth} recognised: {count} of {total}"
    return f'<td style="background:rgba(0,60,120,{share:.2f});color:{ink}" title="{escape(hover)}">{100 * share:.1f}</td>'


def class_recalls(entry: Entry) -> str:
    """Recall of each class that occurs, with its interval; precision under the pointer and in the table of `page`."""
    found, precision = entry.scores.recall, entry.scores.precision
    rows = [Dot(name, one.mean, one.low, one.high, f"{name}: precision {100 * precision[name]:.1f} %") for name, one in found.items()]
    return svg.dots(rows, "Recall of each class with its 95 % interval", rule=entry.scores.ua.mean)


def speakers(entry: Entry) -> str:
    """UA of each speaker, lowest first."""
    if not entry.speakers:
        return "<p>The speakers are not known.</p>"
    shown = dict(list(entry.speakers.items())[:MOST_SPEAKERS])
    rows = [
        Dot(name, one.ua, hover=f"{name}: UA {100 * one.ua:.1f} %, WA {100 * one.wa:.1f} %, {one.tested} utterances")
        for name, one in shown.items()
    ]
    picture = svg.dots(rows, "UA of each speaker", rule=entry.scores.ua.mean)
    left = len(entry.speakers) - len(shown)
    rest = f"<p>The {MOST_SPEAKERS} lowest; {left} more are in <code>emocache report --json</code>.</p>" if left else ""
    return f"<p>Mean over seeds; the vertical line is the run's UA.</p>{picture}{rest}"


def curves(entry: Entry) -> str:
    """Losses by epoch, one panel for each fold, one pair of lines for each seed; the dot is the chosen epoch."""
    found = stored.curves(entry.run.path)
    folds: dict[str, list[Curve]] = {}
    for one in found:
        folds.setdefault(one.fold, []).append(one)
    if not folds:
        return "<p>The run stored no curves.</p>"
    top = _top([value for one in found for value in (*one.train, *one.validation)])
    longest = max(len(one.train) for one in found)
    shown = dict(list(folds.items())[:MOST_PANELS])
    panels = [
        svg.lines(f"fold {name}", _lines(ones), longest=longest, top=top, about=f"losses of fold {name}") for name, ones in shown.items()
    ]
    left = len(folds) - len(shown)
    rest = f"<p>{left} more folds are in curves.json of the run folder.</p>" if left else ""
    about = "Loss by epoch, a pair of lines for each seed; the dot is the epoch that was chosen. Losses above the frame are cut off."
    legend = _legend({"validation (solid)": VALIDATION, "training (dashed; with dropout, while it learns)": TRAINING})
    return f"{legend}<p>{about}</p><div class=grid>{''.join(panels)}</div>{rest}"


def _top(values: Sequence[float]) -> float:
    """The upper end of a scale that shows 99 % of the values: a first epoch that explodes would flatten all the others."""
    return sorted(values)[int(0.99 * (len(values) - 1))] * 1.05


def _lines(folds: Sequence[Curve]) -> list[Line]:
    """The lines of a panel."""
    made = []
    for one in folds:
        made.append(Line(one.train, TRAINING, dashed=True, hover=f"seed {one.seed}, training"))
        made.append(Line(one.validation, VALIDATION, dot=one.chosen, hover=f"seed {one.seed}, validation: epoch {one.chosen} chosen"))
    return made


def maps(entry: Entry) -> str:
    """Maps of embeddings, by class and by speaker."""
    found = maps_of(entry.run)
    return f"<p>{escape(found.about)}</p>{''.join(_fold(one) for one in found.maps)}"


def _fold(one: Map) -> str:
    """The two maps of a fold."""
    parts = [_coloured(one, one.labels, "label")]
    if len({*one.speakers}) > 1:
        parts.append(_coloured(one, one.speakers, "speaker"))
    else:
        parts.append("<p>One speaker alone is tested in this fold.</p>")
    return f"<h4>fold {escape(one.fold)}</h4><div class=grid>{''.join(parts)}</div>"


def _coloured(one: Map, values: Sequence[str], what: str) -> str:
    """A map with its legend."""
    names, numbers = kinds([value or "(not known)" for value in values])
    picture = svg.cloud(one.points, numbers, len(names), f"t-SNE of fold {one.fold}, coloured by {what}")
    colours = {name: svg.colour(i, len(names)) for i, name in enumerate(names)}
    legend = _legend(colours) if len(names) <= MOST_IN_LEGEND else f"<p>{len(names)} {what}s</p>"
    return f"<figure>{picture}<figcaption>by {what}: {legend}</figcaption></figure>"


def _legend(colours: Mapping[str, str]) -> str:
    """Names with their colours; every second one is square, as its points are."""
    return "".join(
        f'<span class=key><i style="background:{colour};border-radius:{(50, 0)[i % 2]}%"></i>{escape(name)}</span>'
        for i, (name, colour) in enumerate(colours.items())
    )


def spreads(entry: Entry) -> str:
    """Pooled over folds and mean of folds, over seeds and folds, each as what it is."""
    rows = [
        ("pooled, over seeds", scores.AGGREGATION, entry.scores.over_seeds),
        ("mean of folds", scores.OVER_FOLDS, entry.scores.over_folds),
    ]
    lines = []
    for name, about, found in rows:
        for metric, one in found.items():
            deviation = "-" if one.std is None else f"{100 * one.std:.2f}"
            numbers = (f"{100 * one.mean:.2f}", deviation, f"{100 * one.low:.2f}", f"{100 * one.high:.2f}", one.count)
            cells = "".join(f"<td>{number}</td>" for number in (metric.upper(), *numbers))
            lines.append(f'<tr><th title="{escape(about)}">{escape(name)}</th>{cells}</tr>')
    head = "".join(f"<th>{name}</th>" for name in ("", "score", "mean %", "± std", "lowest", "highest", "n"))
    return f"<table><tr>{head}</tr>{''.join(lines)}</table>"
