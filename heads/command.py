"""The command that asks for an experiment, as one would type it."""

import shlex
from collections.abc import Mapping
from pathlib import Path

REPEATED = {"settings": "--set", "retrain": "--retrain"}
"""Fields whose values stand behind an option of their own, each with its own."""


def spelled(asked: Mapping[str, object], usual: Mapping[str, object], verb: str = "train") -> str:
    """`emocache train HEAD` with an option for every field of an experiment that is not as `usual`; the field `head` comes first."""
    words = ["emocache", verb, str(asked["head"])]
    for name, value in asked.items():
        if name != "head" and (name not in usual or value != usual[name]):
            words += _option(name, value)
    return shlex.join(words)


def _option(name: str, value: object) -> list[str]:
    """One field as words of a command."""
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        return [option] if value else []
    if isinstance(value, tuple):
        repeated = REPEATED.get(name)
        return [word for one in value for word in (repeated, str(one))] if repeated else [option, ",".join(map(str, value))]
    return [option, str(value) if not isinstance(value, Path) else value.as_posix()]
