"""The commands that care for the cache: what they print, what they refuse, and their exit codes."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from emocache import pipeline, proof
from emocache.store import open_cache
from emocache.store.layout import Paths
from emocache.types import Corpus
from tests import checkpoints, small_corpus
from tests.test_care import ALL, MORE, history
from tests.test_cli import Shell
from tests.test_formats import FIXTURE
from tests.toy_store import CARD, contents, flip, toy, write


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOCACHE_HOME", str(tmp_path / "cache"))
    return Shell(capsys)


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    write(tmp_path / "cache", MORE, ALL)
    write(tmp_path / "cache", toy([3]), name="other")
    return Paths(tmp_path / "cache/corpus/toy")


def test_a_sound_cache_is_verified_in_a_line_for_each_feature_set(shell: Shell, paths: Paths) -> None:
    assert shell.run("verify") == 0
    assert [line.split()[:2] for line in shell.out.splitlines()] == [["ok", "corpus/other:"], ["ok", "corpus/toy:"]]
    assert shell.run("verify corpus/toy --json") == 0
    (one,) = json.loads(shell.out)["features"]
    assert (one["features"], one["ok"], one["units"], one["condemned"]) == ("corpus/toy", True, 3, [])


def test_damage_is_named_with_the_command_against_it_and_repaired(shell: Shell, paths: Paths) -> None:
    flip(paths.array("frames", "0") / "c.1.0", 70)
    assert shell.run("verify") == 1
    assert "bad   corpus/toy: 1 of 3 units condemned" in shell.out
    assert "features.zarr/frames/0/c.1.0: its rows are not those that were committed" in shell.out
    assert "emocache repair corpus/toy && emocache extract --model ./toy" in shell.out
    assert "ok    corpus/other" in shell.out
    assert shell.run("repair corpus/toy") == 0
    assert "1 of 3 units taken out" in shell.out
    assert "to have them made again: emocache extract --model ./toy" in shell.out
    assert shell.run("verify") == 0
    assert shell.run("repair corpus/toy") == 0
    assert shell.out == "corpus/toy: nothing to repair\n"


def test_a_damaged_card_and_a_damaged_marker_are_findings_and_others_are_still_verified(shell: Shell, paths: Paths) -> None:
    flip(paths.card, 50)
    (paths.root.parents[1] / "emocache.json").write_text("{")
    assert shell.run("verify") == 1
    assert "emocache.json: cannot be read" in shell.out
    assert "card.json: is not what was written" in shell.out
    assert "emocache rm corpus/toy && emocache extract" in shell.out
    assert "ok    corpus/other" in shell.out
    assert shell.run("repair corpus/other") == 0
    assert shell.run("repair corpus/toy") == 2
    assert len(shell.err.strip().splitlines()) == 1
    assert shell.run("rm corpus/toy --yes") == 0
    assert shell.run("verify") == 0


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("verify nothing", "holds no 'nothing'; there are: corpus"),
        ("verify corpus/nothing", "holds no 'corpus/nothing'; there are: corpus/other, corpus/toy"),
        ("verify ../corpus", "cannot be a folder's name"),
        ("repair nothing", "holds no 'nothing'"),
        ("rm corpus/toy", "there is no terminal to ask on, so say --yes"),
        ("rm corpus/nothing --yes", "holds no 'corpus/nothing'"),
        ("rm corpus/toy --levels phone --yes", "has no level 'phone'; there are: frames, utterance"),
        ("rm corpus/toy --layers 7 --yes", "no layer 7; there are 0-1"),
        ("rm corpus/toy --layers x --yes", "expected all, last or numbers"),
        ("rm corpus/toy --ids-from missing.txt --yes", "--ids-from missing.txt: cannot be read"),
        ("rm corpus/toy --ids-from empty.txt --yes", "--ids-from empty.txt: holds no ids"),
        ("rm corpus/toy --ids-from twice.txt --yes", "--ids-from twice.txt: 'u1' stands twice"),
        ("rm corpus/toy --layers 1-0 --yes", "expected all, last or numbers"),
        ("rm corpus/toy --ids-from strange.txt --yes", "1 of 2 utterances are not in corpus/toy, first 'stranger'; nothing was removed"),
        ("rm corpus/toy --ids-from strange.txt --layers 0 --yes", "exclude each other"),
        ("migrate", "say which features to migrate, or --all"),
        ("migrate corpus/toy --all", "say which features to migrate, or --all"),
        ("verify --cache empty.txt", "is no emocache"),
        ("du --cache nowhere", "is no emocache"),
        ("gc --cache nowhere", "is no emocache"),
    ],
)
def test_what_cannot_be_is_one_line_and_exit_code_2(tmp_path: Path, shell: Shell, paths: Paths, command: str, message: str) -> None:
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "twice.txt").write_text("u1\nu0\n\nu1\n", encoding="utf-8-sig")
    (tmp_path / "strange.txt").write_text("u1\nstranger\n")
    before = contents(paths)
    assert shell.run(command) == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert contents(paths) == before


def test_a_feature_set_of_a_newer_release_is_refused_in_a_line_and_others_are_verified(shell: Shell, paths: Paths) -> None:
    other = paths.root.parent / "other/card.json"
    about = json.loads(other.read_text())
    del about["seal"]
    about["key"]["format"] = 9
    other.write_text(json.dumps(about))
    for command in ("verify", "du", "gc", "migrate --all"):
        assert shell.run(command) == 2
        assert "it was made by a newer one: upgrade emocache" in shell.err
        assert len(shell.err.strip().splitlines()) == 1
        assert "corpus/toy" in shell.out
    assert shell.run("migrate corpus/other") == 2


def test_one_feature_set_some_layers_and_some_utterances_are_removed(tmp_path: Path, shell: Shell, paths: Paths) -> None:
    assert shell.run("rm corpus/toy --levels frames --layers 0 --yes") == 0
    assert shell.out.startswith("removed frames/0 of corpus/toy: ")
    assert open_cache().features("corpus", "toy").layers_of("frames") == (1,)
    (tmp_path / "ids.txt").write_text("u1\n\nnew\n", encoding="utf-8-sig")
    assert shell.run("rm corpus --ids-from ids.txt --yes") == 0
    assert "`emocache gc corpus --compact` frees them" in shell.out
    assert set(open_cache().features("corpus", "toy").ids) == set(MORE) - {"u1", "new"}
    size = sum(path.stat().st_size for path in paths.root.rglob("*") if path.is_file())
    assert shell.run("rm corpus/toy --yes --json") == 0
    assert json.loads(shell.out) == {"what": "corpus/toy", "freed": size, "later": 0}
    assert open_cache().names("corpus") == ["other"]
    assert shell.run("rm corpus --yes") == 0
    assert open_cache().corpora() == []


def test_a_removal_asks_on_a_terminal(shell: Shell, paths: Paths, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = type("Terminal", (io.StringIO,), {"isatty": lambda self: True})
    monkeypatch.setattr("sys.stdin", terminal("n\ny\n"))
    assert shell.run("rm corpus/toy") == 1
    assert "remove corpus/toy (corpus/toy, " in shell.err
    assert open_cache().names("corpus") == ["other", "toy"]
    assert shell.run("rm corpus/toy") == 0
    assert open_cache().names("corpus") == ["other"]


def test_a_corpus_that_only_has_a_manifest_left_is_removed(shell: Shell, paths: Paths) -> None:
    (paths.root.parent / "manifest.csv").write_text("")
    for name in ("corpus/toy", "corpus/other", "corpus"):
        assert shell.run(f"rm {name} --yes") == 0
    assert not paths.root.parent.exists()


def test_usage_is_a_table_by_level_and_layer(tmp_path: Path, shell: Shell) -> None:
    history(tmp_path / "cache")
    assert shell.run("du") == 0
    lines = [line.split() for line in shell.out.splitlines()]
    assert lines[0] == ["features", "level", "layer", "size", "files"]
    assert [line[:3] for line in lines[1:4]] == [
        ["corpus/toy", "frames", "0"],
        ["corpus/toy", "frames", "1"],
        ["corpus/toy", "utterance", "0"],
    ]
    assert "`emocache gc` could free 0 B, with --compact" in shell.out
    assert shell.run("du corpus/toy --json") == 0
    (one,) = json.loads(shell.out)["features"]
    assert one["bytes"] == sum(path.stat().st_size for path in (tmp_path / "cache/corpus/toy").rglob("*") if path.is_file())
    assert one["dead"] > 0


def test_gc_says_what_it_would_free_frees_it_and_compacts(tmp_path: Path, shell: Shell) -> None:
    paths, _ = history(tmp_path / "cache")
    before = contents(paths)
    (paths.parts / "1.dead.frames.0.0").write_bytes(bytes(1000))
    (tmp_path / "cache/.gone.removed.01234567").mkdir()
    (tmp_path / "cache/.gone.removed.01234567/rows").write_bytes(bytes(500))
    assert shell.run("gc --dry-run --compact") == 0
    assert "corpus/toy: would free 1.0 kB in 1 files or folders, " in shell.out
    assert "would free 500 B beside feature sets" in shell.out
    assert (paths.parts / "1.dead.frames.0.0").exists()
    assert shell.run("gc --json") == 0
    assert json.loads(shell.out)["features"][0]["size"] == 1000
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["corpus", "emocache.json"]
    assert shell.run("gc corpus/toy --compact") == 0
    assert shell.run("gc corpus/toy --compact --json") == 0
    assert json.loads(shell.out)["features"][0] == {"features": "corpus/toy", "litter": [], "size": 0, "dead": 0}
    assert contents(paths) == before


def test_migrating_says_what_it_would_do_does_it_and_then_has_nothing_to_do(tmp_path: Path, shell: Shell) -> None:
    shutil.copytree(FIXTURE, tmp_path / "cache")
    assert shell.run("migrate --all --dry-run") == 0
    assert shell.out == (
        "corpus/toy: format 0 would become 1: a file instead of a folder for each shard, seals and checksums for the small files\n"
    )
    assert shell.run("gc corpus/toy --compact") == 2
    assert "run `emocache migrate corpus/toy`, which leaves out dead rows too" in shell.err
    assert shell.run("migrate corpus/toy") == 0
    assert shell.out.splitlines()[1] == f"{tmp_path / 'cache'}: is a cache of format 1 now"
    assert shell.run("migrate --all") == 0
    assert shell.out == "corpus/toy: is of format 1 already\n"
    assert shell.run("verify") == 0


# Against the source and the encoder


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    """A corpus, and features of it from a speech and a text encoder."""
    corpus = small_corpus.make(tmp_path)
    models = (checkpoints.speech(tmp_path / "tiny-hubert"), checkpoints.bert(tmp_path / "tiny-bert"))
    for model, levels in zip(models, (["frames", "utterance"], ["tokens", "utterance"]), strict=True):
        job = pipeline.prepare_job(corpus, tmp_path / "data", str(model), cache=tmp_path / "cache", levels=levels, device="cpu")
        pipeline.extract(job)
    return corpus


def test_features_are_those_of_the_audio_and_of_the_encoder_run_again(shell: Shell, corpus: Corpus) -> None:
    assert shell.run("verify --audio --reencode 3 --device cpu") == 0
    assert shell.out.count("source: 6 utterances compared") == 2
    assert shell.out.count("encoded again: 3 utterances, 24 layers; closest to what is allowed: ") == 2
    assert shell.run("verify tiny/tiny-hubert --reencode 2 --seed 5 --device cpu --json") == 0
    first = {one["id"] for one in json.loads(shell.out)["features"][0]["encoded"]}
    assert shell.run("verify tiny/tiny-hubert --reencode 2 --seed 5 --device cpu --json") == 0
    assert {one["id"] for one in json.loads(shell.out)["features"][0]["encoded"]} == first


def test_rows_that_the_encoder_does_not_give_are_named_though_every_checksum_fits(
    tmp_path: Path, shell: Shell, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = pipeline.prepare_job(corpus, tmp_path / "data", "./tiny-hubert", cache=tmp_path / "cache", name="wrong", device="cpu")
    forward = job.encoder.forward
    monkeypatch.setattr(job.encoder, "forward", lambda batch, layers: [1.002 * hidden for hidden in forward(batch, layers)])
    pipeline.extract(job)
    assert shell.run("verify tiny/wrong") == 0
    assert shell.run("verify tiny/wrong --reencode 1 --device cpu") == 1
    assert shell.out.count("is not what the encoder gives now") == 4
    assert "emocache rm tiny/wrong && emocache extract --model ./tiny-hubert --name wrong" in shell.out


def test_changed_audio_and_text_are_named(tmp_path: Path, shell: Shell, corpus: Corpus) -> None:
    soundfile.write(corpus.audio_root / "u1.wav", small_corpus.wave(77, 1.1), 16_000, subtype="FLOAT")
    (corpus.audio_root / "u2.wav").unlink()
    assert shell.run("verify tiny/tiny-hubert --audio") == 1
    assert "audio: 1 utterances (first 'u1') were made from another source than they have now" in shell.out
    assert "source: 5 utterances compared, 1 cannot be read" in shell.out
    assert "to have it in order: emocache extract --model ./tiny-hubert" in shell.out
    assert shell.run("verify tiny/tiny-hubert --reencode 6 --device cpu") == 2
    assert len(shell.err.strip().splitlines()) == 1


def test_a_source_that_is_not_at_hand_is_said(tmp_path: Path, shell: Shell, corpus: Corpus) -> None:
    shutil.rmtree(corpus.audio_root)
    assert shell.run("verify --audio") == 0
    assert f"source: not at hand ({corpus.audio_root}: the audio of tiny is not there)" in shell.out
    assert shell.run("verify tiny/tiny-bert --audio --data elsewhere") == 0
    assert "source: not at hand (no corpus 'tiny' in elsewhere" in shell.out


def test_an_encoder_that_is_another_by_now_or_elsewhere_is_said(tmp_path: Path, shell: Shell, corpus: Corpus) -> None:
    checkpoints.speech(tmp_path / "tiny-hubert", "wav2vec2")
    assert shell.run("verify tiny/tiny-hubert --reencode 1 --device cpu") == 2
    assert "cannot be encoded again, since it was made with other weights" in shell.err
    shutil.rmtree(tmp_path / "tiny-hubert")
    assert shell.run("verify tiny/tiny-hubert --reencode 1 --device cpu") == 2
    assert "no such folder" in shell.err
    checkpoints.speech(tmp_path / "moved")
    assert shell.run("verify tiny/tiny-hubert --reencode 1 --device cpu --model ./moved") == 0


def test_every_level_of_a_text_and_a_shortened_window_are_encoded_again(tmp_path: Path, shell: Shell, corpus: Corpus) -> None:
    checkpoints.whisper(tmp_path / "whisper")
    assert shell.run("extract --model ./whisper --window 0.5 --device cpu") == 0
    assert shell.run("extract --model ./tiny-bert --name all --levels tokens,word,sentence,utterance --device cpu") == 0
    assert shell.run("verify tiny/whisper tiny/all --reencode 2 --device cpu") == 0
    assert "encoded again: 2 utterances, 6 layers" in shell.out
    assert "encoded again: 2 utterances, 32 layers" in shell.out


def test_what_was_verified_is_said_though_the_encoder_is_not_to_be_had(tmp_path: Path, shell: Shell, corpus: Corpus) -> None:
    shutil.rmtree(tmp_path / "tiny-hubert")
    assert shell.run("verify --reencode 1 --device cpu") == 2
    assert "ok    tiny/tiny-hubert" in shell.out
    assert "ok    tiny/tiny-bert" in shell.out
    assert "no such folder" in shell.err


def test_what_may_differ_is_rounding_and_the_precision_of_sums() -> None:
    again = np.linspace(-3, 3, 2000, dtype=np.float32).reshape(50, 40)
    for dtype, far in ((np.float16, 2**-11), (np.float32, 0)):
        stored = again.astype(dtype).astype(np.float64)
        assert np.abs(stored - again).max() <= far * np.abs(again).max()
    one = proof.Difference("u", "frames", 0, found=5.1e-4, allowed=1e-4 + 2**-11)
    assert not one.too_large
    assert proof.Difference("u", "frames", 0, found=float("nan"), allowed=1.0).too_large
    assert proof.worst([one, proof.Difference("v", "frames", 0, found=1e-3, allowed=0.5)]) is one


def test_damaged_features_are_not_compared_and_that_is_said(shell: Shell, corpus: Corpus, tmp_path: Path) -> None:
    flip(next((tmp_path / "cache/tiny/tiny-hubert").glob("features.zarr/frames/3/c.0.0")), 80)
    assert shell.run("verify tiny/tiny-hubert --audio") == 1
    assert "is damaged, so it is not compared with its source or encoder" in shell.err


# The commands that are printed


def printed(text: str) -> list[str]:
    """The commands that a repair printed, less `emocache`."""
    (line,) = [line for line in text.splitlines() if "made again: " in line]
    return [command.removeprefix("emocache ") for command in line.partition("made again: ")[2].split(" && ")]


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("hubert", "--dtype fp32 --levels frames,utterance --layers 1,2"),
        ("hubert", "--name other --precision bf16 --levels utterance"),
        ("whisper", "--window 0.5 --layers last"),
        ("bert", "--levels word,sentence --layers 0-1,3"),
    ],
)
@pytest.mark.parametrize("damage", ["rows", "entries"])
def test_the_command_that_a_repair_prints_completes_what_was_there(
    tmp_path: Path, shell: Shell, model: str, options: str, damage: str
) -> None:
    {"hubert": checkpoints.speech, "whisper": checkpoints.whisper, "bert": checkpoints.bert}[model](tmp_path / model)
    for corpus in ("other", "tiny"):
        small_corpus.make(tmp_path, name=corpus)
    assert shell.run(f"extract --model ./{model} --corpus tiny --device cpu {options}") == 0
    name = "other" if "--name" in options else model
    before = open_cache().features("tiny", name)
    arrays = {(level, layer) for level in before.levels for layer in before.layers_of(level)}
    damaged = before.paths.zarr.rglob("c.*") if damage == "rows" else before.paths.root.glob("commits/*/*.json")
    for path in damaged:
        flip(path, 8)
    assert shell.run(f"repair tiny/{name}") == 0
    assert open_cache().features("tiny", name).ids == []
    commands = printed(shell.out)
    for command in commands:
        assert shell.run(command + " --device cpu") == 0
    after = open_cache().features("tiny", name)
    assert {(level, layer) for level in after.levels for layer in after.layers_of(level)} == arrays
    assert set(after.ids) == {f"u{i}" for i in range(len(small_corpus.SECONDS))}
    assert after.card.key == before.card.key
    assert shell.run(f"verify tiny/{name}") == 0


def test_levels_with_other_layers_are_other_commands_and_odd_names_are_quoted() -> None:
    card = replace(CARD, model="./my model", layers=(0, 1, 2, 3))
    assert card.commands("toy") == ["emocache extract --model './my model' --corpus corpus"]
    arrays = [("utterance", 1), ("frames", 0), ("frames", 1), ("frames", 2), ("frames", 3)]
    assert card.commands("toy", arrays) == [
        "emocache extract --model './my model' --corpus corpus",
        "emocache extract --model './my model' --levels utterance --layers 1 --corpus corpus",
    ]


def test_of_an_import_it_is_said_in_words_what_is_to_be_given_again(tmp_path: Path, shell: Shell) -> None:
    write(tmp_path / "cache", toy(), card=replace(CARD, digests="imported", model="npy feats"))
    flip(next((tmp_path / "cache/corpus/toy/features.zarr/frames/0").glob("c.*")), 70)
    assert shell.run("verify corpus/toy") == 1
    assert "to have it in order: emocache repair corpus/toy, then import npy feats again as corpus/toy, with the files" in shell.out
    assert shell.run("repair corpus/toy") == 0
    assert "to have them made again: import npy feats again as corpus/toy, with the files" in shell.out
    assert "frames, layers 0-1, hop 320, of audio, by toy, as fp16" in shell.out
    assert "emocache import" not in shell.out
