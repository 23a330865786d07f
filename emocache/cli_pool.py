"""`emocache pool`: more levels of features that are in the cache."""

import json
from pathlib import Path
from typing import Annotated

import typer

from emocache import show
from emocache.errors import UsageError
from emocache.options import CacheOption, DataOption, JsonOption, say

EXAMPLES = (
    "emocache pool iemocap/hubert-large --levels phone,syllable,word",
    "emocache pool iemocap/hubert-large --levels word@mfa,word@mfa+outer --layers 12",
)


def pool(
    features: Annotated[str, typer.Argument(metavar="CORPUS/FEATURES", help="As `emocache ls` names them.")],
    levels: Annotated[
        str,
        typer.Option(
            help="Of speech: phone, syllable, word (with @ALIGNMENT where there are several), utterance; of text: word, sentence."
        ),
    ],
    layers: Annotated[str, typer.Option(help="all that are cached, last, or numbers such as 0-3,6.")] = "all",
    data: DataOption = Path("data"),
    cache: CacheOption = None,
    as_json: JsonOption = False,
) -> None:
    """Pool cached frames or tokens over segments, words or utterances; the numbers are those that extract gives.

    A segment's row is the mean over the frames whose centre it holds, else of the frame nearest to its middle; silences are
    left out. After the name of a level, +all counts silences too, and +outer and +printed are other rules.
    """
    from emocache.pool import pool as pool_rows
    from emocache.store import open_cache

    corpus, _, name = features.partition("/")
    if not name:
        raise UsageError(f"{features!r}: expected CORPUS/FEATURES, as `emocache ls` names them")
    asked = [level.strip() for level in levels.split(",")]
    opened = open_cache(cache)
    done = pool_rows(opened.features(corpus, name), data, levels=asked, layers=layers, cache=opened)
    counted = show.fallbacks(done.features, done.levels)
    if as_json:
        about = show.summary(done.features) | {"pooled": done.utterances, "segments": counted, "lacking": list(done.lacking)}
        typer.echo(json.dumps(about | {"path": show.places(done.features), "digest": done.features.digest}))
    else:
        typer.echo(f"{features}: {done.utterances} utterances pooled now, levels {', '.join(done.levels)}, at {show.places(done.features)}")
        typer.echo("\n".join(show.fallback_lines(counted)))
        for lacking in done.lacking:
            say(f"not pooled: {lacking}: has no {done.features.native} in the cache")
    raise typer.Exit(1 if done.lacking else 0)
