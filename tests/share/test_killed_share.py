"""A push or pull that is killed leaves nothing torn; benchmarks/share.py does it a hundred times."""

import subprocess
import sys
from pathlib import Path

CODE = "import sys; from pathlib import Path; from tests.share.killed import rounds; print(rounds(Path(sys.argv[1]), 4))"


def test_nothing_torn_is_ever_visible_after_kill_9(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(tmp_path / "rounds")], capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert "rounds=4" in done.stdout, done.stderr
    assert "torn=0" in done.stdout, done.stderr
