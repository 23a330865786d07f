"""The command line: from a CSV to a score, and one clear line for whatever cannot be."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from emocache import manifest
from emocache.cli import main
from tests import checkpoints, small_corpus
from tests.shell import Shell

ROOT = Path(__file__).parents[1]


@pytest.fixture
def models(tmp_path: Path) -> Path:
    checkpoints.speech(tmp_path / "models" / "tiny-hubert")
    checkpoints.bert(tmp_path / "models" / "tiny-bert")
    return tmp_path / "models"


def _csv(tmp_path: Path, count: int = 24) -> Path:
    """A CSV of short utterances by six speakers in three sessions, both emotions by each."""
    corpus = small_corpus.make(tmp_path, tuple(0.1 + 0.01 * (i % 7) for i in range(count)))
    utterances = [
        replace(u, emotion=("sad", "hap")[i // 6 % 2], speaker=f"p{i % 6}", session=str(1 + i % 3)) for i, u in enumerate(corpus.utterances)
    ]
    path = corpus.audio_root / "list.csv"
    path.write_text(manifest.to_csv(utterances), encoding="utf-8")
    shutil.rmtree(tmp_path / "data")
    return path


def test_from_a_csv_to_a_score(tmp_path: Path, shell: Shell, models: Path) -> None:
    assert shell.run(f"prepare csv {_csv(tmp_path)} --name mine") == 0
    assert "24 utterances" in shell.out
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu") == 0
    assert shell.run(f"extract --encoder {models}/tiny-bert --device cpu --json") == 0
    assert json.loads(shell.out)["encoded"] == 24
    assert shell.run("ls --json") == 0
    assert [row["features"] for row in json.loads(shell.out)] == ["mine/tiny-bert", "mine/tiny-hubert"]
    assert shell.run("info mine/tiny-hubert") == 0
    assert "key       weights" in shell.out
    options = "--protocol loso --seeds 0-1 --set epochs=2 --device cpu --json"
    assert shell.run(f"train late --corpus mine --encoders tiny-hubert,tiny-bert {options}") == 0
    result = json.loads(shell.out)
    assert {*result["ua"]} == {*result["wa"]} == {*result["wf1"]} == {"mean", "low", "high"}
    assert 0 <= result["ua"]["low"] <= result["ua"]["mean"] <= result["ua"]["high"] <= 1
    assert [(run["fold"], run["seed"]) for run in result["runs"]] == [(str(fold), seed) for seed in (0, 1) for fold in (1, 2, 3)]
    assert Path(result["path"], "predictions.csv").is_file()


def test_what_is_about_to_be_done_is_said_first(tmp_path: Path, shell: Shell, models: Path) -> None:
    shell.run(f"prepare csv {_csv(tmp_path)} --name mine")
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu --levels frames,utterance") == 0
    for part in (
        "mine: 24 utterances",
        "tiny-hubert from folder",
        "fp32 on cpu",
        "frames ",
        "utterance ",
        "layers 0-3",
        str(tmp_path / "cache"),
        "free",
    ):
        assert part in shell.err
    assert "24 utterances encoded now" in shell.out
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu --levels frames,utterance") == 0
    assert "0 utterances encoded now, 24 in the cache" in shell.out


def test_utterances_that_could_not_be_encoded_are_listed_and_the_exit_code_says_so(tmp_path: Path, shell: Shell, models: Path) -> None:
    shell.run(f"prepare csv {_csv(tmp_path)} --name mine")
    (tmp_path / "audio" / "u5.wav").unlink()
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu") == 1
    assert "not encoded: u5:" in shell.err
    assert shell.run("train linear --encoders tiny-hubert --protocol loso --device cpu") == 2
    assert "no features for 1 of 24 labelled utterances, first u5" in shell.err


def test_training_refuses_features_of_audio_that_has_changed_since(tmp_path: Path, shell: Shell, models: Path) -> None:
    source = _csv(tmp_path)
    shell.run(f"prepare csv {source} --name mine")
    shell.run(f"extract --model {models}/tiny-hubert --device cpu")
    soundfile.write(source.parent / "u3.wav", small_corpus.wave(99, 0.3), 16_000, subtype="FLOAT")
    assert shell.run(f"prepare csv {source} --name mine") == 0
    assert shell.run("train linear --encoders tiny-hubert --protocol loso --device cpu") == 2
    assert "features of 1 utterances (first 'u3') were made from other audio" in shell.err
    assert "emocache extract --model ./tiny-hubert" in shell.err


@pytest.mark.parametrize(
    "options",
    [
        "--protocol loso --folds 3",
        "--protocol loso --layers 9",
        "--protocol nothing",
        "--protocol loso --set nothing=1",
        "--protocol loso --seeds x",
    ],
)
def test_options_of_train_that_cannot_be_are_refused(tmp_path: Path, shell: Shell, models: Path, options: str) -> None:
    shell.run(f"prepare csv {_csv(tmp_path, 12)} --name mine")
    shell.run(f"extract --model {models}/tiny-bert --device cpu")
    assert shell.run(f"train linear --encoders tiny-bert --device cpu {options}") == 2
    assert len(shell.err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("extract --model hubert-base", "no prepared corpus in data"),
        ("prepare iemocap nowhere", "nowhere"),
        ("prepare nothing .", "no corpus reader 'nothing'"),
        ("prepare csv missing.csv --name mine", "missing.csv: no such file"),
        ("ls", "is no emocache"),
        ("info mine", "expected CORPUS/FEATURES"),
        ("train linear --encoders x --protocol loso --corpus mine", "is no emocache"),
        ("train nothing --encoders x --protocol loso", "no head 'nothing'"),
    ],
)
def test_a_known_error_is_one_line_and_exit_code_2(shell: Shell, command: str, message: str) -> None:
    assert shell.run(command) == 2
    assert message in shell.err
    assert len(shell.err.strip().splitlines()) == 1
    assert shell.out == ""


def test_with_several_corpora_one_must_be_named(tmp_path: Path, shell: Shell, models: Path) -> None:
    for name in ("one", "two"):
        shell.run(f"prepare csv {_csv(tmp_path, 6)} --name {name} --data elsewhere")
    assert manifest.names(tmp_path / "elsewhere") == ["one", "two"]
    assert shell.run(f"extract --model {models}/tiny-hubert --data elsewhere --device cpu") == 2
    assert "one, two" in shell.err
    assert shell.run(f"extract --model {models}/tiny-hubert --data elsewhere --device cpu --all --corpus one") == 2
    assert shell.run(f"extract --model {models}/tiny-hubert --data elsewhere --device cpu --all") == 0
    assert shell.out.count("6 utterances encoded now") == 2


def test_what_does_not_fit_is_refused_with_the_options_that_would(tmp_path: Path, shell: Shell, models: Path) -> None:
    shell.run(f"prepare csv {_csv(tmp_path, 6)} --name mine")
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu --max-gb 0.000001") == 2
    assert "--layers" in shell.err
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("name", ["../outside", "a/b", ".hidden", "with space"])
def test_features_cannot_be_called_what_no_folder_may_be(tmp_path: Path, shell: Shell, models: Path, name: str) -> None:
    shell.run(f"prepare csv {_csv(tmp_path, 6)} --name mine")
    with pytest.raises(SystemExit, match="2"):
        main(["extract", "--model", f"{models}/tiny-hubert", "--name", name])


def test_options_of_extract_reach_what_is_made(tmp_path: Path, shell: Shell, models: Path) -> None:
    shell.run(f"prepare csv {_csv(tmp_path, 6)} --name mine")
    options = "--precision bf16 --dtype fp32 --layers 1,3 --levels utterance --name coarse --cache other"
    assert shell.run(f"extract --model {models}/tiny-hubert --device cpu {options}") == 0
    assert shell.run("ls --json --cache other") == 0
    (row,) = json.loads(shell.out)
    assert (row["features"], row["precision"], row["dtype"], row["layers"], row["levels"]) == (
        "mine/coarse",
        "bf16",
        "fp32",
        "1,3",
        ["utterance"],
    )
    assert shell.run(f"extract --model {models}/tiny-hubert --device nonsense") == 2


def test_options_of_train_reach_the_run(tmp_path: Path, shell: Shell, models: Path) -> None:
    source = _csv(tmp_path)
    shell.run(f"prepare csv {source} --name mine")
    shell.run(f"extract --model {models}/tiny-hubert --device cpu --levels frames,utterance")
    options = "--layers 1,2 --levels utterance --validation speaker --label speaker --set epochs=1 --name chosen --runs elsewhere"
    assert (
        shell.run(f"train linear --encoders tiny-hubert --protocol loso --device cpu {options}") == 2
    )  # a speaker is in one session alone
    options = options.replace("--label speaker", "--label emotion")
    assert shell.run(f"train linear --encoders tiny-hubert --protocol loso --device cpu {options}") == 0
    config = json.loads((tmp_path / "elsewhere/chosen/config.json").read_text())
    assert (config["inputs"][0]["layers"], config["inputs"][0]["level"]) == ([1, 2], "utterance")
    assert (config["validation"], config["label"], config["config"]["epochs"]) == ("speaker", "emotion", 1)
    (source.parent / "u5.wav").unlink()
    shell.run(f"extract --model {models}/tiny-hubert --device cpu --name fewer")
    few = "train linear --encoders fewer --protocol loso --device cpu --set epochs=1"
    assert shell.run(few) == 2
    assert shell.run(f"{few} --allow-missing") == 0


def test_runs_that_cannot_be_written_are_refused_before_training(tmp_path: Path, shell: Shell, models: Path) -> None:
    shell.run(f"prepare csv {_csv(tmp_path)} --name mine")
    shell.run(f"extract --model {models}/tiny-hubert --device cpu")
    (tmp_path / "file").write_text("")
    assert shell.run("train linear --encoders tiny-hubert --protocol loso --device cpu --runs file/runs") == 2
    assert "--runs file/runs: cannot be written" in shell.err


@pytest.mark.parametrize("name", ["../outside", "a/b"])
def test_a_corpus_is_only_looked_for_in_its_folder(shell: Shell, name: str) -> None:
    Path("data/x").mkdir(parents=True)
    Path("data/x/manifest.csv").write_text("utterance_id,path,emotion\n")
    assert shell.run(f"extract --model hubert-base --corpus {name}") == 2
    assert "cannot be a folder's name" in shell.err


@pytest.mark.parametrize("command", ["", "prepare", "extract", "train", "ls", "info", "demo", "export", "import", "encoders", "fetch"])
def test_every_help_is_there_and_shows_an_example(shell: Shell, command: str) -> None:
    assert shell.run(f"{command} --help") == 0
    assert "Usage: " in shell.out
    assert not command or f"emocache {command}" in shell.out.split("Examples:")[1]


def test_the_command_line_starts_without_torch_numpy_or_zarr() -> None:
    code = "import sys, emocache, emocache.cli; assert not {'torch', 'zarr', 'transformers', 'numpy', 'sklearn', 'h5py'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


@pytest.mark.parametrize(("door", "says"), [("extract.py", "Encode a corpus"), ("train_heads.py", "Train a head")])
def test_the_doors_are_the_commands(door: str, says: str) -> None:
    done = subprocess.run([sys.executable, ROOT / door, "--help"], capture_output=True, text=True, check=True, cwd=ROOT)
    assert says in done.stdout
