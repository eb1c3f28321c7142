"""A real SFTP server (asyncssh, which is not the client's code) over a folder."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass
class SftpSite:
    """Where the server listens and the key it has; user ``fidelis``, password ``geheim`` or the key in ``client_key``."""

    port: int
    host_key: str
    client_key: Path


@contextmanager
def sftp_site(folder: Path) -> Iterator[SftpSite]:
    """Serve ``folder/files`` until left."""
    import asyncssh

    files = folder / "files"
    files.mkdir(parents=True)
    host, client = asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ssh-ed25519")
    client_key = folder / "client_key"
    client.write_private_key(client_key)
    client_key.chmod(0o600)

    connections: list[Any] = []

    class Users(asyncssh.SSHServer):
        def connection_made(self, conn: Any) -> None:
            connections.append(conn)

        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("fidelis", "geheim")

        def public_key_auth_supported(self) -> bool:
            return True

        def validate_public_key(self, username: str, key: Any) -> bool:
            return username == "fidelis" and key.export_public_key() == client.export_public_key()

    loop = asyncio.new_event_loop()
    started: list[int] = []
    ready = threading.Event()

    async def serve() -> Any:
        server = await asyncssh.create_server(
            Users, "127.0.0.1", 0, server_host_keys=[host],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(files)),
        )  # fmt: skip
        started.append(server.sockets[0].getsockname()[1])
        ready.set()
        return server

    async def close(server: Any) -> None:
        server.close()
        for connection in connections:
            connection.abort()
            await connection.wait_closed()
        await server.wait_closed()
        await asyncio.sleep(0.05)  # sockets are closed a turn later

    def run() -> None:
        server = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(close(server))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        host_key = " ".join(host.export_public_key().decode().split()[:2])
        yield SftpSite(started[0], host_key, client_key)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
