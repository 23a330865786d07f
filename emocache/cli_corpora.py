"""`emocache corpora`: which corpora can be prepared, and what is published of each."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emocache import show
from emocache.errors import UsageError
from emocache.options import JsonOption

if TYPE_CHECKING:
    from emocache.types import CorpusInfo

EXAMPLES = ("emocache corpora", "emocache corpora meld", "emocache corpora cremad --json")
HEADER = ("name", "title", "languages", "scheme", "classes", "utterances", "licence", "share features")


def corpora(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, for all that is known of it.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the corpora that can be prepared: classes and utterances expected, licence, and whether features may be passed on.

    Counts are of the default label scheme, and '-' where a corpus has none that are published.
    """
    from emocache.corpora import CORPORA

    if name is not None and name not in CORPORA:
        raise UsageError(f"no corpus {name!r}; there are: {', '.join(CORPORA)}")
    rows = [_row(one, reader.INFO) for one, reader in CORPORA.items() if name in {None, one}]
    if as_json:
        typer.echo(json.dumps(rows))
    elif name is not None:
        typer.echo("\n".join(_card(rows[0])))
    else:
        typer.echo(show.table(HEADER, [_cells(row) for row in rows]))


def _row(name: str, info: "CorpusInfo") -> dict[str, Any]:
    """All that is known of a corpus, with its label schemes."""
    from emocache.labels import SCHEMES

    own = {key: scheme for key, scheme in SCHEMES.items() if key == info.scheme or key in info.expected or key.startswith(f"{name}-")}
    schemes = {
        key: {
            "about": scheme.about,
            "source": scheme.source,
            "column": scheme.column,
            "where": dict(scheme.where),
            "classes": sorted(set(scheme.merge.values())),
            "expected": dict(info.expected.get(key, {})),
            "expected_splits": {split: dict(counts) for split, counts in info.expected_splits.get(key, {}).items()},
        }
        for key, scheme in own.items()
    }
    facts = {"title": info.title, "languages": list(info.languages), "licence": info.licence, "share": info.share, "passes": info.passes}
    more = {"citation": info.citation, "home": info.home, "scheme": info.scheme, "broken": dict(info.broken)}
    return {"name": name} | facts | more | {"schemes": schemes}


def _cells(row: dict[str, Any]) -> list[str]:
    """One corpus as cells."""
    default = row["schemes"][row["scheme"]]
    counts = _counts(default["expected"]) or ", ".join(default["classes"]) or "-"
    total = str(sum(default["expected"].values()) or "-")
    return [row["name"], row["title"], ", ".join(row["languages"]) or "-", row["scheme"], counts, total, row["licence"], row["share"]]


def _counts(counts: Mapping[str, int]) -> str:
    """Classes with the number of their utterances."""
    return ", ".join(f"{label} {count}" for label, count in counts.items())


def _card(row: dict[str, Any]) -> list[str]:
    """All about one corpus."""
    facts = {
        "corpus": f"{row['name']}: {row['title']}",
        "languages": ", ".join(row["languages"]) or "-",
        "licence": row["licence"],
        "share": f"features may be passed on: {row['share']}; with {', '.join(row['passes'])}",
        "cite": row["citation"] or "-",
        "from": row["home"] or "-",
        "prepare": f"emocache prepare {row['name']} PATH; data/README.md says what lies there",
    }
    lines = [f"{name:<11}{value}" for name, value in facts.items()]
    lines += [f"{'broken':<11}{name}: {what}" for name, what in row["broken"].items()]
    for name, scheme in row["schemes"].items():
        default = " (default)" if name == row["scheme"] else ""
        lines.append(f"{'scheme':<11}{name}{default}: {scheme['about']}" + (f" [{scheme['source']}]" if scheme["source"] else ""))
        if scheme["expected"]:
            lines.append(f"{'':<13}{_counts(scheme['expected'])}; {sum(scheme['expected'].values())} in all")
        lines += [
            f"{'':<13}{split}: {_counts(counts)}; {sum(counts.values())} in all" for split, counts in scheme["expected_splits"].items()
        ]
    return lines
