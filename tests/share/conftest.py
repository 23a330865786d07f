"""One server of each kind for all tests of sharing."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.share import servers


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Weed]:
    """SeaweedFS with a bucket `lab`."""
    with servers.weed(tmp_path_factory.mktemp("weed") / "data") as running:
        running.bucket("lab")
        yield running


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed for a moment is tried again at once."""
    monkeypatch.setattr("emocache.share.passing.WAITS_S", (0.0, 0.0))


@pytest.fixture(autouse=True)
def no_netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's own credentials take part."""
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
