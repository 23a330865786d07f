"""The command line inside a test."""

import pytest


class Shell:
    """Runs commands in a folder of their own."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        self.out = self.err = ""

    def run(self, command: str) -> int:
        """Run `emocache COMMAND` in this process; its exit code."""
        from emocache.cli import main  # here, so that conftest can watch over the modules that it imports

        with pytest.raises(SystemExit) as exit_:
            main(command.split())
        self.out, self.err = self._capsys.readouterr()
        return int(exit_.value.code or 0)
