"""HTTP and HTTPS as the place of a shared cache: any server that answers GET, best with byte ranges.

Connections are kept. Users and passwords are those of the URL, else of ~/.netrc; a query string in the URL,
such as a signature, goes with every request. `http_proxy`, `https_proxy` and `no_proxy` are heeded. Nothing secret follows
a redirection to another host, and none leads from HTTPS to HTTP.
"""

import base64
import http.client
import netrc
import re
import ssl
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from emocache import __version__
from emocache.errors import ShareError
from emocache.share.address import redacted, told
from emocache.share.place import Missing, Passing

TIMEOUT_S = 30.0
REDIRECTIONS = 5
BLOCK = 1 << 18
BUSY = {408, 425, 429, 500, 502, 503, 504}
_ROOM = 1 << 16
"""Bytes that a broken answer may go on for before its connection is given up rather than read to its end."""


class Web:
    """Files below a URL."""

    def __init__(self, url: str, secret: Callable[[], Mapping[str, str]] | None = None) -> None:
        """`secret` gives further headers for the host of the URL, which are never shown."""
        parts = urlsplit(url)
        self.shown = redacted(url)
        self._base = parts._replace(netloc=parts.netloc.rpartition("@")[2], path=parts.path.rstrip("/"), fragment="")
        self._secret = secret or (lambda: _basic(parts))
        self._idle: list[tuple[tuple[str, str], http.client.HTTPConnection]] = []
        weakref.finalize(self, _close, self._idle)

    def at(self, version: str) -> "Web":
        """A server keeps no states of itself."""
        return self

    def url(self, name: str) -> str:
        """Where a file lies."""
        return urlunsplit(self._base._replace(path=f"{self._base.path}/{quote(name)}"))

    def stream(self, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """The bytes of a file; a server that knows no ranges sends it from its beginning, which is read past."""
        ranged = {} if not start and stop is None else {"Range": f"bytes={start}-{'' if stop is None else stop - 1}"}
        try:
            with self._get(self.url(name), ranged) as answer:
                yield from self._body(answer, name, start if ranged else 0, stop)
        except ConnectionRefusedError as error:
            raise Passing(f"{self.shown}: cannot be reached ({told(error)})") from None
        except (http.client.HTTPException, ConnectionError, TimeoutError) as error:
            raise Passing(f"{self.shown}: {name} did not come whole ({told(error)})") from None
        except OSError as error:
            raise Passing(f"{self.shown}: cannot be reached ({told(error)})") from None

    def _body(self, answer: http.client.HTTPResponse, name: str, start: int, stop: int | None) -> Iterator[bytes]:
        """What was asked for out of an answer."""
        self._check(answer, name)
        at = start
        if answer.status == 206:
            found = re.match(r"bytes (\d{1,18})-", answer.headers.get("Content-Range", ""))
            if not found or int(found[1]) != start:
                raise ShareError(f"{self.shown}: sends other bytes of {name} than were asked for")
        else:
            at = 0
        while (stop is None or at < stop) and (piece := answer.read(BLOCK if stop is None else min(BLOCK, stop - at))):
            skipped = max(0, start - at)
            at += len(piece)
            if len(piece) > skipped:
                yield piece[skipped:]
        if stop is None and answer.length:
            raise Passing(f"{self.shown}: {name} did not come whole ({answer.length} bytes are missing)")
        if answer.length and answer.length <= _ROOM:
            answer.read()

    def _check(self, answer: http.client.HTTPResponse, name: str) -> None:
        """ShareError for an answer that is no file."""
        if answer.status in {404, 410}:
            raise Missing(f"{self.shown}: holds no {name}")
        if answer.status in {401, 403}:
            raise ShareError(f"{self.shown}: refuses {name} ({answer.status}); give a user in the URL or in ~/.netrc, or log in")
        if answer.status not in {200, 206}:
            kind = Passing if answer.status in BUSY else ShareError
            raise kind(f"{self.shown}: answers {answer.status} for {name}")
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise ShareError(f"{self.shown}: sends {name} recoded, not as it is; have the server send files as they are")

    @contextmanager
    def _get(self, url: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """The answer to a GET, after redirections."""
        own = (self._base.scheme, self._base.netloc)
        for _ in range(REDIRECTIONS + 1):
            parts = urlsplit(url)
            secret = self._secret() if (parts.scheme, parts.netloc) == own else {}
            asked = {"Accept-Encoding": "identity", "User-Agent": f"emocache/{__version__}", **headers, **secret}
            with self._ask(parts, asked) as answer:
                if answer.status not in {301, 302, 303, 307, 308}:
                    yield answer
                    return
                url = urljoin(url, answer.headers.get("Location", ""))
            target = urlsplit(url)
            if target.scheme not in {"http", "https"} or (parts.scheme, target.scheme) == ("https", "http") or not target.hostname:
                raise ShareError(f"{self.shown}: leads to a place that is not followed ({target.scheme}://...)")
        raise ShareError(f"{self.shown}: leads from place to place without an end")

    @contextmanager
    def _ask(self, parts: SplitResult, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """One request, on an idle connection or a new one; it is kept when the answer was read to its end."""
        key = (parts.scheme, parts.netloc)
        connection = next((one for one in self._idle if one[0] == key), None)
        if connection is not None:
            try:
                self._idle.remove(connection)
            except ValueError:  # another thread took it
                connection = None
        line, answer = _answered(connection[1] if connection else None, parts, headers)
        try:
            yield answer
        finally:
            if answer.isclosed() and not answer.will_close:
                self._idle.append((key, line))
            else:
                answer.close()
                line.close()


def _answered(
    idle: http.client.HTTPConnection | None, parts: SplitResult, headers: Mapping[str, str]
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """The answer on an idle connection; where that has ended meanwhile, on a new one."""
    for line in (idle, None) if idle else (None,):
        used = line or _connect(parts)
        try:
            used.request("GET", _target(parts), headers=dict(headers))
            return used, used.getresponse()
        except (http.client.HTTPException, OSError) as error:
            used.close()
            if line is None or not isinstance(error, http.client.HTTPException | ConnectionError):
                raise
    raise AssertionError


def _close(idle: list[tuple[tuple[str, str], http.client.HTTPConnection]]) -> None:
    """Close what is idle."""
    for _, connection in idle:
        connection.close()


def _connect(parts: SplitResult) -> http.client.HTTPConnection:
    """A connection to a host, by way of a proxy where the environment names one."""
    host, port = parts.hostname or "", parts.port
    proxy = urlsplit(getproxies().get(parts.scheme, ""))
    through = (proxy.hostname, proxy.port or 80) if proxy.hostname and not proxy_bypass(parts.netloc) else (host, port)
    if parts.scheme == "https":
        secure = http.client.HTTPSConnection(through[0], through[1], timeout=TIMEOUT_S, context=ssl.create_default_context())
        if through != (host, port):
            secure.set_tunnel(host, port or 443, {f"Proxy-{name}": value for name, value in _basic(proxy).items()})
        return secure
    return http.client.HTTPConnection(through[0], through[1], timeout=TIMEOUT_S)


def _target(parts: SplitResult) -> str:
    """What stands in the request: the path, or for a proxy of HTTP the whole URL."""
    proxied = parts.scheme == "http" and getproxies().get("http") and not proxy_bypass(parts.netloc)
    return urlunsplit(parts if proxied else parts._replace(scheme="", netloc="")) or "/"


def _basic(parts: SplitResult) -> dict[str, str]:
    """The header of a user and password, those of the URL or of ~/.netrc; nothing where neither knows any."""
    user, password = parts.username, parts.password
    if user is None:
        try:
            known = netrc.netrc().authenticators(parts.hostname or "")
        except (OSError, netrc.NetrcParseError):
            known = None
        user, password = (known[0], known[2]) if known else (None, None)
    if not user:
        return {}
    token = base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()
    return {"Authorization": f"Basic {token}"}
