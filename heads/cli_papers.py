"""`emocache reproduce` and `emocache heads`: the papers' tables beside ours, and how large each head in them is."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from emocache.errors import UsageError
from emocache.places import CACHE_HELP, cache_path, join
from heads import HEADS
from heads.cli import JobsOption, NoWeightsOption, parse_seeds
from heads.recipes.recipe import CELLS

REPRODUCE_EXAMPLES = (
    "emocache reproduce --list",
    "emocache reproduce multilevel-table1",
    "emocache reproduce mstr-table2 --device cuda",
    "emocache reproduce multilevel-table1 --corpus demo --encoders wav2vec2-base=whisper-tiny.en,bert-base=all-minilm-l6-v2 --seeds 0",
)
HEADS_EXAMPLES = ("emocache heads", "emocache heads --json")


def reproduce(
    name: Annotated[str | None, typer.Argument(help="As --list names the tables.")] = None,
    listed: Annotated[bool, typer.Option("--list", help="List the papers' tables.")] = False,
    corpus: Annotated[str | None, typer.Option(help="Which corpus (default: the paper's).")] = None,
    encoders: Annotated[
        str, typer.Option(help="Other features than the paper's: wav2vec2-base=whisper-tiny.en,... (named as a deviation).")
    ] = "",
    alignment: Annotated[str | None, typer.Option(help="Another alignment than the paper's, such as mfa (likewise).")] = None,
    protocol: Annotated[str | None, typer.Option(help="Another protocol than the paper's, such as loso (likewise).")] = None,
    rows: Annotated[str, typer.Option(help="These rows alone, with commas between (default: all whose head is built).")] = "",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for every row, repeatable, such as width=64 (named as a deviation)."),
    ] = None,
    seeds: Annotated[str | None, typer.Option(help="0-2, or 0,3,5 (default: the recipe's).")] = None,
    max_epochs: Annotated[int | None, typer.Option("--max-epochs", min=1, help="Cut longer trainings (marked as reduced).")] = None,
    cells: Annotated[int, typer.Option(min=1, help="Rows with a recurrent search: how many cells it tries (fewer are marked).")] = CELLS,
    select: Annotated[str, typer.Option(help="As of `train`: test is a habit of some papers, and is marked.")] = "validation",
    test_text: Annotated[
        str | None,
        typer.Option(
            "--test-text", help="CORPUS/NAME, or a table FILE.csv: for rows that are predicted with other transcripts, features of such."
        ),
    ] = None,
    runs: Annotated[Path, typer.Option(help="Folder that runs are written to, and finished ones taken from.")] = Path("runs"),
    data: Annotated[Path, typer.Option(help="Folder of prepared corpora.")] = Path("data"),
    cache: Annotated[Path | None, typer.Option(help=CACHE_HELP)] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    jobs: JobsOption = 1,
    allow_counts: Annotated[bool, typer.Option("--allow-counts", help="Run although the corpus is not as published.")] = False,
    allow_missing: Annotated[bool, typer.Option("--allow-missing", help="Leave out labelled utterances that have no features.")] = False,
    no_weights: NoWeightsOption = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the table as one JSON object.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress bars.")] = False,
) -> None:
    """Run the rows of a paper's table, and print its numbers beside ours; finished runs are not run again."""
    from heads import recipes

    if listed or name is None:
        _list(as_json=as_json, asked=listed)
        return
    parts = recipes.parts(name)

    from heads import paper_table
    from heads.reproduce import carry_out
    from heads.wish import Wish, asked_of, plans

    wish = Wish(
        recipe=parts[0],
        corpus=corpus or "",
        encoders=parse_encoders(encoders),
        rows=_names(rows),
        settings=tuple(settings or ()),
        seeds=parse_seeds(seeds) if seeds is not None else (),
        max_epochs=max_epochs,
        cells=cells,
        alignment=alignment,
        protocol=protocol,
        select=select,
        test_text=test_text,
        runs=runs,
        data=data,
        cache=join(cache_path(cache)),
        device=device,
        allow_counts=allow_counts,
        allow_missing=allow_missing,
        no_weights=no_weights,
    )
    planned = [(one, plans(one)) for one in asked_of(wish, parts)]
    tables = [carry_out(*one, jobs=jobs, quiet=quiet) for one in planned]
    if as_json:
        found = [paper_table.to_json(table) for table in tables]
        typer.echo(json.dumps(found[0] if len(parts) == 1 else {"recipe": name, "tables": found}))
        return
    typer.echo("\n\n".join(map(paper_table.to_text, tables)))


def heads(as_json: Annotated[bool, typer.Option("--json", help="Print a list of JSON objects.")] = False) -> None:
    """List every row of every paper's table: its head, how many parameters it has, and the features that it needs.

    Settings that no table has follow; in JSON all settings of the papers' systems, under their own names.
    """
    from heads.parameters import FLOPS, settings

    found = settings()
    if as_json:
        typer.echo(json.dumps(found))
        return
    for one in (one for one in found if "trained_as" not in one or one["recipe"] is None):
        size = f"{one['parameters']:,} parameters" if one["parameters"] is not None else _unknown(one)
        needs = ", ".join(f"{source['encoder']}/{source['level']}" for source in one["needs"])
        counts = "".join(f"  {name} {one[name] / 1e6:,.3f} M" for name in FLOPS if name in one)
        typer.echo(f"{one['recipe'] or '-':<20} {one['setting']:<20} {one['head']:<14} {size:>24}  {needs}{counts}")
    for note in dict.fromkeys(note for one in found for note in (*one.get("flops_notes", ()), *one.get("notes", ()))):
        typer.echo(f"note  {note}")


def _unknown(one: Mapping[str, Any]) -> str:
    """Why a row has no number of parameters."""
    return "as the search finds" if one.get("search") else "not built yet"


def parse_encoders(text: str) -> dict[str, str]:
    """'a=b,c=d' as a mapping; UsageError for anything else."""
    pairs = [part.partition("=") for part in _names(text)]
    if wrong := [name for name, equals, ours in pairs if not (name and equals and ours)]:
        raise UsageError(f"--encoders {wrong[0] or text}: expected PAPER=OURS, such as wav2vec2-base=whisper-tiny.en")
    return {name.strip(): ours.strip() for name, _, ours in pairs}


def _list(*, as_json: bool, asked: bool) -> None:
    """The tables, with how many of their rows can be run."""
    from heads import recipes

    if not asked:
        raise UsageError(f"which table? there are: {', '.join([*recipes.RECIPES, *recipes.SEVERAL])} (--list says more)")
    about = [
        {
            "name": one.name,
            "paper": one.paper,
            "table": one.table,
            "about": one.about,
            "corpus": one.corpus,
            "protocol": one.protocol,
            "rows": len(one.rows),
            "built": sum(all(part.head in HEADS for part in one.trained(row)) for row in one.rows),
            "cited": len(one.cited),
        }
        for one in recipes.every()
    ]
    if as_json:
        typer.echo(json.dumps(about))
        return
    for row in about:
        typer.echo(f"{row['name']}: {row['table']} of {row['paper']}: {row['about']}, on {row['corpus']}")
        typer.echo(
            f"  {row['built']} of {row['rows']} rows can be run" + (f"; {row['cited']} rows of other authors" if row["cited"] else "")
        )


def _names(text: str) -> tuple[str, ...]:
    """Names with commas between."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
