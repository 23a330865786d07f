"""What may be passed on, and what is asked for, on the command line: push and pull together with policy and gate."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emocache import audio, manifest
from emocache.store import open_cache
from emocache.store.writer import FeatureWriter
from emocache.types import Corpus
from tests import small_corpus, toy_store
from tests.share import small
from tests.shell import Shell

SECRET = b"secret words"


def everything(folder: Path) -> bytes:
    """All bytes of all files."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def test_a_corpus_that_is_free_goes_without_paths_and_transcripts(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    sent = everything(tmp_path / "remote")
    assert SECRET not in sent
    assert b"somebody" not in sent
    assert shell.run("pull remote --cache c") == 0
    came = open_cache(tmp_path / "c").corpus("corpus")
    mine = open_cache(tmp_path / "cache").corpus("corpus")
    for field in ("id", "emotion", "speaker", "session"):
        assert [getattr(one, field) for one in came.utterances] == [getattr(one, field) for one in mine.utterances]
    assert {one.transcript for one in came.utterances} == {None}


def test_transcripts_go_by_name_where_the_corpus_lets_them(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote --with transcripts") == 2
    assert "does not let transcripts be passed on" in shell.err
    assert not (tmp_path / "remote").exists()


def test_nothing_of_a_forbidden_corpus_goes_whatever_is_said(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", share="forbidden")
    for more in ("", " --i-may-share because"):
        assert shell.run(f"push remote{more}") == 2
        assert "forbids passing features on, and no option changes that" in shell.err
    assert not (tmp_path / "remote").exists()


def test_a_restricted_corpus_goes_only_with_a_reason(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", share="ask")
    assert shell.run("push remote") == 2
    assert "--i-may-share REASON" in shell.err
    assert not (tmp_path / "remote").exists()


@pytest.fixture
def heard(tmp_path: Path) -> Corpus:
    """A cache of a restricted corpus whose audio lies beside it, and features made from that audio."""
    corpus = small_corpus.make(tmp_path, name="corpus")
    utterances, _ = audio.scan(corpus.utterances, corpus.audio_root)
    corpus = replace(corpus, utterances=tuple(utterances), share="ask")
    data = toy_store.toy([9] * len(utterances))
    digests = {one.id: str(one.audio_sha256) for one in utterances}
    toy_store.write(tmp_path / "cache", data, todo=toy_store.items(data, digests))
    manifest.save(corpus, tmp_path / "cache")
    return corpus


def test_a_pull_of_a_restricted_corpus_asks_for_its_audio(heard: Corpus, tmp_path: Path, shell: Shell) -> None:
    assert shell.run("push remote --i-may-share form-of-2026") == 0, shell.err
    (tmp_path / "empty").mkdir()
    assert shell.run("pull remote --cache c --audio-root empty") == 2
    assert "of 6 utterances asked for, 6 are not in empty" in shell.err
    assert not (tmp_path / "c").exists()
    assert shell.run("pull remote --cache c --audio-root audio") == 0, shell.err
    assert small.rows(tmp_path / "c") == small.rows(tmp_path / "cache")


def test_audio_and_transcripts_travel_by_name_alone(heard: Corpus, tmp_path: Path, shell: Shell) -> None:
    manifest.save(replace(heard, share="free", passes=(*heard.passes, "transcripts", "audio")), tmp_path / "cache")
    manifest.save(replace(heard, share="free", passes=(*heard.passes, "transcripts", "audio")), tmp_path / "data")
    words = b"kids talking"
    assert shell.run("push plain") == 0
    assert words not in everything(tmp_path / "plain")
    assert shell.run("push full --with transcripts,audio") == 0, shell.err
    assert words in everything(tmp_path / "full")
    assert shell.run("pull full --cache silent") == 0
    assert not (tmp_path / "silent/corpus/audio").exists()
    assert shell.run("pull full --cache c --audio") == 0, shell.err
    came = open_cache(tmp_path / "c").corpus("corpus")
    assert {one.transcript for one in came.utterances} == {one.transcript for one in heard.utterances}
    found, _ = audio.scan(came.utterances, came.audio_root)
    assert [one.audio_sha256 for one in found] == [one.audio_sha256 for one in heard.utterances]


def test_a_later_pull_takes_neither_audio_nor_transcripts_away(heard: Corpus, tmp_path: Path, shell: Shell) -> None:
    free = replace(heard, share="free", passes=(*heard.passes, "transcripts", "audio"))
    manifest.save(free, tmp_path / "cache")
    manifest.save(free, tmp_path / "data")
    assert shell.run("push remote@full --with transcripts,audio") == 0, shell.err
    assert shell.run("push remote@heard --with audio") == 0, shell.err
    assert shell.run("push remote@bare") == 0, shell.err
    assert shell.run("pull remote@heard --cache c --audio") == 0, shell.err
    for version in ("bare", "full", "bare"):
        assert shell.run(f"pull remote@{version} --cache c") == 0, shell.err
    came = open_cache(tmp_path / "c").corpus("corpus")
    found, _ = audio.scan(came.utterances, came.audio_root)
    assert [one.audio_sha256 for one in found] == [one.audio_sha256 for one in heard.utterances]
    assert [one.transcript for one in came.utterances] == [one.transcript for one in heard.utterances]
    assert came.lacks == ()


def test_every_feature_set_comes_with_the_consent_that_its_own_version_asks_for(heard: Corpus, tmp_path: Path, shell: Shell) -> None:
    assert shell.run("push remote@asks --i-may-share form-of-2026") == 0, shell.err
    small.make(tmp_path / "loose", name="other")
    assert shell.run("push remote@free --cache loose") == 0, shell.err
    assert shell.run("pull remote --cache c") == 2
    assert "--audio-root" in shell.err
    assert shell.run("pull remote --cache c --model other") == 0, shell.err


def test_what_the_rows_of_text_and_segments_stand_for_stays(tmp_path: Path, shell: Shell) -> None:
    levels = {"word": "one row per word", **toy_store.CARD.levels}
    card = replace(toy_store.CARD, levels=levels, dims=dict.fromkeys(levels, 8))
    data = toy_store.toy([3, 4, 5])
    labels = {"label": b"secret words", "kind": 0, "nearest": 0, "begin": 1}
    todo = [
        replace(item, rows={**item.rows, "word@mfa": 2}, made_from={"word@mfa": "ab" * 32},
                columns={"word@mfa": {name: np.array([value] * 2) for name, value in labels.items()}})
        for item in toy_store.items(data)
    ]  # fmt: skip
    with FeatureWriter(tmp_path / "cache", "corpus", "toy", card) as writer:
        for work, unit in writer.units(writer.plan(todo, {"word@mfa": [0]})):
            for name in work.ids:
                unit.put(name, {("word@mfa", 0): data[name][0, :2]})
            unit.commit()
    manifest.save(small.corpus(data), tmp_path / "cache")
    assert shell.run("push remote") == 0, shell.err
    assert SECRET not in everything(tmp_path / "remote")
    assert "without their labels" in shell.err
    assert shell.run("pull remote --cache c") == 0, shell.err
    (tmp_path / "ids").write_text("u0\n")
    assert shell.run("pull remote --cache d --ids-from ids") == 0, shell.err
    for root in ("c", "d"):
        columns = open_cache(tmp_path / root).features("corpus", "toy").columns("u0", "word@mfa")
        assert set(columns) == {"kind", "nearest", "begin"}
        assert small.sound(tmp_path / root)


def test_the_reason_stands_in_the_card(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", share="ask")
    assert shell.run("push remote --i-may-share form-of-2026") == 0, shell.err
    card = json.loads((tmp_path / "remote/card.json").read_text())
    assert card["corpora"][0]["reason"] == "form-of-2026"
    assert "form-of-2026" in (tmp_path / "remote/README.md").read_text()
    assert shell.run("pull remote --cache c") == 2
    assert "--audio-root" in shell.err
    assert not (tmp_path / "c").exists()
