"""Whoever is killed with -9 while removing or rewriting leaves the old or the new, whole, and the next gc tidies up."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emocache.care import litter
from emocache.care.gc import beside, collect, compact
from emocache.care.migrate import format_of, migrate
from emocache.care.repair import repair
from emocache.care.verify import verify
from emocache.errors import CacheError
from emocache.store import open_cache
from emocache.store.layout import Paths
from tests.test_care import ALL, MORE, history
from tests.toy_store import contents, flip, write

ROOT = Path(__file__).parents[1]
POINTS = int(os.environ.get("EMOCACHE_KILL_POINTS", "12"))
"""How many of the steps are tried, spread over all of them; the decisive ones, which put a folder in its place or aside, always are."""


def killed(template: Path, action: str) -> Iterator[Paths]:
    """The feature set of a cache after the action was killed: a copy of the cache for each of its steps."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.killed", action], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin
        assert process.stdout

        def run(step: int) -> list[int]:
            root = template.with_name(f"{template.name}-{action}-{step}")
            shutil.copytree(template, root)
            process.stdin.write(f"{step} {root}\n")
            return [int(number) for number in process.stdout.readline().split()]

        code, total, *decisive = run(1_000_000)
        assert code == 0
        around = (step + more for step in decisive for more in (0, 1))
        for step in sorted({*range(0, total, max(1, total // POINTS)), *around, total - 1}):
            assert run(step)[0] == -9
            yield Paths(template.with_name(f"{template.name}-{action}-{step}") / "corpus/toy")


def tidy(paths: Paths) -> None:
    """What `emocache gc` does, twice as good as once: nothing is left to be swept."""
    root = paths.root.parents[1]
    if paths.root.exists() or paths.old.exists() or paths.rewritten.exists():
        collect(paths)
    litter.sweep(beside(root), root)
    assert not list(root.rglob(".*"))
    assert not paths.root.exists() or not [one for one in verify(paths).litter if one.what != "lock"]


def test_compaction(tmp_path: Path) -> None:
    paths, _ = history(tmp_path / "cache")
    before = contents(paths)
    between = 0
    for left in killed(tmp_path / "cache", "compact"):
        between += not left.root.exists()
        if left.root.exists():
            assert verify(left).findings == ()
            assert contents(left) == before
        else:
            with pytest.raises(CacheError, match=r"its rewriting was interrupted, .* `emocache gc corpus/toy` ends it"):
                open_cache(left.root.parents[1]).features("corpus", "toy")
            with pytest.raises(CacheError, match="`emocache gc corpus/toy` ends it"):
                write(left.root.parents[1], MORE)
        tidy(left)
        assert [path.name for path in left.root.parent.iterdir()] == ["toy"]
        assert contents(left) == before
        compact(left)
        assert contents(left) == before
    assert between


def test_migration(tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parent / "format0", tmp_path / "cache")
    before = contents(Paths(tmp_path / "cache/corpus/toy"))
    del before["card"]
    for left in killed(tmp_path / "cache", "migrate"):
        if left.root.exists():
            assert before.items() <= contents(left).items()
        migrate(left)
        tidy(left)
        assert format_of(left) == 1
        assert [path.name for path in left.root.parent.iterdir()] == ["toy"]
        assert before.items() <= contents(left).items()
        assert verify(left).findings == ()


def test_the_removal_of_a_feature_set(tmp_path: Path) -> None:
    paths, _ = history(tmp_path / "cache")
    before = contents(paths)
    for left in killed(tmp_path / "cache", "remove"):
        names = open_cache(left.root.parents[1]).names("corpus")
        assert names == [] or contents(left) == before
        tidy(left)
        assert open_cache(left.root.parents[1]).names("corpus") == names


@pytest.mark.parametrize("action", ["remove-layer", "remove-utterances", "collect"])
def test_a_removal_within_a_set_or_a_sweep(tmp_path: Path, action: str) -> None:
    paths, _ = history(tmp_path / "cache")
    (paths.parts / "litter").write_text("")
    (paths.array("frames", "0") / "c.99.0").write_text("")
    before = contents(paths)
    for left in killed(tmp_path / "cache", action):
        assert verify(left).findings == ()
        now = contents(left)
        gone = before.keys() - now.keys()
        assert all("frames/1/" in key or key.endswith("/u1") for key in gone)
        assert all(before[key] == now[key] for key in now.keys() - {"failures", "planned"})
        tidy(left)
        assert contents(left) == now


def test_a_repair(tmp_path: Path) -> None:
    write(tmp_path / "cache", MORE, ALL)
    paths = Paths(tmp_path / "cache/corpus/toy")
    flip(paths.array("frames", "0") / "c.1.0", 70)
    flip(paths.plan(0) / "utterance/start.npy", -1)
    (paths.array("frames", "1") / "zarr.json").unlink()
    for left in killed(tmp_path / "cache", "repair"):
        repair(left)
        assert verify(left).findings == ()
        tidy(left)
        assert len(write(left.root.parents[1], MORE, ALL)) == len(MORE)
        assert verify(left).findings == ()
