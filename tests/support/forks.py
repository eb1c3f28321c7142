"""Runs of the command line, forked off a process that has done the imports: a run then costs its work alone.

``python -m tests.support.forks`` reads lines of JSON (the arguments of ``fidelis``, and the file for what it prints), forks
for each, and answers with the child's process id and, when it has ended, with its exit code. A child leads a process
group of its own, as a job of a shell does. One FIDELIS_HOME per process: it is read where modules are imported.
"""

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

#: What a run imports when it comes to need it.
_IMPORTED = (
    *("dbt.adapters.duckdb.impl", "dbt.cli.main", "great_expectations.expectations", "pandas", "scipy.optimize"),
    *("sqlglot.lineage", "orchestration.cli.app", "orchestration.cli.night", "orchestration.definitions"),
    *("orchestration.defs.dbt", "orchestration.defs.extract", "orchestration.defs.releases"),
)


class Run:
    """A run that was started; its standard output and error are in ``output``."""

    def __init__(self, server: "subprocess.Popen[bytes]", pid: int, output: Path):
        self._server, self.pid, self._output = server, pid, output
        self._code: int | None = None

    @property
    def said(self) -> str:
        return self._output.read_text()

    def ended(self, seconds: float = 0.0) -> bool:
        """Whether it has ended, after so many seconds at the most."""
        if self._code is None and select.select([self._server.stdout], [], [], seconds)[0]:
            self._code = int(_line(self._server))
        return self._code is not None

    def wait(self) -> int:
        """The exit code."""
        while not self.ended(60.0):
            pass
        assert self._code is not None
        return self._code

    def kill(self) -> bool:
        """Kill -9 of the whole process group; False where the run had ended by itself."""
        if self.ended():
            return False
        os.killpg(self.pid, signal.SIGKILL)
        return self.wait() == -signal.SIGKILL


class Forks:
    """The process that has done the imports."""

    def __init__(self, server: "subprocess.Popen[bytes]", folder: Path):
        self._server, self._folder, self._count = server, folder, 0

    def start(self, *arguments: str) -> Run:
        """Start ``fidelis`` with these arguments; one run at a time."""
        self._count += 1
        output = self._folder / f"run-{self._count}.txt"
        request = json.dumps({"arguments": arguments, "output": str(output)}) + "\n"
        assert self._server.stdin is not None
        self._server.stdin.write(request.encode())
        self._server.stdin.flush()
        return Run(self._server, int(_line(self._server)), output)


@contextmanager
def forks(environment: Mapping[str, str], project: Path, folder: Path) -> Iterator[Forks]:
    """The process for one FIDELIS_HOME, in which something was run before (dbt has parsed)."""
    program = [sys.executable, "-m", "tests.support.forks"]
    with open(folder / "forks.txt", "wb") as errors:
        server = subprocess.Popen(
            program,
            env={**environment, "OPENBLAS_NUM_THREADS": "1"},
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            bufsize=0,
        )
        try:
            assert _line(server) == b"ready", (folder / "forks.txt").read_text()
            yield Forks(server, folder)
        finally:
            assert server.stdin is not None
            assert server.stdout is not None
            server.stdin.close()
            server.wait(60)
            server.stdout.close()


def _line(server: "subprocess.Popen[bytes]") -> bytes:
    assert server.stdout is not None
    return server.stdout.readline().strip()


def preload() -> None:
    """Import what a run imports. Nothing is opened: no thread may be alive when a process forks."""
    for name in _IMPORTED:
        importlib.import_module(name)
    assert threading.active_count() == 1, threading.enumerate()


def serve() -> None:
    """Fork a child per line, one at a time, until standard input ends."""
    preload()
    _answer("ready")
    for line in sys.stdin:
        request = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(request["arguments"], request["output"], writing)
        os.close(writing)
        os.read(reading, 1)
        os.close(reading)
        _answer(pid)
        _, status = os.waitpid(pid, 0)
        _answer(os.waitstatus_to_exitcode(status))


def _answer(word: object) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def _become(arguments: list[str], output: str, leads_group: int) -> None:
    """Be the command line, as started by a shell with its output in a file."""
    code = 1
    try:
        os.setsid()
        sink = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(sink, stream)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.close(leads_group)
        from orchestration.cli.app import app

        try:
            app(arguments)
        except SystemExit as end:
            code = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
