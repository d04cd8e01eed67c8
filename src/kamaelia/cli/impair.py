"""``kamaelia impair``: run any program on a host of an emulated network, behind the links of a scenario."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import FAILED, USAGE
from .output import complain
from .parser import Parser

if TYPE_CHECKING:
    from kamaelia.testbed import Network, Trace
    from kamaelia.testbed.emulation import Door, Emulation, Exit, Finished, Program, Relay

EPILOG = """
a SCENARIO is what `kamaelia simulate` takes: a function of a file, or of a module, that returns a Network,
such as lossy.py:scenario. What its hosts run begins, each in a network namespace of its own; then COMMAND
runs on a host, with this terminal, and finds the others by name. It ends with COMMAND; nothing is left.

Ctrl-C is for COMMAND; the second ends everything.

With a --door there are no namespaces, and no rights are needed: the network is simulated in real time,
COMMAND runs right here, and reaches it by a port of 127.0.0.1. TCP in the network is the testbed's, then.

examples
  kamaelia impair lossy.py:scenario -- curl http://server:8000/
  kamaelia impair lossy.py --seed=7 --host=phone --start='server=iperf3 -s' -- iperf3 -c server
  kamaelia impair lossy.py --capture=packets -- ping -c 5 server
  kamaelia impair lossy.py --door=8080=server:80 --exit=server:80=127.0.0.1:8000 -- curl http://127.0.0.1:8080/

exit codes
  0    all went well
  1    COMMAND has returned 0, but a component failed
  2    nothing ran: the command line is wrong, or this machine does not let us emulate networks
  124  COMMAND was ended, as its time was over
  130  ended by a second Ctrl-C
  else that of COMMAND; 128 and its number where a signal has ended it
"""

TIMED_OUT = 124
BY_SIGNAL = 128
PATIENCE = 5.0  # seconds that a command has after Ctrl-C


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia impair",
        description="Run a program on a host of an emulated network, behind its links.",
        epilog=EPILOG,
        usage="kamaelia impair [options] SCENARIO -- COMMAND [ARGUMENT ...]",
    )
    made.add_argument("scenario", metavar="SCENARIO", help="where the network is described")
    what = made.add_argument_group("what is run")
    what.add_argument(
        "--host", metavar="NAME", help="where COMMAND runs (the only host that runs no components)"
    )
    what.add_argument(
        "--start",
        action="append",
        default=[],
        metavar="HOST=LINE",
        help="a line for the shell that runs on another host meanwhile; may be given several times",
    )
    what.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument for the function, as Python or as text; may be given several times",
    )
    what.add_argument("--seed", default="0", help="of every random stream (0)")
    what.add_argument(
        "--timeout", default="10 min", metavar="TIME", help="after which COMMAND is ended (10 min)"
    )
    relay = made.add_argument_group("without rights")
    relay.add_argument(
        "--door",
        action="append",
        default=[],
        metavar="PORT=HOST:PORT",
        help="a port of 127.0.0.1, and what it leads to in the network; udp:PORT=... for datagrams",
    )
    relay.add_argument(
        "--exit",
        action="append",
        default=[],
        metavar="HOST:PORT=ADDRESS:PORT",
        help="a port of a host in the network, and the real server that it leads to; likewise",
    )
    shown = made.add_argument_group("what is shown and written")
    shown.add_argument(
        "--quiet", action="store_true", help="do not show, on standard error, what the links have done"
    )
    shown.add_argument(
        "--capture", metavar="DIR", help="write the packets of each host (pcapng, for Wireshark and others)"
    )
    return made


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    before, command = _divided(words)
    options = parser().parse_args(before)
    from kamaelia.axon import UsageError, units

    from .scenarios import Scenario, parameters, seed_of
    from .show import show
    from .systems import NotASystem

    try:
        if not command:
            raise UsageError("say which program, after --: kamaelia impair lossy.py -- ping server")
        network = Scenario(options.scenario, parameters(options.param))()
        timeout = units.seconds(_number(options.timeout), "--timeout")
        host = _host(network, options.host)
        starts = [_start(network, text) for text in options.start]
        captures = _captures(network, options.capture)
        doors, exits = doors_and_exits(host, options.door, options.exit)
        if doors and starts:
            raise UsageError("--start is for hosts in namespaces, and --door is for doing without these")
    except (NotASystem, UsageError) as error:
        complain(f"kamaelia impair: {error}")
        return USAGE
    except OSError as error:
        complain(f"kamaelia impair: cannot write packets: {error}")
        return USAGE
    except Exception as error:  # the user's file may raise anything
        show(error)
        return USAGE
    seed = seed_of(options.seed)
    if doors:
        relay = network.relay(doors, exits, seed=seed, errors="collect", capture=captures)
        return run_here(relay, command, timeout, quiet=options.quiet)
    running = network.emulation(seed=seed, keep=None, errors="collect", capture=captures)
    return run(running, host, command, timeout, starts, quiet=options.quiet)


class Interrupts:
    """Ctrl-C, from when a command is about to begin: the first waits until it can be told of it."""

    def __init__(self) -> None:
        self._count = 0
        self._are_let_through = False

    def let_through(self) -> None:
        """The command can be told: raise `KeyboardInterrupt` for the first, also if it has come already."""
        self._are_let_through = True
        if self._count:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: Any) -> None:
        self._count += 1
        if self._are_let_through or self._count > 1:
            raise KeyboardInterrupt

    def __enter__(self) -> Interrupts:
        self._before = signal.signal(signal.SIGINT, self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def run(
    running: Emulation,
    host: str,
    command: Sequence[str],
    timeout: float,
    starts: Sequence[tuple[str, str]],
    *,
    quiet: bool,
) -> int:
    """Run a command on a host; return the exit code."""
    from kamaelia.testbed.emulation import EmulationError

    try:
        with running, Interrupts() as interrupts:
            try:
                for other, line in starts:
                    running.start(other, ["sh", "-c", line], timeout=timeout, capture=False)
                program = running.start(host, command, timeout=timeout, capture=False)
            except OSError as error:
                complain(f"kamaelia impair: {error}")
                return USAGE
            finished = _await(program, interrupts)
    except EmulationError as error:
        complain(f"kamaelia impair: {error}")
        return USAGE
    assert running.trace is not None
    code = TIMED_OUT if finished.timed_out else _code(finished.returncode)
    return _outcome(running.trace, command, timeout, code, quiet=quiet)


def run_here(relay: Relay, command: Sequence[str], timeout: float, *, quiet: bool) -> int:
    """Run a command on this machine, while doors lead into a simulated network; return the exit code."""
    from kamaelia.testbed.emulation import EmulationError

    try:
        with relay, Interrupts() as interrupts:
            try:
                started = subprocess.Popen(command, start_new_session=True)
            except OSError as error:
                complain(f"kamaelia impair: {error}")
                return USAGE
            code = _await_here(started, timeout, interrupts)
    except EmulationError as error:
        complain(f"kamaelia impair: {error}")
        return USAGE
    assert relay.trace is not None
    return _outcome(relay.trace, command, timeout, code, quiet=quiet)


def _await_here(started: subprocess.Popen[bytes], timeout: float, interrupts: Interrupts) -> int:
    """Wait for the end of the command, and end what is left of its group; Ctrl-C is for it."""
    try:
        try:
            interrupts.let_through()
            return _code(started.wait(timeout))
        except KeyboardInterrupt:
            os.killpg(started.pid, signal.SIGINT)
            return _code(started.wait(PATIENCE))
    except subprocess.TimeoutExpired:
        os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass  # it is killed below
        return TIMED_OUT
    finally:
        try:
            os.killpg(started.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # there is nobody left
        started.wait()


def _outcome(trace: Trace, command: Sequence[str], timeout: float, code: int, *, quiet: bool) -> int:
    if code == TIMED_OUT:
        complain(f"kamaelia impair: {command[0]} was ended, as its time of {timeout:g} s was over")
    if not quiet:
        _show(trace)
    if trace.errors:
        from .simulate import show_failures

        show_failures(trace, all=False)
        return code or FAILED
    return code


def _await(program: Program, interrupts: Interrupts) -> Finished:
    """Wait for the end of the command; Ctrl-C is for it."""
    try:
        interrupts.let_through()
        return program.wait()
    except KeyboardInterrupt:
        program.signal(signal.SIGINT)
    try:
        return program.wait(PATIENCE)
    except TimeoutError:
        return program.stop()


def _code(code: int) -> int:
    return BY_SIGNAL - code if code < 0 else code


def _show(trace: Trace) -> None:
    from kamaelia.testbed import Metrics

    metrics = trace.metrics
    links = Metrics(metrics.seconds, metrics.links, {}).table()
    complain(links.partition("\nhost")[0].rstrip("\n"))
    late = "" if trace.emulation is None else f"; {trace.emulation}"
    complain(f"seed {trace.seed}, {metrics.seconds:.2f} s{late}")


def _divided(words: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return what is before the first ``--``, and what is after it."""
    if "--" not in words:
        return words, []
    at = list(words).index("--")
    return words[:at], words[at + 1 :]


def _number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text


def _host(network: Network, name: str | None) -> str:
    """Return the host on which the command is to run. Raises `UsageError`."""
    from kamaelia.axon import UsageError

    if name is not None:
        return network.find(name).name
    idle = [host.name for host in network.hosts.values() if host.kind == "host" and not host.patterns]
    if len(idle) != 1:
        known = ", ".join(idle[:10]) or "none"
        raise UsageError(f"--host: say where the program is to run; hosts that run no components: {known}")
    return idle[0]


def _start(network: Network, text: str) -> tuple[str, str]:
    from kamaelia.axon import UsageError

    name, equals, line = text.partition("=")
    if not equals or not line.strip():
        raise UsageError(
            f"--start={text!r}: write the host and a line for the shell, as in server='iperf3 -s'"
        )
    return network.find(name).name, line


def doors_and_exits(host: str, doors: Sequence[str], exits: Sequence[str]) -> tuple[list[Door], list[Exit]]:
    """Return what is meant by ``8080=server:80`` and ``udp:server:53=127.0.0.1:5353``.

    >>> doors, exits = doors_and_exits("phone", ["8080=server:80"], ["udp:server:53=127.0.0.1:5353"])
    >>> doors, exits[0].protocol
    ([Door(host='phone', to='server:80', port=8080, protocol='tcp')], 'udp')
    """
    from kamaelia.axon import UsageError
    from kamaelia.testbed.emulation import Door, Exit

    made: list[Door] = []
    for text in doors:
        rest = text.removeprefix("udp:")
        port, _, to = rest.partition("=")
        if not port.isdigit() or not to:
            raise UsageError(f"--door={text!r}: write a port and what it leads to, as in 8080=server:80")
        made.append(Door(host, to, int(port), "tcp" if rest == text else "udp"))
    outside: list[Exit] = []
    for text in exits:
        rest = text.removeprefix("udp:")
        at, _, to = rest.partition("=")
        outside.append(Exit(at, to, "tcp" if rest == text else "udp"))
    return made, outside


def _captures(network: Network, folder: str | None) -> dict[Any, str | os.PathLike[str]]:
    if not folder:
        return {}
    Path(folder).mkdir(parents=True, exist_ok=True)
    return {host.name: Path(folder) / f"{host.name}.pcapng" for host in network.hosts.values()}
