"""``kamaelia simulate``: run the network that a function describes, and show what was measured."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import FAILED, USAGE
from .output import complain, say
from .parser import Parser

if TYPE_CHECKING:
    from kamaelia.testbed import Network, Trace
    from kamaelia.testbed.simulated import Simulated

    from .scenarios import Scenario

EPILOG = """
a SCENARIO is one of
  star.py:stream   the function called stream of a file, which returns a Network; or a Network itself
  package.star:stream
                   the same of a module that can be imported from here
  star.py          the function called scenario of that file, or the Network called network
  test_star.py:test_stream
                   a test that runs over seeds (@simulated): what it raises is shown

While a run is under way, a terminal shows how far it has come. Ctrl-C ends it, and what was measured so far
is shown; the second cancels. The first cancels a test and a check.

examples
  kamaelia simulate star.py:stream --seconds=60 --seed=7 --param viewers=100
  kamaelia simulate star.py:stream --seeds=1000
  kamaelia simulate star.py:stream --seed=412 --trace=out.txt --capture=packets
  kamaelia simulate star.py:stream --check
  kamaelia simulate test_star.py:test_stream --shrink
  kamaelia simulate star.py:stream --studio --speed=1

exit codes
  0    all went well, also after a first Ctrl-C
  1    a component failed, or with --check two runs have not done the same
  2    nothing ran: the command line is wrong, or it names no network
  130  cancelled by a second Ctrl-C
"""

HEADINGS = ("seed", "seconds", "sent", "delivered", "lost", "dropped")  # of what is shown of several runs
SHOWN = 5  # hosts on which something has failed
DIGITS = 16  # of a fingerprint that are shown


def parser() -> argparse.ArgumentParser:
    """Make the parser of this verb's command line."""
    made = Parser(
        prog="kamaelia simulate",
        description="Run a simulated network, and show what was measured.",
        epilog=EPILOG,
    )
    made.add_argument("scenario", metavar="SCENARIO", help="where the network is described, see below")
    what = made.add_argument_group("what is run")
    what.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument for the function, as Python or as text; may be given several times",
    )
    what.add_argument(
        "--seconds", default=None, metavar="TIME", help="of virtual time, or such as '1 min' (60)"
    )
    which = what.add_mutually_exclusive_group()
    which.add_argument("--seed", help="of every random stream (0)")
    which.add_argument("--seeds", help="run with several until one fails: 1000, or 1000:2000")
    what.add_argument(
        "--check",
        action="store_true",
        help="run it twice, in two processes, and say where the runs part, and by whom",
    )
    what.add_argument(
        "--no-payloads", action="store_true", help="with --check: pass over what is in the packets (TLS)"
    )
    what.add_argument(
        "--shrink",
        action="store_true",
        help="when it fails, look for the smallest run that fails in the same way, and leave that as a file",
    )
    looks = made.add_argument_group("looking at it")
    looks.add_argument(
        "--inspect",
        action="store_true",
        help="open a socket through which it can be looked at and controlled",
    )
    looks.add_argument(
        "--studio",
        action="store_true",
        help="show it in the browser while it runs; without --speed it begins paused",
    )
    looks.add_argument(
        "--speed",
        type=float,
        metavar="NUMBER",
        help="virtual seconds that pass in a real one, at most (as many as possible)",
    )
    shown = made.add_argument_group("what is shown and written")
    shown.add_argument("--json", action="store_true", help="print what was measured as JSON")
    shown.add_argument(
        "--all", action="store_true", help="show every link, host and failure, however many there are"
    )
    shown.add_argument("--trace", metavar="FILE", help="write what happened, one line an event")
    shown.add_argument(
        "--capture", metavar="DIR", help="write the packets of each host (pcapng, for Wireshark and others)"
    )
    return made


def main(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code."""
    options = parser().parse_args(words)
    from kamaelia.axon import UsageError
    from kamaelia.testbed.simulated import Simulated

    from .scenarios import Scenario, parameters
    from .show import show
    from .systems import NotASystem

    try:
        scenario = Scenario(options.scenario, parameters(options.param))
        found = scenario.find()
        seeds = _seeds(options)
        if isinstance(found, Simulated):
            _check_test_options(options, found)
        else:
            _check_options(options)
            network = scenario()
            if options.shrink and found is network:
                raise UsageError("--shrink makes many runs, each of a new network: name a function")
    except (NotASystem, UsageError) as error:
        complain(f"kamaelia simulate: {error}")
        return USAGE
    except Exception as error:  # the user's file may raise anything
        show(error)
        return USAGE
    if isinstance(found, Simulated):
        if options.shrink:
            found.shrink, found.tell = True, complain_of
        return run_test(found, scenario.arguments, seeds if options.seed or options.seeds else None)
    if options.check:
        return check(scenario, options, seeds[0])
    if options.seeds is not None:
        code, seed = run_several(scenario, network, options, seeds)
    else:
        code, seed = run_one(scenario, network, options, seeds[0]), seeds[0]
    if code == FAILED and options.shrink:
        shrink(scenario, options, seed)
    return code


def _seeds(options: argparse.Namespace) -> Sequence[int | str]:
    from kamaelia.testbed.simulated import which_seeds

    from .scenarios import seed_of

    if options.seeds is not None:
        return which_seeds(options.seeds, f"--seeds={options.seeds}")
    return [seed_of(options.seed or "0")]


def _check_options(options: argparse.Namespace) -> None:
    """Read the time, and see whether what was asked for can be done together."""
    from kamaelia.axon import UsageError, units
    from kamaelia.testbed.remote import checked_speed

    text = options.seconds or "60"
    options.seconds = units.seconds(float(text) if _is_number(text) else text, "--seconds")
    if options.seeds is not None and (options.trace or options.capture or options.check):
        raise UsageError(
            "--seeds is for many runs, and --trace, --capture and --check are for one: give --seed"
        )
    looks = options.inspect or options.studio or options.speed is not None
    if looks and (options.seeds is not None or options.check):
        raise UsageError("--inspect, --studio and --speed are for one run: leave --seeds and --check out")
    if options.speed is not None:
        checked_speed(options.speed)
    if options.check and options.shrink:
        raise UsageError("--check looks at runs that part, and --shrink at those that fail: give one of them")
    if options.check and (options.trace or options.capture):
        raise UsageError("--check writes neither a trace nor packets: leave --trace and --capture out")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _check_test_options(options: argparse.Namespace, test: Simulated) -> None:
    from kamaelia.axon import UsageError

    for name in ("seconds", "json", "trace", "capture", "check", "inspect", "studio", "speed"):
        if getattr(options, name) not in (None, False):
            raise UsageError(f"--{name}: {test.name} is a test, which says by itself what is done")


# -- running it -------------------------------------------------------------------------------------------


def run_test(test: Simulated, arguments: dict[str, Any], seeds: Sequence[int | str] | None) -> int:
    """Run a test that goes over seeds, and show what it raises."""
    from .progress import Cancelling, Progress
    from .show import show

    try:
        with Cancelling() as cancelling, Progress(1.0) as progress:

            def begin(number: int, count: int) -> None:
                cancelling.check()
                progress.begin_run(number, count)

            test.run((), arguments, seeds, begin=begin)
    except KeyboardInterrupt:
        complain(f"kamaelia simulate: {test.name} was ended by Ctrl-C, {progress}")
        raise
    except Exception as error:
        show(error)
        return FAILED
    say(f"{test.name} has passed")
    return 0


def run_one(scenario: Scenario, network: Network, options: argparse.Namespace, seed: int | str) -> int:
    """Make one run, and show what was measured."""
    from kamaelia.axon.clock import monotonic
    from kamaelia.testbed import Remote
    from kamaelia.testbed.simulated import captures_in

    from .progress import Interrupt, Progress
    from .show import show

    capture: dict[str, str] = {}
    if options.capture:
        try:
            Path(options.capture).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            complain(f"kamaelia simulate: cannot write packets: {error}")
            return USAGE
        capture = captures_in(Path(options.capture), network, len(network.hosts))
    began = monotonic()
    try:
        with (
            Interrupt(is_last=True) as interrupt,
            Progress(options.seconds) as progress,
            progress.run(network),
        ):
            interrupt.network = network
            trace = network.simulate(
                options.seconds,
                seed=seed,
                errors="collect",
                capture=capture,
                remote=None if options.speed is None else Remote(speed=options.speed),
                inspect=options.inspect or None,
                studio=options.studio,
            )
    except Exception as error:  # of a script, or of what cannot be simulated
        show(error)
        return FAILED
    took = monotonic() - began
    code = FAILED if trace.errors else 0
    if options.trace:
        try:
            write_trace(trace, options.trace)
        except OSError as error:
            complain(f"kamaelia simulate: cannot write the trace: {error}")
            code = FAILED
    if options.json:
        print_json({"scenario": scenario.text, "arguments": scenario.arguments, **as_json(trace, took)})
    else:
        say(trace.metrics.table(all=options.all).rstrip("\n"))
        say(f"seed {seed}, {took:.2f} s of real time, fingerprint {trace.fingerprint[:DIGITS]}")
    if interrupt.happened:
        complain(f"kamaelia simulate: ended by Ctrl-C at {interrupt.at / 1e9:g} s")
    show_failures(trace, all=options.all)
    return code


def run_several(
    scenario: Scenario, network: Network, options: argparse.Namespace, seeds: Sequence[int | str]
) -> tuple[int, int | str]:
    """Make a run with each seed until one fails, and show a line of each; return the last one, too."""
    from kamaelia.axon.clock import monotonic
    from kamaelia.testbed.simulated import Sweep

    from .progress import Interrupt, Progress
    from .show import show

    sweep = Sweep()
    rows: list[dict[str, Any]] = []
    code = 0
    if not options.json:
        say(_columns(HEADINGS, "fingerprint"))
    with Interrupt(is_last=False) as interrupt, Progress(options.seconds, len(seeds)) as progress:
        for seed in seeds:
            if rows:  # each run has a network of its own
                network = scenario()
            began = monotonic()
            try:
                with progress.run(network):
                    interrupt.network = network
                    trace = network.simulate(options.seconds, seed=seed, errors="collect")
            except Exception as error:
                show(error)
                code = FAILED
            else:
                rows.append(as_json(trace, monotonic() - began))
                if not options.json:
                    say(_row(rows[-1]))
                show_failures(trace, all=options.all)
                code = FAILED if trace.errors else 0
                sweep()
            if code:
                complain(f"to run it again: {_again(scenario, options, seed)}")
                break
            if interrupt.happened:
                complain(f"kamaelia simulate: ended by Ctrl-C, {progress}")
                break
    if options.json:
        print_json({"scenario": scenario.text, "arguments": scenario.arguments, "runs": rows})
    return code, seed


def shrink(scenario: Scenario, options: argparse.Namespace, seed: int | str) -> None:
    """Look for the smallest run that fails like one that has, and leave it."""
    from kamaelia.testbed.shrinking.leaving import shrink_and_leave
    from kamaelia.testbed.simulated import python

    found = scenario.find()
    name = f"{found.__module__}.{found.__qualname__}"
    said = shrink_and_leave(
        found, scenario.arguments, seed, Path(), name, python(), complain_of, seconds=options.seconds
    )
    for line in said:
        complain(line)


def complain_of(stage: object) -> None:
    """Show how far the search for the smallest run has come."""
    complain(f"smaller: {stage}")


def check(scenario: Scenario, options: argparse.Namespace, seed: int | str) -> int:
    """Make two runs in two processes, and say where they part."""
    from kamaelia.testbed.check import RunsDiffer
    from kamaelia.testbed.check import check as check_runs

    from .progress import Progress
    from .show import show

    report: dict[str, Any] = {"scenario": scenario.text, "arguments": scenario.arguments, "seed": seed}
    payloads = not options.no_payloads
    code = 0
    try:
        with Progress(options.seconds) as progress:
            scenario.on_made = progress.look_at
            trace = check_runs(
                scenario, options.seconds, seed=seed, processes=True, payloads=payloads, errors="collect"
            )
    except RunsDiffer as error:
        report |= {"same": False, "line": error.number, "path": error.path}
        report |= {"first": error.first, "second": error.second, "places": list(error.places)}
        said, code = str(error), FAILED
    except Exception as error:
        show(error)
        return FAILED
    else:
        report |= {"same": True, "fingerprint": trace.fingerprint}
        said = f"two runs with seed {seed!r} have done the same: fingerprint {trace.fingerprint[:DIGITS]}"
    if options.json:
        print_json(report)
    else:
        say(said)
    return code


def _again(scenario: Scenario, options: argparse.Namespace, seed: int | str) -> str:
    """Return the command that runs one seed."""
    words = ["kamaelia", "simulate", scenario.text, f"--seed={seed}", f"--seconds={options.seconds:g}"]
    return shlex.join([*words, *(f"--param={text}" for text in options.param)])


# -- what is shown ----------------------------------------------------------------------------------------


def as_json(trace: Trace, took: float) -> dict[str, Any]:
    """Return what was measured as plain values."""
    from kamaelia.axon import report

    metrics = trace.metrics.as_dict()
    return {
        "seed": trace.seed,
        "seconds": metrics.pop("seconds"),
        "real_seconds": round(took, 3),
        "fingerprint": trace.fingerprint,
        **metrics,
        "results": {host: _as_result(result) for host, result in trace.results.items()},
        "errors": {
            host: [report.one_line(one) for one in _leaves(error)] for host, error in trace.errors.items()
        },
    }


def show_failures(trace: Trace, *, all: bool) -> None:
    """Print what has failed, with the host and the path of each component; of many only the first."""
    from kamaelia.axon import report

    from .show import show

    for number, (host, error) in enumerate(trace.errors.items()):
        if number == SHOWN and not all:
            left = len(trace.errors) - SHOWN
            complain(f"kamaelia simulate: on {left:,} more hosts something has failed; --all shows it")
            break
        leaves = _leaves(error)
        for leaf, path in zip(leaves, report.paths_of(leaves), strict=True):
            leaf.add_note(f"in {host}" if path is None else f"in {host}/{path}")
            show(leaf)


def _leaves(error: Exception) -> Sequence[Exception]:
    return error.exceptions if isinstance(error, ExceptionGroup) else (error,)


def print_json(value: Any) -> None:
    """Print a value as JSON; what JSON has no word for as Python writes it."""
    import json

    say(json.dumps(value, default=_other))


def _other(value: Any) -> Any:
    from .run import plain

    try:
        return plain(value)
    except TypeError:
        return repr(value)


def _as_result(value: Any) -> Any:
    """Return what a host has returned as it is, or, where JSON cannot have that, as Python writes it."""
    import json

    try:
        json.dumps(value, default=_other, allow_nan=False)
    except (TypeError, ValueError):  # keys that are no texts; a list in itself; infinity
        return repr(value)
    return value


def _row(run: dict[str, Any]) -> str:
    links = run["links"].values()
    sums = [f"{sum(link[name] for link in links):,}" for name in HEADINGS[2:]]
    return _columns([str(run["seed"]), f"{run['seconds']:g}", *sums], run["fingerprint"][:DIGITS])


def _columns(texts: Sequence[str], last: str) -> str:
    return "  ".join([*(f"{text:>10}" for text in texts), last])


def write_trace(trace: Trace, name: str) -> None:
    """Write a trace as text, one line an event."""
    from kamaelia.testbed.captures import event_line

    with open(name, "w", encoding="utf-8") as file:
        for one in trace.events:
            remark = ", ".join(text for text in (one.where, one.why) if text)
            line = event_line(
                round(one.time * 1e9),
                one.what,
                one.protocol,
                one.source,
                one.target,
                number=one.number,
                size=one.size,
                where=remark,
            )
            file.write(f"{line}\n")
