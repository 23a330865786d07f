"""What the commands that care for the cache say: findings, what was done about them, bytes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from emocache import show

if TYPE_CHECKING:
    from emocache.care.findings import Report
    from emocache.care.litter import Litter
    from emocache.care.usage import Usage
    from emocache.proof import Proof

LINES = 20
"""Most findings that are printed for one feature set."""


def report_lines(report: "Report", proof: "Proof | None") -> list[str]:
    """What verify found in one feature set."""
    lines = [f"ok    {report.name}: {report.units} units, {show.size(report.size)} read"]
    if report.findings:
        lines = [f"bad   {report.name}: {len(report.condemned)} of {report.units} units condemned"]
        lines += [f"      {line}" for line in _finding_lines(report)]
        lines += [f"      to have it in order: {_remedy(report)}"]
    lines += [f"      {line}" for line in (proof.lines if proof else ())]
    if left := [one for one in report.litter if one.what != "lock"]:
        size = f"{len(left)} files or folders, {show.size(sum(one.size for one in left))}"
        lines.append(f"      left by killed commands, or being written now: {size}; `emocache gc {report.name}` deletes what is left")
    return lines


def _finding_lines(report: "Report") -> list[str]:
    """What is wrong, file by file."""
    lines = [f"{report.where(finding)}: {finding.what}" for finding in report.findings[:LINES]]
    more = len(report.findings) - LINES
    return [*lines, f"and {more} more (`emocache verify --json` lists all)"] if more > 0 else lines


def report_json(report: "Report", proof: "Proof | None" = None) -> dict[str, Any]:
    """What verify found, as JSON."""
    compared: dict[str, Any] = {}
    if proof:
        encoded = [asdict(one) for one in proof.differences]
        compared = {"source": proof.source and asdict(proof.source), "absent": proof.absent, "encoded": encoded}
    return compared | {
        "features": report.name,
        "ok": not report.findings,
        "units": report.units,
        "condemned": sorted(report.condemned),
        "bytes": report.size,
        "findings": [
            {"file": report.where(one), "kind": one.kind, "what": one.what, "entries": sorted(map(list, one.entries))}
            for one in report.findings
        ],
        "litter": litter_json(report.litter),
    }


def _remedy(report: "Report") -> str:
    """The commands that bring a feature set in order."""
    kinds = {finding.kind for finding in report.findings}
    if "card" in kinds:
        return f"emocache rm {report.name} && emocache extract"
    if "encoding" in kinds:
        return _joined([f"emocache rm {report.name}", *commands(report)], words(report))
    repairs = [f"emocache repair {report.name}"] if kinds - {"audio"} else []
    anew = bool(report.condemned) or "audio" in kinds
    return _joined(repairs + (commands(report) if anew else []), words(report) if anew else "")


def commands(report: "Report") -> list[str]:
    """The commands that make condemned units again, as far as they are known: of an import they are not."""
    from emocache.store.card import read_card
    from emocache.store.layout import FORMAT

    card = read_card(report.paths.card)
    older = [f"emocache migrate {report.name}"] if card.key.format < FORMAT else []
    return [*older, *card.commands(report.paths.root.name, report.arrays)]


def words(report: "Report") -> str:
    """What is to be done beside that, where no command can be given."""
    from emocache.store.card import read_card

    card, name = read_card(report.paths.card), report.paths.root.name
    return "" if card.commands(name) else card.again(name)


def _joined(commands: Sequence[str], more: str) -> str:
    """Commands, one after the other, and what is to be done after them."""
    return ", then ".join(part for part in (" && ".join(commands), more) if part)


def repair_lines(report: "Report", losses: Sequence[str], again: Sequence[str]) -> list[str]:
    """What a repair did."""
    if not report.findings:
        return [f"{report.name}: nothing to repair"]
    lines = [f"{report.name}: {len(report.condemned)} of {report.units} units taken out, {len(report.findings)} damaged files dealt with"]
    lines += [f"  {line}" for line in (*_finding_lines(report), *losses)]
    return lines + ([f"  to have them made again: {_joined(again, words(report))}"] if report.condemned else [])


def usage_json(found: "Usage") -> dict[str, Any]:
    """What a feature set takes, as JSON."""
    arrays = [{"level": level, "layer": layer, "bytes": size, "files": files} for (level, layer), (size, files) in found.arrays.items()]
    rest = {"bytes": found.rest[0], "files": found.rest[1]}
    litter = sum(one.size for one in found.litter)
    about = {"bytes": found.size, "files": found.files, "litter": litter, "dead": found.dead}
    return {"features": f"{found.paths.root.parent.name}/{found.paths.root.name}", "arrays": arrays, "rest": rest} | about


def usage_cells(row: Mapping[str, Any]) -> list[list[str]]:
    """What a feature set takes, as rows of a table."""
    name = row["features"]
    cells = [[name, one["level"], str(one["layer"]), show.size(one["bytes"]), str(one["files"])] for one in row["arrays"]]
    cells.append([name, "plan, commits", "", show.size(row["rest"]["bytes"]), str(row["rest"]["files"])])
    return [*cells, [name, "all", "", show.size(row["bytes"]), str(row["files"])]]


def gc_line(done: Mapping[str, Any], dry_run: bool, compact: bool) -> str:
    """What gc did in one feature set."""
    freed = f"{'would free' if dry_run else 'freed'} {show.size(done['size'])} in {len(done['litter'])} files or folders"
    dead = f", {show.size(done['dead'])} of rows that nobody reads" if compact else ""
    return f"{done['features']}: {freed}{dead}"


def litter_json(litter: "Sequence[Litter]") -> list[dict[str, Any]]:
    """Litter as JSON."""
    return [{"path": str(one.path), "what": one.what, "bytes": one.size} for one in litter if one.what != "lock"]
