"""`fidelis dev`: Dagster's UI and daemon on a retailer's home, asked by GraphQL as the UI does."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.e2e.conftest import PROJECT, Retailer


class Service:
    """A running service, by its port."""

    def __init__(self, port: int):
        self.url = f"http://127.0.0.1:{port}"

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)["data"]

    def wait_for(self, question: str, read: Any, seconds: int = 420) -> Any:
        """Ask until ``read`` finds something in the answer."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                found = read(self.ask(question))
            except OSError:
                found = None
            if found:
                return found
            time.sleep(2)
        raise AssertionError(f"no answer to {question} within {seconds} s")


@contextmanager
def serving(retailer: Retailer) -> Iterator[Service]:
    """The service of a retailer, until the end of the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = [str(Path(sys.executable).with_name("fidelis")), "dev", "--port", str(port)]
    retailer.home.mkdir(parents=True, exist_ok=True)
    with open(retailer.home / "dev.log", "w") as log:
        process = subprocess.Popen(
            program, env=retailer.environment, cwd=PROJECT, stdout=log, stderr=log, start_new_session=True
        )
        made = Service(port)
        try:
            made.wait_for("{ version }", lambda data: data["version"], 180)
            yield made
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
