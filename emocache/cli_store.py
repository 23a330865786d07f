"""Care for the cache on the command line: verify, repair, rm, du, gc and migrate."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocache import cli_rm, show, show_store
from emocache.errors import EmocacheError, UsageError
from emocache.options import (
    AllArgument,
    CacheOption,
    DataOption,
    DryOption,
    JsonOption,
    cache_of,
    each_of,
    name_of,
    root_of,
    roots_of,
    say,
    sets_in,
)

if TYPE_CHECKING:
    from emocache.store.layout import Paths


def verify(
    names: AllArgument = None,
    audio: Annotated[bool, typer.Option("--audio", help="Compare with the corpus's audio or texts too, where they are at hand.")] = False,
    again: Annotated[int, typer.Option("--reencode", metavar="K", min=0, help="Encode K random utterances alone and compare, too.")] = 0,
    seed: Annotated[int, typer.Option(help="Which random utterances.")] = 0,
    model: Annotated[str | None, typer.Option("--model", help="Where the encoder is by now (default: as it was given to extract).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    data: DataOption = Path("data"),
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look whether everything in the cache is as it was written. Exit code 1 when anything is not."""
    from emocache.care.verify import verify as verify_set

    roots = roots_of(cache, sound=False)
    markers = _marker_faults(roots, quiet=as_json)

    def look(paths: "Paths") -> dict[str, Any]:
        report, proof = verify_set(paths), None
        refused: EmocacheError | None = None
        if (audio or again) and report.findings:
            say(f"{report.name}: is damaged, so it is not compared with its source or encoder")
        elif audio or again:
            from emocache.proof import prove

            try:
                proof = prove(report.paths, data, source=audio, again=again, seed=seed, model=model, device=device)
                report = replace(report, findings=proof.findings)
            except EmocacheError as error:
                refused = error
        if not as_json:
            typer.echo("\n".join([*_heading(paths, roots, told), *show_store.report_lines(report, proof)]))
        if refused is not None:
            raise refused
        return show_store.report_json(report, proof) | {"path": str(paths.root)}

    told: set[Path] = set()
    looked, failed = each_of([paths for sets in sets_in(roots, names or ()).values() for paths in sets], look)
    if as_json:
        typer.echo(json.dumps({"marker": next(iter(markers), None), "features": looked}))
    elif not looked and not failed:
        typer.echo(f"{', '.join(map(str, roots))}: holds no features")
    bad = bool(markers) or not all(one["ok"] for one in looked)
    raise typer.Exit(1 if bad else 2 if failed else 0)


def repair(
    names: Annotated[list[str], typer.Argument(metavar="CORPUS/FEATURES...", help="As `emocache ls` names them.")],
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify, and take out what is condemned, so that the next extraction makes it again."""
    from emocache.care.repair import repair as repair_set
    from emocache.care.sets import find_sets, marker_fault, mend_marker

    root = root_of(cache)
    if marker_fault(root):
        mend_marker(root)
        say(f"{root / 'emocache.json'}: written anew")

    def mend(paths: "Paths") -> dict[str, Any]:
        done = repair_set(paths)
        commands = show_store.commands(done.report) if done.report.condemned else []
        if not as_json:
            typer.echo("\n".join(show_store.repair_lines(done.report, done.losses, commands)))
        return show_store.report_json(done.report) | {"losses": list(done.losses), "commands": commands}

    mended, failed = each_of(find_sets(root, names), mend)
    if as_json:
        typer.echo(json.dumps(mended))
    raise typer.Exit(2 if failed else 0)


def du(names: AllArgument = None, cache: CacheOption = None, as_json: JsonOption = False) -> None:
    """Say what the cache takes on disk: by feature set, level and layer."""
    from emocache.care.gc import beside
    from emocache.care.usage import usage

    roots = roots_of(cache)
    found, failed = each_of([paths for sets in sets_in(roots, names or ()).values() for paths in sets], usage)
    rows = [show_store.usage_json(one) | {"path": str(one.paths.root)} for one in found]
    left = sum(one.size for root in roots for one in beside(root))
    if as_json:
        typer.echo(json.dumps({"features": rows, "beside": left}))
    else:
        cells = [cell for row in rows for cell in show_store.usage_cells(row)]
        empty = f"{', '.join(map(str, roots))}: holds no features"
        typer.echo(show.table(["features", "level", "layer", "size", "files"], cells) if cells else empty)
        free, dead = left + sum(row["litter"] for row in rows), sum(row["dead"] for row in rows)
        typer.echo(f"`emocache gc` could free {show.size(free)}, with --compact {show.size(dead)} more")
    raise typer.Exit(2 if failed else 0)


def gc(
    names: AllArgument = None,
    dry_run: DryOption = False,
    compact: Annotated[bool, typer.Option("--compact", help="Rewrite feature sets without the rows that nobody reads any more.")] = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Delete what killed commands left, and with --compact the rows of changed and removed utterances."""
    from emocache.care import gc as collecting
    from emocache.care import litter
    from emocache.care.sets import check_no_links, find_sets

    root = cache_of(cache)

    def tidy(paths: "Paths") -> dict[str, Any]:
        check_no_links([paths] if compact else [])
        done = _would_free(paths) if dry_run else _freed(paths, compact)
        if not as_json:
            typer.echo(show_store.gc_line(done, dry_run, compact))
        return done

    found, failed = each_of(find_sets(root, names or ()), tidy)
    left = collecting.beside(root) if not names else []
    if not dry_run:
        litter.sweep(left, root)
    if as_json:
        typer.echo(json.dumps({"features": found, "beside": sum(one.size for one in left)}))
    elif left:
        typer.echo(f"{root}: {'would free' if dry_run else 'freed'} {show.size(sum(one.size for one in left))} beside feature sets")
    raise typer.Exit(2 if failed else 0)


def migrate(
    names: Annotated[list[str] | None, typer.Argument(metavar="[CORPUS[/FEATURES]]...", help="As `emocache ls` names them.")] = None,
    every: Annotated[bool, typer.Option("--all", help="All in the cache.")] = False,
    dry_run: DryOption = False,
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Bring feature sets that an older release has written to the newest format. Nothing is encoded again."""
    from emocache.care import migrate as migrating
    from emocache.care.sets import check_no_links, find_sets
    from emocache.store.layout import FORMAT

    root = cache_of(cache)
    if bool(names) == every:
        raise UsageError("say which features to migrate, or --all")

    def step(paths: "Paths") -> dict[str, Any]:
        check_no_links([paths])
        before = migrating.format_of(paths)
        steps = [migrating.STEPS[number].what for number in range(before, FORMAT)]
        if steps and not dry_run:
            migrating.migrate(paths)
        if not as_json:
            verb = f"format {before} {'would become' if dry_run else 'became'} {FORMAT}: {'; '.join(steps)}"
            typer.echo(f"{name_of(paths)}: {verb if steps else f'is of format {FORMAT} already'}")
        return {"features": name_of(paths), "format": before, "steps": steps}

    found, failed = each_of(find_sets(root, names or ()), step)
    marked = not dry_run and not failed and migrating.mark(root)
    if as_json:
        typer.echo(json.dumps(found))
    elif marked:
        typer.echo(f"{root}: is a cache of format {FORMAT} now")
    raise typer.Exit(2 if failed else 0)


def _marker_faults(roots: Sequence[Path], *, quiet: bool) -> list[str]:
    """What is wrong with the files that say that these are caches, said unless `quiet`."""
    from emocache.care.sets import marker_fault

    faults = {root: fault for root in roots if (fault := marker_fault(root)) is not None}
    for root, fault in faults.items():
        if not quiet:
            typer.echo(f"bad   {root / 'emocache.json'}: {fault}; `emocache repair` writes it anew")
    return list(faults.values())


def _heading(paths: "Paths", roots: Sequence[Path], told: set[Path]) -> list[str]:
    """The cache that a feature set lies in, where there are several and it was not told yet."""
    root = paths.root.parents[1]
    if len(roots) < 2 or root in told:
        return []
    told.add(root)
    return [f"cache {root}"]


def _would_free(paths: "Paths") -> dict[str, Any]:
    """What gc could free."""
    from emocache.care.usage import usage

    found = usage(paths)
    return {
        "features": name_of(paths),
        "litter": show_store.litter_json(found.litter),
        "size": sum(one.size for one in found.litter),
        "dead": found.dead,
    }


def _freed(paths: "Paths", compact: bool) -> dict[str, Any]:
    """Free it."""
    from emocache.care import gc as collecting
    from emocache.care.litter import size_of

    found = collecting.collect(paths)
    before = size_of(paths.root)
    dead = before - size_of(paths.root) if compact and paths.root.exists() and collecting.compact(paths) else 0
    return {"features": name_of(paths), "litter": show_store.litter_json(found), "size": sum(one.size for one in found), "dead": dead}


COMMANDS: Mapping[str, tuple[Callable[..., None], tuple[str, ...]]] = {
    "verify": (
        verify,
        ("emocache verify", "emocache verify iemocap/hubert-large --audio", "emocache verify iemocap/hubert-large --reencode 10 --seed 1"),
    ),
    "repair": (repair, ("emocache repair iemocap/hubert-large",)),
    "rm": (cli_rm.rm, cli_rm.EXAMPLES),
    "du": (du, ("emocache du", "emocache du iemocap/hubert-large --json")),
    "gc": (gc, ("emocache gc --dry-run", "emocache gc iemocap/hubert-large --compact")),
    "migrate": (migrate, ("emocache migrate --all --dry-run", "emocache migrate iemocap/hubert-large")),
}
"""Name -> function and examples."""
