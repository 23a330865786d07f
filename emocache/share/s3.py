"""S3, or a server that speaks it, as the place of a shared cache; by way of obstore.

Credentials are those of AWS_ACCESS_KEY_ID and its kin, of ~/.aws/credentials and ~/.aws/config (AWS_PROFILE), or of the machine's
role. Another server than Amazon's is AWS_ENDPOINT_URL. A bucket that is open to everybody is read with AWS_SKIP_SIGNATURE=true.
"""

import configparser
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from emocache.errors import ShareError, UsageError
from emocache.share.address import redacted, told
from emocache.share.place import Missing, Passing

BLOCK = 1 << 20
TIMEOUT = timedelta(seconds=60)
KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "region", "endpoint_url")
"""What is read of a profile."""


class Bucket:
    """Objects below a prefix of a bucket."""

    def __init__(self, url: str) -> None:
        try:
            import obstore
        except ImportError:
            raise UsageError('s3:// needs obstore: pip install "emocache[share]"') from None
        self._obstore: Any = obstore
        parts = urlsplit(url)
        self.shown = redacted(url)
        self._prefix = parts.path.strip("/")
        self._store = _store(parts.netloc.rpartition("@")[2])

    def at(self, version: str) -> "Bucket":
        """A bucket's own states are not used."""
        return self

    def stream(self, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes of an object."""
        ranged = {"range": (start, stop)} if stop is not None else {"range": {"offset": start}} if start else {}
        try:
            yield from (bytes(piece) for piece in self._obstore.get(self._store, self._key(name), options=ranged).stream(BLOCK))
        except Exception as error:  # noqa: BLE001 - obstore raises many kinds
            raise self._explained(error, name) from None

    def objects(self) -> Mapping[str, int]:
        """Every object by its name."""
        cut = len(self._key("")) if self._prefix else 0
        try:
            found = [one for page in self._obstore.list(self._store, prefix=self._key("objects/")) for one in page]
        except Exception as error:  # noqa: BLE001 - likewise
            raise self._explained(error, "objects/") from None
        return {str(one["path"])[cut:]: int(one["size"]) for one in found}

    def send(self, name: str, data: Path | bytes) -> None:
        """Put an object; the server has it whole or not at all."""
        self._put(name, data)

    def create(self, name: str, data: bytes) -> bool:
        """Put an object on the condition that there is none (If-None-Match)."""
        return self._put(name, data, mode="create")

    def write(self, name: str, data: bytes) -> None:
        """Put an object."""
        self._put(name, data)

    def tagged(self, name: str) -> tuple[bytes | None, object]:
        """An object and the tag that the server gives it."""
        try:
            answer = self._obstore.get(self._store, self._key(name))
            return bytes(answer.bytes()), (answer.meta["e_tag"], answer.meta["version"])
        except FileNotFoundError:
            return None, None
        except Exception as error:  # noqa: BLE001 - likewise
            raise self._explained(error, name) from None

    def swap(self, name: str, data: bytes, tag: object) -> bool:
        """Put an object on the condition that the one there has this tag (If-Match)."""
        if tag is None:
            return self.create(name, data)
        e_tag, version = tag if isinstance(tag, tuple) else (None, None)
        return self._put(name, data, mode={"e_tag": e_tag} | ({"version": version} if version else {}))

    def name_state(self, version: str) -> None:
        """A bucket's own states are not used."""

    def _put(self, name: str, data: Path | bytes, mode: Any = "overwrite") -> bool:
        """Put; False when the condition does not hold. Small ones go in one request, larger ones in parts."""
        errors = self._obstore.exceptions
        try:
            self._obstore.put(self._store, self._key(name), data, mode=mode)
        except (errors.AlreadyExistsError, errors.PreconditionError):
            if mode == "overwrite":
                raise ShareError(f"{self.shown}: refuses {name}") from None
            return False
        except Exception as error:  # noqa: BLE001 - likewise
            raise self._explained(error, name) from None
        return True

    def _key(self, name: str) -> str:
        return f"{self._prefix}/{name}" if self._prefix else name

    def _explained(self, error: Exception, name: str) -> ShareError:
        """What to say of an error of obstore: its first line, which holds no more than URL and status."""
        if isinstance(error, FileNotFoundError):
            return Missing(f"{self.shown}: holds no {name}")
        kind = type(error).__name__
        text = told(error)
        if kind in {"PermissionDeniedError", "UnauthenticatedError"} or " 401 " in text or " 403 " in text:
            return ShareError(f"{self.shown}: refuses {name}; check AWS_ACCESS_KEY_ID, AWS_PROFILE or ~/.aws/credentials")
        if kind == "NotImplementedError":
            return ShareError(f"{self.shown}: this server cannot put on a condition, so two pushes could spoil each other; use another")
        return Passing(f"{self.shown}: {name}: {text}")


def _store(bucket: str) -> Any:
    """The bucket, with what environment and profile say."""
    from obstore.store import S3Store

    known = _profile()
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or known.get("endpoint_url", "")
    options: dict[str, Any] = {}
    if "AWS_ACCESS_KEY_ID" not in os.environ:
        options = {key: value for key, value in known.items() if key.startswith("aws_")}
    if not (os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")):
        options["region"] = known.get("region", "us-east-1")
    if endpoint:
        options["endpoint"] = endpoint
    client: Any = {"allow_http": endpoint.startswith("http://"), "timeout": TIMEOUT, "connect_timeout": timedelta(seconds=10)}
    retry: Any = {"max_retries": 4, "retry_timeout": timedelta(seconds=60)}
    return S3Store(bucket, **options, client_options=client, retry_config=retry)


def _profile() -> dict[str, str]:
    """What the files of the AWS tools say of the profile in use."""
    name = os.environ.get("AWS_PROFILE", "default")
    files = [
        (os.environ.get("AWS_CONFIG_FILE", "~/.aws/config"), name if name == "default" else f"profile {name}"),
        (os.environ.get("AWS_SHARED_CREDENTIALS_FILE", "~/.aws/credentials"), name),
    ]
    found: dict[str, str] = {}
    for path, section in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(path).expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            raise UsageError(f"{path}: cannot be read as a file of profiles") from None
        if parser.has_section(section):
            found |= {key: parser.get(section, key).strip() for key in KEYS if parser.has_option(section, key)}
    return found
