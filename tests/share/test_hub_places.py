"""Push and pull by way of huggingface_hub's own API, against a stand-in of the Hub (tests/share/hub.py)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants

from tests.share import hub as stand_in
from tests.share import small
from tests.shell import Shell

pytestmark = pytest.mark.filterwarnings("ignore:Use 'content:DeprecationWarning")  # the client's own way with its HTTP library
TOKEN = "hf_secret_of_tests"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[stand_in.Hub]:
    """A Hub in place of the real one."""
    with stand_in.running("lab/features", TOKEN) as running:
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        settings = {"ENDPOINT": running.url, "HUGGINGFACE_CO_URL_TEMPLATE": template, "HF_HUB_OFFLINE": False, "HF_HUB_DISABLE_XET": True}
        for name, value in settings.items():
            monkeypatch.setattr(constants, name, value)
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        yield running


def test_a_push_is_one_commit_and_comes_back_in_part(hub: stand_in.Hub, tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push hf://lab/features@2026-11") == 0, shell.err
    assert len(hub.commits) == 2  # the repository's own first one, and the push
    assert hub.tags == {"2026-11": hub.head}
    (tmp_path / "ids").write_text("u2\nu8\n")
    assert shell.run("pull hf://lab/features@2026-11 --cache part --ids-from ids --layers last --levels frames") == 0, shell.err
    assert set(small.rows(tmp_path / "part")) == {("frames", 1, "u2"), ("frames", 1, "u8")}
    assert any(ranged for method, _, ranged in hub.asked if method == "GET")
    assert shell.run("pull hf://lab/features --cache part") == 0
    assert small.rows(tmp_path / "part") == small.rows(tmp_path / "cache")
    assert TOKEN not in shell.out + shell.err
    assert not [name for name, data in hub.commits[hub.head].items() if TOKEN.encode() in data]


def test_a_commit_of_the_repository_can_be_named(hub: stand_in.Hub, tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", wanted={"frames": [0]})
    assert shell.run("push hf://lab/features@one") == 0
    commit = hub.head
    small.make(tmp_path / "cache")
    assert shell.run("push hf://lab/features@two") == 0
    assert shell.run(f"pull hf://lab/features@{commit} --cache old") == 0, shell.err
    assert {key[:2] for key in small.rows(tmp_path / "old")} == {("frames", 0)}
    assert shell.run("pull hf://lab/features@three --cache old") == 2
    assert "three" in shell.err


def test_two_that_push_at_once_both_arrive(hub: stand_in.Hub, tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    small.make(tmp_path / "other", name="other", seed=3)
    assert shell.run("push hf://lab/features@zero") == 0
    small.make(tmp_path / "cache", name="more")
    other = Shell(shell._capsys)
    hub.before_commit.append(lambda _: other.run("push hf://lab/features@theirs --cache other") and None)
    assert shell.run("push hf://lab/features@ours") == 0, shell.err
    assert shell.run("pull hf://lab/features --cache all") == 0
    for name, root in (("toy", "cache"), ("more", "cache"), ("other", "other")):
        assert small.rows(tmp_path / "all", name) == small.rows(tmp_path / root, name)


def test_a_wrong_token_is_one_line_without_it(hub: stand_in.Hub, tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    small.make(tmp_path / "cache")
    assert shell.run("push hf://lab/features") == 2
    assert "run `hf auth login`" in shell.err
    assert shell.err.count("\n") == 1
    assert "hf_wrong" not in shell.err
