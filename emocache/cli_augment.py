"""`emocache augment`: options and examples. Everything heavy is imported when the command runs."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from emocache import languages, manifest, show, views
from emocache.errors import UsageError
from emocache.files import read_ids
from emocache.options import DataOption, JsonOption, corpora_of, names_of, say

if TYPE_CHECKING:
    import torch

    from emocache.augment.base import Rewriter, Synthesiser
    from emocache.augment.run import Outcome
    from emocache.types import Corpus, Utterance

EXAMPLES = (
    "emocache augment --corpus iemocap",
    "emocache augment --corpus iemocap --views 3 --pivot fr --speech coqui",
    "emocache augment --corpus demo --text none --speech espeak",
    "emocache augment --corpus demo --remove",
)
TEXTS, SPEECHES = ("back-translation", "none"), ("tts", "coqui", "espeak", "none")
WITH_REMOVE = ("--remove", "--corpus", "--all", "--data", "--json")
"""What goes together with --remove."""
OF_TEXT = ("--pivot", "--forth", "--back", "--batch")
OF_TTS = ("--tts-model", "--vocoder", "--speaker-model")
LISTED = 10
"""Most views that are listed one by one; the saved file and --json list all."""


def augment(
    ctx: typer.Context,
    corpus: Annotated[str | None, typer.Option(help="Which prepared corpus (needed when there are several).")] = None,
    every: Annotated[bool, typer.Option("--all", help="All prepared corpora.")] = False,
    text: Annotated[str, typer.Option(help="back-translation (MarianMT), or none: the words stay.")] = TEXTS[0],
    speech: Annotated[
        str, typer.Option(help="tts (SpeechT5), coqui (YourTTS), espeak (plain voices of espeak-ng), or none: the audio stays.")
    ] = SPEECHES[0],
    count: Annotated[int, typer.Option("--views", help="Views of an utterance, each in another voice.")] = 1,
    seed: Annotated[int, typer.Option(help="Draws the voices, and what a synthesiser leaves to chance.")] = 0,
    ids_from: Annotated[Path | None, typer.Option("--ids-from", help="Only of the utterances in this file, an id a line.")] = None,
    language: Annotated[str | None, typer.Option(help="Which language of the corpus (needed for back-translation of several).")] = None,
    pivot: Annotated[str, typer.Option(help="Back-translation: by way of which language.")] = "de",
    forth: Annotated[str | None, typer.Option(help="MarianMT model into it (default: Helsinki-NLP/opus-mt-en-PIVOT).")] = None,
    back: Annotated[str | None, typer.Option(help="MarianMT model back (default: Helsinki-NLP/opus-mt-PIVOT-en).")] = None,
    batch: Annotated[int, typer.Option(help="Texts that are translated at once.")] = 16,
    tts_model: Annotated[str | None, typer.Option(help="tts: another SpeechT5 model.")] = None,
    vocoder: Annotated[str | None, typer.Option(help="tts: another HiFi-GAN for it.")] = None,
    speaker_model: Annotated[str | None, typer.Option(help="tts: what embeds speakers (default: SpeechBrain's x-vectors).")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1 (default: a GPU if there is one).")] = None,
    removing: Annotated[bool, typer.Option("--remove", help="Remove all views of the corpus.")] = False,
    data: DataOption = Path("data"),
    as_json: JsonOption = False,
) -> None:
    """Make augmented views of utterances: the same in other words, in another speaker's voice of the same emotion, or both.

    They become utterances of the corpus, with their original as `parent`; `extract` encodes them with the rest. They are trained
    on where their original is, but not in a fold that holds out the speaker whose voice they have.
    """
    given = _given(ctx)
    if removing:
        _check_removing(given)
        for name in names_of(data, corpus, every):
            _remove(data, name, as_json)
        return
    _check(text, speech, count, batch, seed, given)
    ids, lacking = frozenset(read_ids(ids_from)) if ids_from else None, 0
    for found in corpora_of(data, corpus, every):
        with _alone(data, found.name):
            from emocache.augment import run
            from emocache.augment.plan import Wish, originals

            known = originals(found)
            spoken = _language(found.name, known, language, text)
            rewriter = _rewriter(text, spoken, pivot, forth, back, device)
            synthesiser = _synthesiser(speech, found, (tts_model, vocoder, speaker_model), device)
            wish = Wish(views=count, seed=seed, ids=ids, language=spoken if text == TEXTS[0] else language, batch=batch)
            say(f"corpus   {found.name}: {len(known)} utterances, {count} views of each of {len(known if ids is None else ids)}")
            say(f"text     {rewriter.about}\nspeech   {synthesiser.about if synthesiser else 'own audio'}")
            try:
                outcome = run.augment(found, data, rewriter, synthesiser, wish)
            except KeyboardInterrupt:
                say("interrupted; what was made is kept, and the same command goes on from there")
                raise typer.Exit(130) from None
            _report(found, outcome, as_json)
            lacking += len(outcome.left_out)
    raise typer.Exit(1 if lacking else 0)


def _given(ctx: typer.Context) -> list[str]:
    """The options that stand on the command line."""
    options = {str(one.name): one.opts[0] for one in ctx.command.params}
    return [option for name, option in options.items() if getattr(ctx.get_parameter_source(name), "name", "") == "COMMANDLINE"]


def _check_removing(given: Sequence[str]) -> None:
    """UsageError when --remove is given beside an option that says what to make."""
    if others := [option for option in given if option not in WITH_REMOVE]:
        raise UsageError(f"--remove removes all views of a corpus, and {others[0]} would do nothing; give one of them alone")


def _check(text: str, speech: str, count: int, batch: int, seed: int, given: Sequence[str]) -> None:
    """UsageError for options that cannot be, or do not go together."""
    for option, value, known in (("--text", text, TEXTS), ("--speech", speech, SPEECHES)):
        if value not in known:
            raise UsageError(f"{option} {value}: expected one of {', '.join(known)}")
    if text == speech == "none":
        raise UsageError("--text none --speech none: views would be what their utterances are; change one of them")
    for option, number, least in (("--views", count, 1), ("--batch", batch, 1), ("--seed", seed, 0)):
        if number < least:
            raise UsageError(f"{option} {number}: expected {least} or more")
    idle = [*(OF_TEXT if text == "none" else ()), *(OF_TTS if speech != "tts" else ())]
    idle += ["--device"] if text == "none" and speech == "espeak" else []
    if others := [option for option in given if option in idle]:
        raise UsageError(f"{others[0]} does nothing with --text {text} --speech {speech}; leave it out")


@contextmanager
def _alone(data: Path, corpus: str) -> Iterator[None]:
    """Hold the views of a corpus while they are made or removed; UsageError when another command does."""
    from emocache.store.claims import claim

    with claim(data / corpus, views.FOLDER, wait=False) as held:
        if not held:
            raise UsageError(f"{corpus}: another command is at work on its views; wait for it to end, then repeat")
        yield


def _language(corpus: str, known: Sequence["Utterance"], asked: str | None, text: str) -> str | None:
    """The code of the language to work in: the one asked for, else the only one of the corpus (None where it has several, or none)."""
    if asked is not None and languages.known(asked) is None:
        raise UsageError(f"--language {asked}: no language that is known here; give a code such as en")
    counts = Counter(languages.code(utterance.language) for utterance in known if utterance.language)
    if asked is None and text != "none" and len(counts) > 1:
        raise UsageError(f"{corpus} is in {', '.join(sorted(counts))}, and back-translation takes one; say which with --language")
    if asked is not None:
        return languages.code(asked)
    return next(iter(counts)) if len(counts) == 1 else None


def _rewriter(text: str, spoken: str | None, pivot: str, forth: str | None, back: str | None, device: str | None) -> "Rewriter":
    """What gives views their words; English where nobody says which language a corpus is in."""
    from emocache.augment.base import Unchanged

    if text == "none":
        return Unchanged()
    source = spoken or "en"
    if pivot == source:
        raise UsageError(f"--pivot {pivot}: is the language of the corpus; give another one")
    from emocache.augment import translate

    return translate.load(source, pivot, forth, back, _device(device))


def _synthesiser(speech: str, corpus: "Corpus", named: tuple[str | None, ...], device: str | None) -> "Synthesiser | None":
    """What speaks views."""
    if speech == "none":
        return None
    if speech == "espeak":
        from emocache.augment import draw, espeak
        from emocache.augment.plan import originals

        known = draw.voices(originals(corpus), corpus.audio_root)
        return espeak.find(voice for members in known.values() for voice in members)
    if speech == "coqui":
        from emocache.augment import coqui

        return coqui.load(_device(device))
    from emocache.augment import speecht5

    defaults = (speecht5.MODEL, speecht5.VOCODER, speecht5.XVECTORS)
    model, vocoder, speakers = (one or default for one, default in zip(named, defaults, strict=True))
    return speecht5.SpeechT5Synthesiser(model, vocoder, speakers, _device(device))


def _device(name: str | None) -> "torch.device":
    from emocache.devices import pick_device

    return pick_device(name)


def _remove(data: Path, corpus: str, as_json: bool) -> None:
    """Remove the views of a corpus, and say how many there were; a damaged list is no hindrance."""
    from emocache.augment.run import remove

    if corpus not in (known := manifest.names(data)):
        raise UsageError(f"no corpus {corpus!r} in {data} (prepared there: {', '.join(known)}); give another --corpus")
    with _alone(data, corpus):
        count = remove(data, corpus)
    typer.echo(json.dumps({"corpus": corpus, "removed": count}) if as_json else f"{corpus}: {count} views removed")


def _report(corpus: "Corpus", outcome: "Outcome", as_json: bool) -> None:
    """What was made and what was not."""
    parents = len({view.parent for view in outcome.views})
    if as_json:
        about = {"corpus": corpus.name, "path": str(outcome.path), "how": outcome.how, "licence": corpus.licence, "share": corpus.share}
        more = {"views": len(outcome.views), "utterances": parents, "left_out": dict(outcome.left_out), "voices": dict(outcome.voices)}
        typer.echo(json.dumps(about | more | {"now": outcome.now, "work_s": outcome.work_s}))
        return
    typer.echo(f"{corpus.name}: {len(outcome.views)} views of {parents} utterances, {outcome.how}, at {outcome.path}")
    if outcome.now:
        typer.echo(f"{outcome.now} views worked on now: {outcome.work_s:.1f} s, {outcome.now / outcome.work_s:.2f} views/s")
    say(f"licence  {corpus.licence}, as the corpus; may be passed on: {corpus.share}")
    if outcome.voices:
        say("voices   " + ", ".join(f"{speaker}: {stand}" for speaker, stand in outcome.voices.items()))
    say("next     emocache extract --corpus " + f"{corpus.name} --model ... encodes them with the rest")
    if not outcome.left_out:
        return
    say(f"left out {len(outcome.left_out)} ({outcome.path.parent / 'left_out.csv'} lists all):")
    for line in show.noted(outcome.left_out)[:LISTED]:
        say(f"  {line}")
