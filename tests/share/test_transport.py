"""A cache goes to a place and comes back from it, whole and in part, by real servers."""

import errno
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from emocache.errors import ShareError
from emocache.share.address import parse_address
from emocache.share.push import Consent, push
from emocache.share.staging import staging
from emocache.store import open_cache
from emocache.store.layout import Paths
from tests.share import servers, small
from tests.shell import Shell

PLACES = ("folder", "s3", "nginx", "filer", "plain")


@contextmanager
def place(kind: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """Where to push to, and where to pull from."""
    remote = tmp_path / "remote"
    if kind == "folder":
        yield str(remote), str(remote)
    elif kind in {"s3", "filer"}:
        pytest.importorskip("obstore")
        running = request.getfixturevalue("seaweed")
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        prefix = f"{request.node.name.replace('[', '-').replace(']', '')}"
        yield f"s3://lab/{prefix}", f"s3://lab/{prefix}" if kind == "s3" else f"{running.filer}/buckets/lab/{prefix}"
    elif kind == "nginx":
        with servers.nginx(tmp_path / "nginx", f"root {tmp_path};") as running:
            yield str(remote), f"{running.url}/remote"
    else:
        with servers.plain(tmp_path) as url:
            yield str(remote), f"{url}/remote"


@pytest.mark.parametrize("kind", PLACES)
def test_what_was_pushed_comes_back_whole_and_in_part(
    kind: str, tmp_path: Path, shell: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.make(tmp_path / "cache")
    (tmp_path / "ids").write_text("u2\nu5\nu8\n")
    all_rows = small.rows(tmp_path / "cache")
    with place(kind, tmp_path, request, monkeypatch) as (dest, source):
        assert shell.run(f"push {dest}@2026-11") == 0, shell.err
        assert shell.run(f"pull {source} --cache whole") == 0, shell.err
        assert small.rows(tmp_path / "whole") == all_rows
        assert shell.run(f"pull {source}@2026-11 --cache part --ids-from ids --layers last --levels frames") == 0, shell.err
        assert small.rows(tmp_path / "part") == {
            key: rows for key, rows in all_rows.items() if key[2] in {"u2", "u5", "u8"} and key[:2] == ("frames", 1)
        }
        assert shell.run(f"pull {source} --cache part --sessions 1") == 0, shell.err
        assert shell.run(f"pull {source} --cache part") == 0, shell.err
        assert small.rows(tmp_path / "part") == all_rows
        assert shell.run(f"ls {source}") == 0
        assert "corpus/toy" in shell.out
        assert "2026-11" in shell.out
    for name in ("whole", "part"):
        assert small.sound(tmp_path / name)
        assert not (tmp_path / name / ".pull").exists()


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_a_second_push_sends_only_what_changed(
    kind: str, tmp_path: Path, shell: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.make(tmp_path / "cache", wanted={"frames": [0], "utterance": [0]})
    with place(kind, tmp_path, request, monkeypatch) as (dest, source):
        assert shell.run(f"push {dest}@one") == 0
        assert shell.run(f"push {dest}") == 0
        assert "sent 0 objects" in shell.out
        assert "version one" in shell.out
        small.make(tmp_path / "cache")
        assert shell.run(f"push {dest}@two") == 0, shell.err
        new = {key for key in small.rows(tmp_path / "cache") if key[1] == 1}
        assert f"sent {4 * 2 + 2 + 1} objects" in shell.out  # four units of two arrays, digests of their rows, plan and commits
        assert shell.run(f"pull {source}@one --cache one") == 0
        assert not {key for key in small.rows(tmp_path / "one") if key in new}
        assert shell.run(f"pull {source} --cache one") == 0
        assert small.rows(tmp_path / "one") == small.rows(tmp_path / "cache")


def test_a_partial_cache_says_in_one_line_what_it_lacks_and_where_that_is(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote@v1") == 0
    assert shell.run("pull remote --layers last --sessions 0 --cache part") == 0
    command = f"`emocache pull {tmp_path / 'remote'}@v1 --corpus corpus --model toy`"
    assert shell.run("ls --cache part") == 0
    assert f"corpus/toy: pulled in part, without frames 0, utterance 0, 7 of 14 utterances; {command} brings the rest" in shell.out
    features = open_cache(tmp_path / "part").features("corpus", "toy")
    for asked in (lambda: features.read("u1", "frames"), lambda: features.read("u0", "frames", [0])):
        with pytest.raises(Exception, match=f"it was pulled in part: run {command}"):
            asked()
    assert shell.run("train linear --corpus corpus --encoders toy --protocol loso --cache part --layers 0") == 2
    assert command in shell.err
    assert shell.err.count("\n") == 1
    assert shell.run("pull remote --cache part") == 0
    assert shell.run("ls --cache part") == 0
    assert "in part" not in shell.out


def test_two_versions_of_two_people_both_arrive(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "a", name="one")
    small.make(tmp_path / "b", name="two", seed=4)
    assert shell.run("push remote@a --cache a") == 0
    assert shell.run("push remote@b --cache b") == 0
    assert shell.run("pull remote --cache both") == 0
    assert small.rows(tmp_path / "both", "one") == small.rows(tmp_path / "a", "one")
    assert small.rows(tmp_path / "both", "two") == small.rows(tmp_path / "b", "two")


def test_who_pushes_a_few_utterances_last_hides_no_others_labels(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "a", name="one")
    small.make(tmp_path / "b", name="two", lengths=small.LENGTHS[:5])
    for name in ("a", "b"):
        assert shell.run(f"push remote@{name} --cache {name}") == 0, shell.err
    assert shell.run("pull remote --cache both --sessions 0") == 0, shell.err
    assert {key[2] for key in small.rows(tmp_path / "both", "one")} == {f"u{i}" for i in range(0, 14, 2)}
    assert {key[2] for key in small.rows(tmp_path / "both", "two")} == {"u0", "u2", "u4"}
    assert len(open_cache(tmp_path / "both").corpus("corpus").utterances) == 14
    assert "corpus/two: labels are those of version a" in shell.err


def test_of_several_sets_each_gives_the_layers_that_it_has(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", name="one", wanted={"frames": [0, 1]})
    small.make(tmp_path / "cache", name="two", wanted={"frames": [0], "utterance": [0]})
    assert shell.run("push remote") == 0, shell.err
    assert shell.run("pull remote --cache c --layers 1-6") == 0, shell.err
    assert "corpus/two" in shell.out
    assert "left out" in shell.out
    assert open_cache(tmp_path / "c").names("corpus") == ["one"]
    assert {key[1] for key in small.rows(tmp_path / "c", "one")} == {1}
    for wrong in ("--layers 7", "--layers six", "--levels frames,word", "--levels utterance --layers 1"):
        assert shell.run(f"pull remote --cache d {wrong}") == 2, wrong
        assert shell.err.count("\n") == 2
        assert open_cache(tmp_path / "d").corpora() == []


def test_a_version_never_changes(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "a")
    small.make(tmp_path / "b", seed=4)
    assert shell.run("push remote@v1 --cache a") == 0
    before = (tmp_path / "remote/versions/v1.json").read_bytes()
    assert shell.run("push remote@v1 --cache a") == 0  # the same again
    assert shell.run("push remote@v1 --cache b") == 2
    assert shell.err == "emocache: remote: has a version v1 of other contents, and versions never change; push as @ANOTHER-NAME\n"
    assert (tmp_path / "remote/versions/v1.json").read_bytes() == before
    assert shell.run("pull remote --cache c") == 0
    assert small.rows(tmp_path / "c") == small.rows(tmp_path / "a")


def test_utterances_that_failed_are_named_after_a_pull_too(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache", fail="u4")
    assert shell.run("push remote") == 0
    assert shell.run("pull remote --cache c") == 0
    assert dict(open_cache(tmp_path / "c").features("corpus", "toy").failures) == {"u4": "made to fail"}


def test_features_made_in_another_way_are_refused(tmp_path: Path, shell: Shell) -> None:
    from dataclasses import replace

    from tests import toy_store

    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    other = replace(toy_store.CARD, key=replace(toy_store.CARD.key, weights="other"))
    toy_store.write(tmp_path / "c", toy_store.toy(small.LENGTHS), card=other)
    before = toy_store.tree(tmp_path / "c")
    assert shell.run("pull remote --cache c") == 2
    assert "was made with other weights" in shell.err
    assert toy_store.tree(tmp_path / "c") == before


def test_rows_are_added_to_a_set_of_ones_own_with_another_plan(tmp_path: Path, shell: Shell) -> None:
    from tests import toy_store

    data = small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    mine = {name: data[name] for name in ("u3", "u8")}
    todo = [item for item in toy_store.items(data) if item.id in mine]
    toy_store.write(tmp_path / "c", data, todo=todo)
    assert shell.run("pull remote --cache c") == 0, shell.err
    assert small.rows(tmp_path / "c") == small.rows(tmp_path / "cache")
    assert small.sound(tmp_path / "c")


def test_a_dry_run_changes_nothing(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote --dry-run") == 0
    assert "would send" in shell.out
    assert not (tmp_path / "remote").exists()
    assert shell.run("push remote") == 0
    assert shell.run("pull remote --cache c --dry-run") == 0
    assert "would come" in shell.out
    assert not (tmp_path / "c").exists()


def test_what_does_not_fit_the_disk_is_not_begun(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    monkeypatch.setattr("emocache.places.free_bytes", lambda _: 1000)
    assert shell.run("pull remote --cache c") == 2
    assert "are to come and 1e-06 GB are free" in shell.err
    assert not (tmp_path / "c/corpus").exists()


def test_what_is_pushed_to_a_folder_of_a_group_is_the_groups(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    (tmp_path / "lab").mkdir()
    (tmp_path / "lab").chmod(0o2775)
    before = os.umask(0o022)
    try:
        assert shell.run("push lab/remote") == 0, shell.err
    finally:
        os.umask(before)
    modes = {path.stat().st_mode & 0o7777 for path in (tmp_path / "lab").rglob("*")}
    assert modes == {0o2775, 0o664}


def test_a_push_to_a_full_disk_names_it_and_leaves_no_part(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: object) -> Iterator[bytes]:
        yield b"a part"
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    small.make(tmp_path / "cache")
    monkeypatch.setattr("emocache.share.folder._pieces", full)
    assert shell.run("push remote") == 2
    assert shell.err.startswith("emocache: remote: ")
    assert "No space left" in shell.err
    assert not list((tmp_path / "remote").rglob("*.part"))


def test_an_interrupted_pull_goes_on_where_it_stopped(tmp_path: Path, shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    monkeypatch.setattr("emocache.share.passing.WAITS_S", (0.0,))
    with servers.failing(tmp_path) as running:
        running.budget = 60_000
        assert shell.run(f"pull {running.url}/remote --cache c") == 2
        assert shell.err.count("\n") == 2  # the cache, and what went wrong
        assert not (tmp_path / "c/corpus").exists()
        running.budget = 10_000_000
        assert shell.run(f"pull {running.url}/remote --cache c") == 0, shell.err
        whole = sum(path.stat().st_size for path in (tmp_path / "remote").rglob("*") if path.is_file())
        assert running.sent < whole + 15_000  # the small files twice, and no shard
        assert any(ranged for ranged in running.ranges)
    assert small.rows(tmp_path / "c") == small.rows(tmp_path / "cache")
    assert not (tmp_path / "c/.pull").exists()


def test_what_a_killed_pull_was_at_is_cleared_away(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0, shell.err
    (tmp_path / "c/.pull/work-killed/sets").mkdir(parents=True)
    (tmp_path / "c/emocache.json").write_bytes((tmp_path / "cache/emocache.json").read_bytes())
    assert shell.run("pull remote --cache c") == 0, shell.err
    assert not (tmp_path / "c/.pull").exists()


def test_a_file_that_vanishes_during_a_pull_is_told_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="vanished"), staging(tmp_path):
        raise FileNotFoundError("vanished")


def test_a_second_pull_into_the_same_cache_is_told_of_the_first(tmp_path: Path, shell: Shell) -> None:
    import fcntl
    import os

    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    assert shell.run("pull remote --cache c --layers last") == 0
    (tmp_path / "c/.pull").mkdir()
    handle = os.open(tmp_path / "c/.pull", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert shell.run("pull remote --cache c") == 2
        assert "another pull into this cache is at work" in shell.err
    finally:
        os.close(handle)
    assert shell.run("pull remote --cache c") == 0


def test_rows_of_some_utterances_cost_few_bytes_beyond_their_own(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    assert shell.run("push remote") == 0
    (tmp_path / "ids").write_text("u1\nu6\nu9\n")
    with servers.failing(tmp_path) as running:
        assert shell.run(f"pull {running.url}/remote --cache c --ids-from ids --levels frames") == 0, shell.err
        shards = _shards(tmp_path / "remote")
        sent = sum(size for name, size in running.files if name.rpartition("/")[2] in shards)
    wanted = sum(len(rows) for rows in small.rows(tmp_path / "c").values())
    assert wanted <= sent <= 1.05 * wanted


def _shards(remote: Path) -> set[str]:
    """The objects that are shards."""
    from tests.share import hostile

    entries = [json.loads(data) for name, data in hostile.files(remote).items() if name.startswith("commits/")]
    return {digest for entry in entries for about in entry["arrays"].values() for digest in about["sha256"].values()}


@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_of_pushes_at_the_same_moment_all_arrive_and_one_gets_a_name(
    kind: str, tmp_path: Path, shell: Shell, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a", "b", "c")
    for seed, name in enumerate(names):
        small.make(tmp_path / name, (3, 5, 8), seed=seed, name=name)
    with place(kind, tmp_path, request, monkeypatch) as (dest, source):

        def pushed(name: str, version: str) -> str:
            try:
                return push(parse_address(dest + version), [Paths(tmp_path / name / "corpus" / name)], tmp_path / "none", Consent()).version
            except ShareError as error:
                return str(error)

        with ThreadPoolExecutor(len(names)) as pool:
            made = list(pool.map(lambda name: pushed(name, ""), names))
            same = list(pool.map(lambda name: pushed(name, "@2026"), names))
        assert len(set(made)) == len(names)
        assert sorted(one == "2026" for one in same) == [False, False, True]
        assert all("2026 of other contents" in one for one in same if one != "2026")
        assert shell.run(f"pull {source} --cache all") == 0, shell.err
    for name in names:
        assert small.rows(tmp_path / "all", name) == small.rows(tmp_path / name, name)


def test_a_cache_is_no_place_to_push_to_or_pull_from(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    small.make(tmp_path / "lab")
    assert shell.run("push lab") == 2
    assert "is a cache" in shell.err
    assert shell.run("pull lab --cache c") == 2
    assert "set EMOCACHE_PATH" in shell.err


def test_a_set_of_an_older_format_is_told_to_migrate(tmp_path: Path, shell: Shell) -> None:
    small.make(tmp_path / "cache")
    path = tmp_path / "cache/corpus/toy/card.json"
    card = {name: value for name, value in json.loads(path.read_text()).items() if name != "seal"}
    card["key"]["format"] = 0
    path.write_text(json.dumps(card))
    assert shell.run("push remote") == 2
    assert "run `emocache migrate corpus/toy` first" in shell.err
