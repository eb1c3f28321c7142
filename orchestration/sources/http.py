"""Files of an HTTP(S) server: asked for day by day, fetched with retries, resumed where the connection broke, checked."""

import base64
import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from orchestration.contracts import Contract
from orchestration.settings import Settings
from orchestration.sources.files import DeliveredFile, DeliveryError, SourceError, dated_path, local_copy

if TYPE_CHECKING:
    from requests import Response, Session

#: Seconds before the first repetition; each further one waits twice as long.
BACKOFF = 0.5
ATTEMPTS = 5
_TIMEOUT = (10, 60)
#: What is read at once is lost when the connection breaks within it.
_PIECE = 1 << 16
_BUSY = (429, 500, 502, 503, 504)
#: A compressed transfer has neither the file's length nor its checksum.
_HEADERS = {"Accept-Encoding": "identity"}


def _session(settings: Settings, contract: Contract) -> "Session":
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import Retry

    session = requests.Session()
    retry = Retry(total=ATTEMPTS - 1, backoff_factor=BACKOFF, status_forcelist=_BUSY, allowed_methods=None)
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    session.headers.update(_HEADERS)
    access = settings.access(contract.server.name, "http")
    if access.user:
        session.auth = (access.user, access.password.get_secret_value())
    return session


def _request(session: "Session", method: str, url: str, headers: Mapping[str, str] | None = None) -> "Response":
    """One answer, after the client's own repetitions. Raises SourceError where there is none or access is refused."""
    import requests

    place = url.split("?")[0]
    try:
        answer = session.request(
            method, url, headers=headers, timeout=_TIMEOUT, stream=method == "GET", allow_redirects=True
        )
    except requests.exceptions.RetryError:
        raise SourceError(f"{place} answers that it is busy or broken, {ATTEMPTS} times in a row") from None
    except requests.exceptions.SSLError:
        raise SourceError(f"{place}: the server's certificate cannot be trusted") from None
    except requests.exceptions.RequestException as error:
        raise SourceError(f"{place} cannot be reached: {type(error).__name__}") from None
    if answer.status_code in (401, 403, 407):
        answer.close()
        raise SourceError(
            f"{place}: access is refused ({answer.status_code}); check FIDELIS_HTTP_USER and FIDELIS_HTTP_PASSWORD"
        )
    return answer


def discover(settings: Settings, contract: Contract, days: Iterable[date]) -> dict[date, tuple[DeliveredFile, ...]]:
    """The files of ``days`` that the server has. A server lists nothing, so it is asked for each."""
    if contract.delivery_date is not None:
        days = [contract.delivery_date] if contract.delivery_date in set(days) else []
    with _session(settings, contract) as session, ThreadPoolExecutor(4) as pool:
        answers = pool.map(lambda day: _look(session, contract, day), days)
        return {file.day: (file,) for file in answers if file is not None}


def _look(session: "Session", contract: Contract, day: date) -> DeliveredFile | None:
    url = dated_path(contract, day)
    answer = _request(session, "HEAD", url)
    if answer.status_code in (405, 501):  # no HEAD here: open the file and leave it
        answer = _request(session, "GET", url)
        answer.close()
    if answer.status_code in (404, 410):
        return None
    if answer.status_code != 200:
        raise SourceError(f"{url.split('?')[0]}: the server answers {answer.status_code} {answer.reason}")
    version = answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""
    return DeliveredFile(
        day, Path(), _name(contract, url, day), int(answer.headers.get("Content-Length", 0)), 0, version
    )


def _name(contract: Contract, url: str, day: date) -> str:
    """The URL without its query, which may hold a token."""
    place, _, query = url.partition("?")
    return f"{place} of {day}" if query and "{date" not in contract.path.split("?")[0] else place


def fetch(
    settings: Settings, contract: Contract, files: Sequence[DeliveredFile], folder: Path
) -> tuple[DeliveredFile, ...]:
    """Fetch files. Raises DeliveryError for one that is cut off or damaged each time."""
    local = []
    with _session(settings, contract) as session:
        for file in files:
            url = dated_path(contract, file.day)
            path = local_copy(folder, url.split("?")[0])
            headers = _download(session, url, file.name, path)
            checksums = _declared(headers)
            if contract.server.has_checksum_file:
                checksums["sha256"] = _checksum_file(session, url, file.name)
            for algorithm, digest in checksums.items():
                _verify(file.name, path, algorithm, digest)
            local.append(replace(file, path=path))
    return tuple(local)


def _download(session: "Session", url: str, name: str, path: Path) -> Mapping[str, str]:
    """Write the whole file, whatever number of connections it takes; returns the headers of its version."""
    import requests

    received, expected, version = 0, None, ""
    headers: Mapping[str, str] = {}
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(BACKOFF * 2 ** (attempt - 1))
        # without a version to compare, a resumed file could be the first half of one and the second of another
        resume = {"Range": f"bytes={received}-", "If-Range": version} if received and version else {}
        with _request(session, "GET", url, resume) as answer:
            if answer.status_code not in (200, 206):
                raise DeliveryError(f"{name}: the server answers {answer.status_code} {answer.reason}")
            is_rest = answer.status_code == 206 and answer.headers.get("Content-Range", "").startswith(
                f"bytes {received}-"
            )
            if answer.status_code == 206 and not is_rest:
                received, version = 0, ""
                continue
            if not is_rest:
                received, headers = 0, answer.headers
                expected = int(headers["Content-Length"]) if "Content-Length" in headers else None
                etag = headers.get("ETag", "")
                version = headers.get("Last-Modified", "") if etag.startswith("W/") or not etag else etag
            try:
                with path.open("ab" if is_rest else "wb") as target:
                    for piece in answer.iter_content(_PIECE):
                        received += target.write(piece)
            except requests.exceptions.RequestException:
                continue
        if expected is None or received == expected:
            return headers
    total = "an unknown number of" if expected is None else f"{expected:,}"
    raise DeliveryError(f"{name} was cut off after {received:,} of {total} bytes, {ATTEMPTS} times in a row")


def _declared(headers: Mapping[str, str]) -> dict[str, str]:
    """Checksums that the server sends along, hexadecimal by algorithm."""
    found = {}
    if "Content-MD5" in headers:
        found["md5"] = _hexadecimal(headers["Content-MD5"])
    for name in ("Digest", "Repr-Digest"):
        for part in headers.get(name, "").split(","):
            algorithm, _, value = part.strip().partition("=")
            if algorithm.lower() in ("sha-256", "md5"):
                found[algorithm.lower().replace("-", "")] = _hexadecimal(value.strip(":"))
    for algorithm in ("sha256", "md5"):
        if f"X-Checksum-{algorithm}" in headers:
            found[algorithm] = headers[f"X-Checksum-{algorithm}"].strip().lower()
    return found


def _hexadecimal(value: str) -> str:
    try:
        return base64.b64decode(value, validate=True).hex()
    except ValueError:
        return value  # no base64: compared as it is, and found different


def _checksum_file(session: "Session", url: str, name: str) -> str:
    place, mark, query = url.partition("?")
    with _request(session, "GET", f"{place}.sha256{mark}{query}") as answer:
        words = answer.text.split() if answer.status_code == 200 else []
    if not words:
        raise DeliveryError(f"{name} has no checksum beside it: {place}.sha256 is missing or empty")
    return words[0].lower()


def _verify(name: str, path: Path, algorithm: str, digest: str) -> None:
    with path.open("rb") as stream:
        actual = hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
    if actual != digest:
        raise DeliveryError(f"{name} arrived damaged: its {algorithm} is {actual}, the server says {digest}")
