"""Where one case is tried.

A `Workshop` has a folder, starts programs and servers of ours on free ports of the loopback, and takes care
that all of them are gone at the end, whatever happened. Everything has a time limit.
"""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme

from kamaelia import background
from kamaelia.net import ClientTLS, ServerTLS
from kamaelia.protocol.http import HTTPServer

from .site import make_site

ROOT = Path(__file__).resolve().parent.parent.parent
HOST = "127.0.0.1"
WAIT = 20.0  # seconds for anything that should take one
LEAVE = 3.0  # seconds that a program has to end after it was asked to


class Wrong(Exception):
    """What was seen is not what must be seen."""


def equal(got: Any, wanted: Any, what: str = "") -> None:
    """Raise `Wrong` unless both are equal."""
    if got != wanted:
        raise Wrong(f"{what or 'it'} is {_short(got)}, not {_short(wanted)}")


def contains(text: str, *parts: str) -> None:
    """Raise `Wrong` unless a text has all these parts."""
    for part in parts:
        if part not in text:
            raise Wrong(f"no {part!r} in {_short(text)}")


def true(condition: Any, what: str) -> None:
    """Raise `Wrong` unless something is so."""
    if not condition:
        raise Wrong(what)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 300 else f"{text[:140]} ... {text[-140:]} ({len(text)} characters)"


@dataclass(frozen=True)
class Done:
    """What a program has left."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace")


class Certificates:
    """An authority that nobody believes but who is told to, and what it has vouched for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._authority = trustme.CA()
        self.authorities = str(folder / "authorities.pem")
        self._authority.cert_pem.write_to_path(self.authorities)
        self.server, self.server_key = self._issue("server", HOST, "localhost", "tea.example")
        self.client, self.client_key = self._issue("client", "ada@tea.example")

    def _issue(self, file: str, *names: str) -> tuple[str, str]:
        issued = self._authority.issue_cert(*names)
        certificate, key = self._folder / f"{file}.pem", self._folder / f"{file}.key"
        certificate.write_bytes(b"".join(one.bytes() for one in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
        return str(certificate), str(key)


@functools.cache
def certificates() -> Certificates:
    """Return what all cases share: it takes a while to make."""
    folder = tempfile.TemporaryDirectory(prefix="interop-certificates-")
    made = Certificates(Path(folder.name))
    made.folder = folder  # type: ignore[attr-defined]  # it goes when the process ends
    return made


class Workshop:
    """Where one case is tried; see above."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Workshop:
        return self

    def __exit__(self, *failure: Any) -> None:
        self._open.__exit__(*failure)

    # -- strangers --------------------------------------------------------------------------------------

    def run(
        self, *command: Any, given: bytes = b"", code: int | None = 0, timeout: float = WAIT, **options: Any
    ) -> Done:
        """Run a program to its end, and return what it has left. `Wrong` for another exit code than
        ``code`` (None for any), and for one that does not end."""
        words = [str(word) for word in command]
        process = self._process(words, stdin=subprocess.PIPE, **options)
        try:
            out, err = process.communicate(given, timeout=timeout)
        except subprocess.TimeoutExpired:
            _end(process)
            raise Wrong(f"{words[0]} has not ended within {timeout:g} s") from None
        done = Done(process.returncode, out, err.decode(errors="replace"))
        if code is not None and done.code != code:
            raise Wrong(f"{words[0]} has ended with {done.code}, not {code}: {done.err.strip()[-300:]}")
        return done

    def start(self, *command: Any, port: int | None = None, **options: Any) -> subprocess.Popen[bytes]:
        """Start a program that is stopped at the end; wait until it listens on a port."""
        words = [str(word) for word in command]
        if "stderr" not in options:
            options["stderr"] = self._open.enter_context((self.folder / "started.log").open("ab"))
        process = self._process(words, **{"stdin": subprocess.DEVNULL, **options})
        if port is not None:

            def listens() -> bool:
                if process.poll() is not None:
                    said = (self.folder / "started.log").read_text(errors="replace")
                    raise Wrong(f"{words[0]} has ended before it listened: {said.strip()[-300:]}")
                with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
                    return True
                return False

            self.until(listens, f"{words[0]} listens on {port}")
        return process

    def python(self, module: str, *words: Any, port: int | None = None) -> subprocess.Popen[bytes]:
        """Start a module of Python, as a process of its own."""
        return self.start(sys.executable, "-m", module, *words, port=port)

    def _process(self, words: list[str], **options: Any) -> subprocess.Popen[bytes]:
        ours = {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "LC_ALL": "C.UTF-8", **options.pop("environ", {})}
        process = subprocess.Popen(
            words,
            cwd=self.folder,
            env=os.environ | ours,
            start_new_session=True,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )
        self._open.callback(_end, process)
        return process

    # -- ours -------------------------------------------------------------------------------------------

    def serve(self, server: Any) -> Any:
        """Run a server of ours in the background; return its address."""
        return self.begin(server).receive("listening", timeout=WAIT)

    def begin(self, system: Any) -> Any:
        """Run a system of ours in the background; return its handle."""
        return self._open.enter_context(background(system))

    def site(self, **options: Any) -> str:
        """Run an `HTTPServer` with our site in the background, and return its address."""
        server = HTTPServer(make_site(self.files), port=0, quiet=True, **options)
        host, port = self.serve(server)
        self.server = server
        return f"{'http' if options.get('tls') is None else 'https'}://{host}:{port}"

    @functools.cached_property
    def files(self) -> Path:
        """A folder with files, for whoever serves some."""
        folder = self.folder / "files"
        (folder / "cups").mkdir(parents=True)
        (folder / "index.html").write_text("<h1>Files</h1>\n")
        (folder / "tea.txt").write_text("Tea, please. " * 1000)
        (folder / "cups" / "index.html").write_text("<h1>Cups</h1>\n")
        (folder / "film.bin").write_bytes(film())
        (self.folder / "secret.txt").write_text("secret")
        return folder

    @functools.cached_property
    def certificates(self) -> Certificates:
        return certificates()

    def server_tls(self, **options: Any) -> ServerTLS:
        made = self.certificates
        return ServerTLS(made.server, made.server_key, **options)

    def client_tls(self, **options: Any) -> ClientTLS:
        return ClientTLS(authorities=self.certificates.authorities, **options)

    # -- waiting ----------------------------------------------------------------------------------------

    def until(self, condition: Callable[[], Any], what: str, timeout: float = WAIT) -> Any:
        """Wait until something is so, and return what was found; `Wrong` when it is not in time."""
        late = time.monotonic() + timeout
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > late:
                raise Wrong(f"after {timeout:g} s it is not so that {what}")
            time.sleep(0.02)

    @contextlib.contextmanager
    def connection(self, address: Any) -> Iterator[socket.socket]:
        """A plain connection to somebody, for what no program of the judge's says."""
        with socket.create_connection(address, timeout=WAIT) as one:
            yield one


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a process and those that it has started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVE)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # whoever it has left behind
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


@functools.cache
def film(size: int = 1_000_000) -> bytes:
    """Return bytes that are not alike anywhere."""
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4))
