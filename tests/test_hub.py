"""The Hub: what is downloaded, what works without it afterwards, and one clear line for whatever goes wrong."""

import errno
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from collections.abc import Iterator
from pathlib import Path

import huggingface_hub
import huggingface_hub.file_download
import pytest

from emocache import encoders
from emocache.encoders import hub as hub_module
from emocache.encoders import snapshot
from emocache.errors import EncoderError
from tests import checkpoints, fake_hub, small_corpus
from tests.fake_hub import Answer, FakeHub
from tests.shell import Shell

ROOT = Path(__file__).parents[1]
TINY = "lab/tiny-bert"
WEIGHTS = "model.safetensors"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.bert(tmp_path_factory.mktemp("models") / "tiny-bert")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: Path) -> Iterator[FakeHub]:
    """A Hub with one model, in place of the real one, and an empty cache; nobody waits."""
    with fake_hub.running() as running:
        constants = huggingface_hub.constants
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        settings = {"ENDPOINT": running.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False}
        for name, value in {**settings, "HF_HUB_CACHE": str(tmp_path / "hub"), "DOWNLOAD_CHUNK_SIZE": 1000}.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setattr(huggingface_hub.file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)  # of older releases
        monkeypatch.setattr(time, "sleep", lambda _: None)
        running.add(TINY, tiny, **{"tf_model.h5": b"tf", "flax_model.msgpack": b"flax", "model.onnx": b"onnx", "pytorch_model.bin": b"bin"})
        _new_session()
        yield running


def _offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    _new_session()


def _new_session() -> None:
    """Older releases of the client look at its settings when a session begins."""
    getattr(huggingface_hub.utils, "reset_sessions", lambda: None)()


def _fails(model: str) -> str:
    """The one line that a model ends in."""
    with pytest.raises(EncoderError) as caught:
        encoders.find(model)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _part(repo: str, hub: FakeHub) -> Path:
    return hub_module.storage(repo) / "blobs" / f"{hashlib.sha256(hub.repos[repo][WEIGHTS]).hexdigest()}.incomplete"


def test_what_was_fetched_is_extracted_without_a_network(
    hub: FakeHub, shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert shell.run(f"fetch {TINY} --json") == 0
    (fetched,) = json.loads(shell.out)
    assert (fetched["revision"], fetched["checked"]) == (hub.commit(TINY), True)
    assert fetched["bytes"] == sum(path.stat().st_size for path in Path(fetched["path"]).iterdir())
    assert "HF_HUB_OFFLINE=1" in shell.err
    _offline(monkeypatch)
    hub.asked.clear()
    small_corpus.make(tmp_path)
    assert shell.run(f"extract --model {TINY} --device cpu --json") == 0
    assert json.loads(shell.out)["encoded"] == len(small_corpus.SECONDS)
    assert hub.asked == []


def test_only_the_files_that_loading_needs_are_downloaded(hub: FakeHub) -> None:
    names = {path.name for path in encoders.find(TINY).folder.iterdir()}
    assert names - {"special_tokens_map.json"} == {"config.json", "tokenizer.json", "tokenizer_config.json", WEIGHTS}
    assert {len(hub.sent(name)) for name in names} == {1}
    assert not [path for _, path, _ in hub.asked if path.endswith((".h5", ".msgpack", ".onnx", ".bin"))]


def test_what_is_here_is_not_downloaded_again_and_a_commit_is_not_even_asked_for(hub: FakeHub) -> None:
    first = encoders.find(TINY)
    hub.asked.clear()
    assert encoders.find(TINY).folder == first.folder
    assert [path for _, path, _ in hub.asked if "/resolve/" in path] == []
    hub.asked.clear()
    assert encoders.find(f"{TINY}@{first.revision}").folder == first.folder
    assert hub.asked == []


def test_a_commit_is_found_by_its_beginning(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoders.find(TINY)
    _offline(monkeypatch)
    assert encoders.find(f"{TINY}@{first.revision[:9]}").folder == first.folder


def test_an_interrupted_download_goes_on_where_it_stopped(hub: FakeHub) -> None:
    def stop(_: float) -> None:
        raise KeyboardInterrupt

    hub.cut, real = 5000, hub.repos[TINY][WEIGHTS]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(time, "sleep", stop)  # where the client would wait, and go on by itself
        with pytest.raises(KeyboardInterrupt):
            encoders.find(TINY)
    assert _part(TINY, hub).read_bytes() == real[:5000]
    hub.cut = None
    assert (encoders.find(TINY).folder / WEIGHTS).read_bytes() == real
    assert hub.sent(WEIGHTS) == ["", "bytes=5000-"]
    assert not _part(TINY, hub).exists()


def test_a_connection_that_breaks_again_and_again_is_taken_up_each_time(hub: FakeHub) -> None:
    hub.cut = 10_000
    assert (encoders.find(TINY).folder / WEIGHTS).read_bytes() == hub.repos[TINY][WEIGHTS]
    assert len(hub.sent(WEIGHTS)) > 2


def test_a_damaged_part_of_a_file_is_seen_and_thrown_away(hub: FakeHub) -> None:
    part = _part(TINY, hub)
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    assert "was damaged on its way; run this again" in _fails(TINY)
    assert encoders.find(TINY).revision == hub.commit(TINY)


def test_a_file_shorter_than_the_hub_says_is_not_taken(hub: FakeHub) -> None:
    hub.promised = 100
    assert "a file was cut short on its way; run this again" in _fails(TINY)
    assert hub_module.local(TINY, "main") is None


def test_a_download_that_ended_just_before_its_last_step_needs_no_byte_more(hub: FakeHub) -> None:
    part = _part(TINY, hub)
    part.parent.mkdir(parents=True)
    part.write_bytes(hub.repos[TINY][WEIGHTS])
    assert snapshot.lacks(encoders.find(TINY).folder) is None
    assert hub.sent(WEIGHTS) == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_gated_model_whose_page_is_open_is_one_line_too(hub: FakeHub, status: int) -> None:
    hub.answers = [(f"/{TINY}/resolve", Answer(status, {"X-Error-Code": "GatedRepo"}))] * 20
    assert "is gated; accept its terms" in _fails(TINY)


def test_a_file_that_another_process_is_downloading_is_left_to_the_client(hub: FakeHub) -> None:
    import fcntl

    part = _part(TINY, hub)
    part.parent.mkdir(parents=True)
    with part.open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert snapshot.lacks(encoders.find(TINY).folder) is None


def test_a_hub_out_of_order_is_tried_again(hub: FakeHub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.answers = [("/api/models", Answer(502)), ("/api/models", Answer(503)), (f"GET /{TINY}/resolve", Answer(500))]
    assert encoders.find(TINY).revision == hub.commit(TINY)
    assert "the Hub answers 502; trying again in 1 s" in capsys.readouterr().err


def test_a_hub_that_asks_for_patience_is_waited_for(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    hub.answers = [("/api/models", Answer(429, {"Retry-After": "17"}))]
    assert encoders.find(TINY).revision == hub.commit(TINY)
    assert waits[0] == 17


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Answer(401, {"X-Error-Code": "GatedRepo"}), r"is gated; accept its terms .* `hf auth login`"),
        (Answer(403, {"X-Error-Code": "GatedRepo"}), r"is gated; accept its terms"),
        (Answer(401, {"X-Error-Message": "Invalid credentials in Authorization header"}), "does not accept your token"),
        (Answer(403, {"X-Error-Message": "Forbidden"}), r"refuses access \(403\)"),
        (Answer(404, {"X-Error-Code": "RepoNotFound"}), r"no such model on the Hub \(or a private one"),
        (Answer(404, {"X-Error-Code": "RevisionNotFound"}), "has no revision 'main'"),
        (Answer(429, {"Retry-After": "300"}), r"asks for patience \(429, 300 s\); wait, or `hf auth login`"),
        (Answer(500), r"is out of order \(500\); try again later"),
        (Answer(200, {}, b"<html>Log in to this hotel</html>"), "what answers at http.* is no Hub"),
    ],
)
def test_a_refusal_is_one_line_that_says_what_to_do(hub: FakeHub, answer: Answer, message: str) -> None:
    hub.answers = [("/api/models", answer)] * 5
    with pytest.raises(EncoderError, match=message) as caught:
        encoders.find(TINY)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(429, {"Retry-After": "300"}), Answer(403), Answer(404, {"X-Error-Code": "RepoNotFound"})]
)
def test_whatever_the_hub_says_a_whole_local_copy_serves(hub: FakeHub, answer: Answer) -> None:
    first = encoders.find(TINY)
    hub.answers = [("/api/models", answer)] * 5
    assert encoders.find(TINY).folder == first.folder


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("lab/nothing", "no such model on the Hub"),
        ("facebook/hubert-large", r"did you mean hubert-large \(facebook/hubert-large-ll60k\)\?"),
        (f"{TINY}@v2", "has no revision 'v2'"),
        ("a/b/c", "can be no model on the Hub; expected org/name"),
        (f"{TINY}@../../etc", "can be no revision"),
    ],
)
def test_what_the_hub_does_not_have_is_one_line(hub: FakeHub, model: str, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        encoders.find(model)


def test_without_a_network_and_a_copy_the_line_says_how_to_get_one(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    _offline(monkeypatch)
    message = _fails("hubert-large")
    assert "cannot be reached (HF_HUB_OFFLINE is set), and there is no local copy" in message
    assert "`emocache fetch hubert-large`" in message


def test_nobody_at_the_address_is_one_line(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    assert "the Hub cannot be reached" in _fails(TINY)


def test_another_version_that_is_here_is_offered(hub: FakeHub, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoders.find(TINY)
    _offline(monkeypatch)
    assert f"--model {TINY}@{first.revision[:12]}" in _fails(f"{TINY}@{'0' * 40}")


def test_a_new_version_on_the_hub_is_downloaded_beside_the_old_one(hub: FakeHub, tiny: Path) -> None:
    first = encoders.find(TINY)
    hub.add(TINY, tiny, **{"added_tokens.json": b"{}"})
    second = encoders.find(TINY)
    assert second.revision == hub.commit(TINY) != first.revision
    assert len(hub.sent(WEIGHTS)) == 1
    assert first.folder.is_dir()


def test_an_unfinished_copy_is_completed_and_without_a_network_said(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoders.find(TINY)
    for name in ("tokenizer.json", WEIGHTS):
        blob = (first.folder / name).resolve()
        (first.folder / name).unlink()
        blob.unlink()
        with monkeypatch.context() as patch:
            _offline(patch)
            assert "the local copy is unfinished (" in _fails(TINY)
        _new_session()
        assert snapshot.lacks(encoders.find(f"{TINY}@{first.revision}").folder) is None


def test_a_local_copy_whose_bytes_have_changed_is_refused(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = encoders.find(TINY).folder / WEIGHTS
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.resolve().write_bytes(content)
    _offline(monkeypatch)
    assert "has SHA-256" in _fails(TINY)


def test_a_blob_that_several_repositories_share_has_another_name_and_is_verified_all_the_same(hub: FakeHub) -> None:
    weights = encoders.find(TINY).folder / WEIGHTS
    blob = weights.parent / weights.readlink()
    shared = hub_module.cache_root() / "blobs" / ("f" * 64)
    shared.parent.mkdir()
    blob.rename(shared)
    blob.symlink_to(shared)
    assert encoders.find(TINY).folder == weights.parent
    shared.write_bytes(b"x" * shared.stat().st_size)
    assert "has SHA-256" in _fails(TINY)


def test_a_copy_without_links_serves_too(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = encoders.find(TINY)
    shutil.copytree(tmp_path / "hub", tmp_path / "elsewhere")  # follows the links
    _offline(monkeypatch)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert encoders.find(TINY).revision == first.revision


def test_a_disk_that_will_be_too_small_is_seen_before_the_download(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 1000))
    message = _fails(TINY)
    assert "the disk is full at" in message
    assert "$HF_HOME" in message
    assert hub.sent(WEIGHTS) == []


def test_a_disk_that_fills_up_meanwhile_is_one_line(hub: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", full)
    assert "the disk is full at" in _fails(TINY)


def test_a_repository_without_weights_that_are_read_is_one_line(hub: FakeHub) -> None:
    hub.repos["lab/flax"] = {"config.json": b"{}", "flax_model.msgpack": b"x"}
    assert "has no weights that emocache reads (model.safetensors or pytorch_model.bin); others there: flax_model.msgpack" in _fails(
        "lab/flax"
    )


def test_fetch_goes_on_after_a_model_that_cannot_be_had(hub: FakeHub, shell: Shell) -> None:
    assert shell.run(f"fetch lab/nothing {TINY} --no-check") == 2
    assert "emocache: lab/nothing: no such model" in shell.err
    assert shell.out.startswith("tiny-bert: ")


def test_fetch_opens_what_it_brought(hub: FakeHub, shell: Shell, tiny: Path) -> None:
    hub.add("lab/bad", tiny)
    config = json.loads(hub.repos["lab/bad"]["config.json"])
    hub.repos["lab/bad"]["config.json"] = json.dumps(config | {"num_hidden_layers": 4}).encode()
    assert shell.run("fetch lab/bad --no-check") == 0
    assert shell.run("fetch lab/bad") == 2
    assert "lacks 16 weights" in shell.err


def test_fetch_says_what_a_repository_lacks(hub: FakeHub, shell: Shell, tmp_path: Path) -> None:
    hub.add("lab/speech", checkpoints.speech(tmp_path / "speech"))
    del hub.repos["lab/speech"]["preprocessor_config.json"]
    assert shell.run("fetch lab/speech --no-check") == 2
    assert "cannot be used as it is on the Hub: preprocessor_config.json is missing" in shell.err


def test_fetch_interrupted_says_how_to_go_on(hub: FakeHub, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(huggingface_hub.file_download, "http_get", interrupt)
    assert shell.run(f"fetch {TINY}") == 130
    assert "the same command goes on from there" in shell.err


def test_shards_and_a_sentence_pooling_come_along() -> None:
    files = {"config.json", "1_Pooling/config.json", "model.safetensors.index.json", "model-00001-of-00001.safetensors"}
    assert set(snapshot.needed(sorted(files | {"model.fp32-00001-of-00002.safetensors", "onnx/model.onnx"}))) == files


def test_the_environment_names_hub_and_cache(hub: FakeHub, tmp_path: Path) -> None:
    env = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "emocache.cli", "fetch", TINY, "--no-check"],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "home" / "hub" / "models--lab--tiny-bert" / "snapshots" / hub.commit(TINY)) in done.stdout
    assert f"export HF_HOME={tmp_path / 'home'} HF_HUB_OFFLINE=1" in done.stderr
