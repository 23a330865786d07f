"""Shared fixtures; and under pytest, types and shapes in signatures are checked (jaxtyping with beartype)."""

from pathlib import Path

import pytest
from jaxtyping import install_import_hook

from tests.shell import Shell

install_import_hook(["heads", "emocache.pooling"], "beartype.beartype")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def ravdess_root() -> Path:
    """Real emotional speech, where it is at hand."""
    root = SHARED / "corpora" / "ravdess"
    if not root.is_dir():
        pytest.skip("the RAVDESS corpus is not beside the project")
    return root


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the caches of whoever runs it, or asks the network for a model."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("EMOCACHE_HOME", raising=False)


@pytest.fixture
def shell(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Commands run in a folder of their own, with a cache there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EMOCACHE_HOME", str(tmp_path / "cache"))
    return Shell(capsys)
