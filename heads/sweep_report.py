"""What a sweep found: sweep.json and trials.csv in its folder, a table for the terminal, and the command that trains the best."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import Any

from heads import runfolder, sweep, trials
from heads.space import Settings
from heads.sweep import Sweep
from heads.trials import OBJECTIVES, Trial

BIASED = (
    "the best settings are chosen on the validation parts of all folds together, and what one fold tests was trained and validated "
    "on in others: test scores with them are a little too high; --nested chooses for each fold by itself"
)
SHOWN = 20
"""Trials in the table for the terminal."""


def write(one: Sweep, done: Sequence[Trial]) -> None:
    """sweep.json and trials.csv."""
    header, *table = trials.rows(done, list(one.space.tried))
    runfolder.replace_text(one.target / "trials.csv", runfolder.to_csv(header, table))
    runfolder.replace_text(one.target / sweep.SWEEP, runfolder.to_json(sweep.about(one) | to_json(one, done)))


def to_json(one: Sweep, done: Sequence[Trial]) -> dict[str, Any]:
    """The sweep as a JSON object; trials are in order, best first."""
    counts = {state: sum(trial.state == state for trial in done) for state in ("complete", "pruned", "failed")}
    listed = [asdict(trial) | ({"ua": trial.ua, "loss": trial.loss} if trial.runs else {}) for trial in done]
    return {
        "path": str(one.target), "method": one.wish.method, "objective": one.wish.objective, "wanted": one.wanted, **counts,
        "best": dict(done[0].settings), "command": command(one, done[0].settings), "notes": list(notes(one, done)), "trials": listed,
    }  # fmt: skip


def to_text(one: Sweep, done: Sequence[Trial]) -> str:
    """A plain text table, best first, and how to train the best."""
    ask, found = one.planned.ask, to_json(one, done)
    rows = list(trials.rows(done[:SHOWN], list(one.space.tried)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        f"sweep of {ask.head} on {ask.corpus} ({', '.join(ask.encoders)}), protocol {ask.protocol}: {one.wish.method}",
        f"{found['complete']} of {max(one.wanted, len(done))} trials complete, {found['pruned']} pruned, {found['failed']} failed; "
        f"by {OBJECTIVES[one.wish.objective]}",
        "",
        *("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows),
        *([f"... {len(done) - SHOWN} more in trials.csv"] if len(done) > SHOWN else []),
        "",
        *(f"note      {text}" for text in found["notes"]),
        f"written   {one.target}",
        f"train     {found['command']}",
    ]
    return "\n".join(lines)


def notes(one: Sweep, done: Sequence[Trial]) -> Iterator[str]:
    """What a reader must know."""
    tests = {fold.test for folds in one.planned.folds.values() for fold in folds}
    if len(tests) > 1:
        yield BIASED
    if (missing := one.wanted - len(done)) > 0:
        yield f"{missing} of {one.wanted} trials are not done: other processes are at them, or the time was up; the same command goes on"
    yield from one.planned.material.notes


def command(one: Sweep, settings: Settings) -> str:
    """`emocache train` with these settings, ready to be run."""
    return replace(one.planned.ask, settings=(*one.space.fixed, *(f"{name}={value}" for name, value in settings.items()))).command()
