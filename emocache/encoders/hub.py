"""The Hub (huggingface.co, or $HF_ENDPOINT): a snapshot of a model, downloaded where need be, whole and verified.

Files lie in the Hub client's own cache ($HF_HOME/hub), so that transformers and others find them too:

    models--ORG--NAME/refs/main                  the commit that `main` was
    models--ORG--NAME/snapshots/COMMIT/FILE      links to
    models--ORG--NAME/blobs/SHA256               and SHA256.incomplete: what an interrupted download has so far
"""

import fcntl
import re
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

from emocache.encoders import snapshot, trouble
from emocache.encoders.wheels import check_sha256
from emocache.errors import EncoderError
from emocache.files import write_whole

TIMEOUT_S = 10.0
WAITS_S = (1.0, 4.0, 15.0)
"""Before each further try, when the Hub is out of order or asks for patience."""
LONGEST_WAIT_S = 60.0
OTHER_WEIGHTS = (".h5", ".msgpack", ".onnx", ".pt", ".pth", ".gguf", ".ckpt", ".npz")
Result = TypeVar("Result")


def cache_root() -> Path:
    """Where the Hub's client keeps its files: $HF_HUB_CACHE, else $HF_HOME/hub, else ~/.cache/huggingface/hub."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser()


def storage(repo: str) -> Path:
    """The folder of one model in that cache."""
    return cache_root() / f"models--{repo.replace('/', '--')}"


def local(repo: str, revision: str) -> Path | None:
    """The snapshot of a branch, tag or commit that lies on this machine, whole or not."""
    return snapshot.local(storage(repo), revision)


def from_hub(repo: str, revision: str, file: str = "") -> tuple[Path, str]:
    """The snapshot folder of a Hub model and its commit: what is needed to load it, no other format of the same weights.

    `file` is all that is wanted of a repository with many models.
    A commit that lies here whole is taken as it is, without a question to the Hub; a branch is asked for, and its last
    local snapshot serves when there is no answer.
    """
    _check_id(repo, revision)
    folder = local(repo, revision)
    whole = folder is not None and _is_whole(repo, folder, file)
    if not (whole and re.fullmatch(r"[0-9a-f]{40}", revision)):
        try:
            folder = _patiently(lambda: _download(repo, revision, file))
        except trouble.kinds() as error:
            if not whole:
                raise trouble.explained(repo, revision, error, cache_root(), storage(repo)) from None
    assert folder is not None
    snapshot.verify(folder)
    return folder, folder.name


def _is_whole(repo: str, folder: Path, file: str) -> bool:
    """Whether a snapshot has all that is needed: another program may have brought a part of it."""
    pooling = not repo.startswith("sentence-transformers/") or (folder / snapshot.POOLING).is_file()
    return pooling and snapshot.lacks(folder, file) is None


def _check_id(repo: str, revision: str) -> None:
    """EncoderError for what can be no id on the Hub."""
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(repo)
    except HFValidationError:
        raise EncoderError(f"{repo}: can be no model on the Hub; expected org/name, or org/name@revision") from None
    if ".." in revision or revision.startswith("/"):
        raise EncoderError(f"{repo}: {revision!r} can be no revision")


def _patiently(attempt: Callable[[], Result]) -> Result:
    """Try again, a few times and with growing pauses, while the Hub says that it is out of order or asks for patience."""
    for wait in WAITS_S:
        try:
            return attempt()
        except trouble.kinds() as error:
            status, asked = trouble.status(error), trouble.retry_after(error)
            if status not in trouble.PASSING or asked > LONGEST_WAIT_S:
                raise
            pause = max(wait, asked)
            sys.stderr.write(f"the Hub answers {status}; trying again in {pause:.0f} s\n")
            time.sleep(pause)
    return attempt()


def _download(repo: str, revision: str, file: str) -> Path:
    """Bring the snapshot here; files that are here already are left alone."""
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # what goes wrong is said once, by us
    info = HfApi().model_info(repo, revision=revision, files_metadata=True, timeout=TIMEOUT_S)
    commit, files = str(info.sha), {one.rfilename: one for one in info.siblings or []}
    wanted = [file] if file in files else snapshot.needed(list(files))
    if not snapshot.weights(wanted):
        others = ", ".join(name for name in files if name.endswith(OTHER_WEIGHTS)) or "none"
        raise EncoderError(f"{repo}: has no weights that emocache reads ({' or '.join(snapshot.WEIGHTS)}); others there: {others}")
    folder = storage(repo) / "snapshots" / commit
    missing = [name for name in wanted if not (folder / name).exists()]
    large = {name: files[name] for name in missing if files[name].lfs is not None}
    _check_room(repo, {str(one.lfs.sha256): int(one.size or 0) for one in large.values()})
    for name, one in large.items():
        _bring(repo, commit, name, str(one.lfs.sha256), int(one.size or 0))
    if missing:
        snapshot_download(repo, revision=commit, allow_patterns=wanted, etag_timeout=TIMEOUT_S)
    if not commit.startswith(revision):
        ref = storage(repo) / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        write_whole(ref, commit)
    return folder


def _check_room(repo: str, files: Mapping[str, int]) -> None:
    """EncoderError when files, SHA-256 -> bytes, do not fit the disk."""
    blobs, place = storage(repo) / "blobs", cache_root()
    held = sum(path.stat().st_size for digest in files for path in (blobs / digest, _part(blobs, digest)) if path.is_file())
    while not place.exists():
        place = place.parent
    free, missing = shutil.disk_usage(place).free, sum(files.values()) - held
    if missing > free:
        raise trouble.no_room(repo, cache_root(), f"{missing / 1e9:.3g} GB are to come and {free / 1e9:.3g} GB are free")


def _part(blobs: Path, digest: str) -> Path:
    """What there is so far of a blob."""
    return blobs / f"{digest}.incomplete"


def _bring(repo: str, commit: str, name: str, sha256: str, size: int) -> None:
    """Download one large file into the Hub's cache, going on from where an earlier attempt stopped.

    The client's newer releases would begin it anew. When another process is at the same file, it is left to the client.
    """
    blobs = storage(repo) / "blobs"
    if (blobs / sha256).exists():
        return
    blobs.mkdir(parents=True, exist_ok=True)
    part = _part(blobs, sha256)
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return
        if file.tell() > size:
            file.truncate(0)
        _get_all(repo, commit, name, file, size)
        try:
            check_sha256(part, sha256)
        except EncoderError:
            part.unlink()
            raise EncoderError(f"{repo}: {name} was damaged on its way; run this again") from None
        part.replace(blobs / sha256)


def _get_all(repo: str, commit: str, name: str, file: BinaryIO, size: int) -> None:
    """Append the rest of a file; a connection that breaks is taken up again as long as each brings something."""
    while True:
        before = file.tell()
        try:
            _get(repo, commit, name, file, size)
            file.flush()
            return
        except trouble.kinds() as error:
            if trouble.status(error) is not None or file.tell() == before:
                raise
            time.sleep(WAITS_S[0])


def _get(repo: str, commit: str, name: str, file: BinaryIO, size: int) -> None:
    """Append the rest of a file, with a progress bar."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers

    url = hf_hub_url(repo, name, revision=commit)
    location = get_hf_file_metadata(url, timeout=TIMEOUT_S).location
    own = urlsplit(location).netloc == urlsplit(url).netloc  # a token is for the Hub, not for where it keeps its files
    http_get(
        location, file, resume_size=file.tell(), headers=build_hf_headers() if own else {}, expected_size=size, displayed_filename=name
    )
