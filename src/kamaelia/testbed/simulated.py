"""Tests over many seeds: what goes wrong only now and then is found, kept, and run again.

Theory
------
A simulation with one seed shows one of very many ways in which things can go: which packet is lost, who is
first, when a host crashes. A protocol that holds in one of them may fail in the next. So a test's body is run
with one seed after the other, everything made anew each time, until one fails::

    @simulated(seeds=1000)
    def test_every_file_arrives(network):
        network.host("server").run(FileServer("talk.ts"))
        network.host("phone").run(Fetch("server"))
        network.link("server", "phone", delay="80 ms", loss="5 %")
        trace = yield network  # simulated here, with the next seed
        assert trace.results["phone"] == TALK

The seed that fails is run a second time, now with everything written down, and the error says

- the seed,
- the command that runs it again,
- where to look: in the folder ``.kamaelia/failures`` each test has one of its own, with ``trace.txt``, the
  last `LINES` events, and what has passed each of the first `CAPTURES` hosts that run something (pcapng, for
  Wireshark and others; of each packet the first `SNAPLEN` bytes). Of a body that yields several networks
  there are the last `NETWORKS`, from the second on in folders called ``2``, ``3``, ... The next failure of
  the test takes their place, and of more than `FOLDERS` tests the oldest go.

If the second run ends in another way than the first, it says that, too: then something in it is not
determined by the seed, and `check` says where.

| variable of the environment | what it does |
| --- | --- |
| ``KAMAELIA_SEED=7`` | run this seed only, as the command does that a failure shows |
| ``KAMAELIA_SEEDS=1000:2000`` | run these instead of those of the test; ``500`` for the first 500 |
| ``KAMAELIA_SHRINK=1`` | of what fails, look for the smallest run that fails in the same way (`shrinking`) |

Nothing here needs pytest: what `simulated` makes is a function that can be called. Where pytest calls it, the
other parameters are fixtures, as ever; they are the same for all seeds of one call.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import gc
import inspect
import multiprocessing
import os
import re
import shlex
import shutil
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from itertools import islice
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from ..axon import ComponentsFailed, UsageError, units
from ..axon.clock import monotonic
from ..axon.errors import suggestion
from .check import check as check_runs
from .check import row_line
from .network import Network
from .orphans import end_with_parent

if TYPE_CHECKING:
    from .simulation import Simulation
    from .trace import Trace

# Variables of the environment.
SEED, SEEDS, SHRINK = "KAMAELIA_SEED", "KAMAELIA_SEEDS", "KAMAELIA_SHRINK"
FOLDER = ".kamaelia/failures"
FOLDERS = 50
"""Of how many tests there is something in that folder, at most."""
NETWORKS = 4
"""Of how many networks of one test, at most."""
LINES = 100_000
"""How many lines the file has, at most, that shows what happened in a failed run."""
CAPTURES = 8
"""Of how many hosts the packets are captured, at most."""
SNAPLEN = 512
"""How many bytes are kept of each of these packets, at most."""
OWN = ("network", "seed", "random")
"""The parameters that a body is given here."""

Seed = int | str
Simulate = Callable[[Network, int | str], "Trace"]

_OPTIONS = [
    name
    for name, one in inspect.signature(Network.simulate).parameters.items()
    if one.kind is one.KEYWORD_ONLY and name not in ("seed", "capture")
]
_ADDRESS = re.compile(r"\b0x[0-9a-f]+\b")
_NO_FAILURE = ("Exit", "Skipped", "XFailed")  # of pytest's, which are no `Exception` either


def simulated(
    seeds: int | str | Iterable[Seed] = 100,
    *,
    seconds: float | str = 60.0,
    within: float | str | None = None,
    jobs: int = 1,
    check: bool = False,
    shrink: bool = False,
    **options: Any,
) -> Callable[[Callable[..., Any]], Callable[..., None]]:
    """Run a test with one seed after the other, until one fails.

    The body says by the names of its parameters what it wants, anew for each seed: ``network``, a `Network`
    with nothing in it; ``seed``; ``random``, a `random.Random` for whatever the body draws itself.

    - A body that only describes the network is done with that: it is simulated then, and what fails there
      fails the test.
    - One that wants to look at what came of it yields the network and gets the `Trace`. It may yield several,
      one after the other. What a simulation raises comes out of the ``yield``, for `pytest.raises`.
    - One that makes a network of its own returns or yields that. One that does neither, and does not ask for
      ``network``, does as it likes with the seed.

    Arguments:
        seeds: how many, from 0 on; or which: ``range(1000, 2000)``, ``"1000:2000"``, ``[3, "storm"]``
        seconds: of virtual time for each simulation, or text such as ``"1 min"``
        within: real time after which no further seed is begun; then the test has passed
        jobs: how many processes share the seeds, where Python can fork. What fails is run again in this one
        check: run each seed twice, and fail where the two runs part (`kamaelia.testbed.check`)
        shrink: of what fails, look for the smallest run that fails in the same way, for a minute at most
            (`kamaelia.testbed.shrinking`), and leave it as a file
        options: further arguments of `Network.simulate`, such as ``until="phone"``

    Raises what the body or its simulation has raised, with notes: seed, command, files. Raises `UsageError`
    for arguments that cannot be meant.

    Example:
        >>> from kamaelia import component, random, sleep
        >>> @component
        ... async def toss(inbox, outbox):
        ...     await sleep(random.random())
        ...     return "heads"
        >>> @simulated(seeds=20, seconds=2)
        ... def test_the_coin_falls(network):
        ...     network.host("table").run(toss)
        ...     trace = yield network
        ...     assert trace.results["table"] == "heads"
        >>> test_the_coin_falls()
    """
    if callable(seeds):
        raise UsageError(f"@simulated stands at {seeds.__name__} without its brackets: write @simulated()")
    for name in options:
        if name not in _OPTIONS:
            raise UsageError(
                f"simulated({name}=...): there is no such argument; {suggestion(name, _OPTIONS)}"
            )
    if type(jobs) is not int or jobs < 1:
        raise UsageError(f"simulated(jobs={jobs!r}): give the number of processes, from 1 on")
    which = which_seeds(seeds, f"simulated(seeds={seeds!r})")
    units.seconds(seconds, "seconds")
    limit = None if within is None else units.seconds(within, "within")

    def decorate(body: Callable[..., Any]) -> Callable[..., None]:
        test = Simulated(body, which, seconds, limit, jobs, check, options, shrink)

        @functools.wraps(body)
        def run_with_seeds(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True  # by pytest
            test.run(args, kwargs)

        made: Any = run_with_seeds
        made.__signature__ = test.signature
        made.simulated = test
        return run_with_seeds

    return decorate


class Simulated:
    """A test that runs over seeds; of a function that `simulated` has made, its attribute ``simulated``."""

    def __init__(
        self,
        body: Callable[..., Any],
        seeds: Sequence[Seed],
        seconds: float | str,
        within: float | None,
        jobs: int,
        check: bool,
        options: dict[str, Any],
        shrink: bool = False,
    ) -> None:
        if inspect.iscoroutinefunction(body) or inspect.isasyncgenfunction(body):
            raise UsageError(
                f"@simulated: {body.__name__} is async, but it only describes the network; write "
                f"'def {body.__name__}', and 'trace = yield network'"
            )
        self.body = body
        self.name = body.__name__
        """What the test is called."""
        self.seeds = seeds
        """With which it runs, if the environment says nothing else."""
        self.seconds = seconds
        """Of virtual time."""
        self.within = within
        self.jobs = jobs
        self.check = check
        self.options = options
        self.shrink = shrink
        """Whether the smallest run is looked for that fails like one that has."""
        self.tell: Callable[[object], object] | None = None
        """Is told how far that has come."""
        parameters = inspect.signature(body).parameters
        self.own = tuple(name for name in OWN if name in parameters)
        """What the body is given here."""
        others = [one for name, one in parameters.items() if name not in OWN]
        self.signature = inspect.Signature(others)
        """What it is to be given by others, such as fixtures."""
        self._started_in = os.getcwd()

    def run(
        self,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seeds: Sequence[Seed] | None = None,
        begin: Callable[[int, int], object] | None = None,
    ) -> None:
        """Run the test, with the seeds that are given, or else its own.

        ``begin`` is called before each run in this process: which it is, from 1, and of how many.
        """
        __tracebackhide__ = True
        chosen = _from_environment() if seeds is None else seeds
        seeds, within = (self.seeds, self.within) if chosen is None else (chosen, None)
        began = monotonic()
        done = 0
        todo: Iterable[Seed] = seeds
        sweep = Sweep()
        if self.jobs > 1 and len(seeds) > 1 and hasattr(os, "fork"):
            done, failed = self._side_by_side(args, kwargs, seeds, within)
            todo = () if failed is None else (seeds[failed],)
        for seed in todo:
            if done and within is not None and monotonic() - began > within and todo is seeds:
                break
            if begin is not None:
                begin(done + 1, len(seeds))
            try:
                self.once(args, kwargs, seed, self._simulate)
            except BaseException as error:
                if is_failure(error):
                    self._explain(error, args, kwargs, seed, done, len(seeds), monotonic() - began)
                raise
            done += 1
            sweep()
            if todo is not seeds:
                raise AssertionError(
                    f"{self.name} has failed with seed {seed!r} in a process of its own, but not here: it "
                    "depends on more than the seed. kamaelia.testbed.check says where two runs part"
                )
        if done < len(seeds):
            print(f"{self.name}: {done:,} of {len(seeds):,} seeds in {within:g} s, and none has failed")

    def once(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: Seed, simulate: Simulate) -> None:
        """Run the body with one seed; what it wants simulated goes to a function."""
        __tracebackhide__ = True
        given: dict[str, Any] = {}
        for name in self.own:
            given[name] = (
                Network() if name == "network" else seed if name == "seed" else Random(f"{seed}/test")
            )
        made = self.body(*args, **kwargs, **given)
        if isinstance(made, Generator):
            self._converse(made, seed, simulate)
        elif isinstance(made, Network):
            simulate(made, seed)
        elif made is not None:
            raise UsageError(f"{self.name} has returned {made!r}: return a Network, or nothing")
        elif "network" in given:
            simulate(given["network"], seed)

    def _converse(self, body: Generator[Any, Any, Any], seed: Seed, simulate: Simulate) -> None:
        """Take networks from a body, and give it traces."""
        __tracebackhide__ = True
        try:
            network = next(body)
            while True:
                if not isinstance(network, Network):
                    raise UsageError(f"{self.name} has yielded {network!r}: yield a Network")
                try:
                    trace = simulate(network, seed)
                except Exception as error:
                    network = body.throw(error)
                else:
                    network = body.send(trace)
        except StopIteration:
            pass
        finally:
            body.close()

    def _simulate(self, network: Network, seed: Seed) -> Trace:
        __tracebackhide__ = True
        if self.check:
            return check_runs(network, self.seconds, seed=seed, **self.options)
        return network.simulate(self.seconds, seed=seed, **self.options)

    # -- several processes ------------------------------------------------------------------------------

    def _side_by_side(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], seeds: Sequence[Seed], within: float | None
    ) -> tuple[int, int | None]:
        """Let processes share the seeds; return how many were run, and which was the first to fail.

        That is the same one that a single process would have found, unless time was over.
        """
        context = multiprocessing.get_context("fork")
        first = context.Value("q", len(seeds))  # that has failed, so far
        count = context.Value("q", 0)
        began = monotonic()

        def work(begin: int) -> None:
            end_with_parent()
            sweep = Sweep()
            for index in range(begin, len(seeds), self.jobs):
                if index >= first.value or (within is not None and monotonic() - began > within):
                    break
                try:
                    self.once(args, kwargs, seeds[index], self._simulate)
                except (KeyboardInterrupt, SystemExit):
                    raise
                except BaseException:  # a skipped test, too: it is raised where the seed is run again
                    with first.get_lock():
                        first.value = min(first.value, index)
                with count.get_lock():
                    count.value += 1
                sweep()

        workers = [context.Process(target=work, args=(begin,), daemon=True) for begin in range(self.jobs)]
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                worker.join()
        finally:
            for worker in workers:
                worker.kill()
        for worker in workers:
            if worker.exitcode:
                raise RuntimeError(
                    f"{self.name}: a process that ran some of the seeds has ended with code {worker.exitcode}"
                )
        return (count.value, None) if first.value == len(seeds) else (first.value, first.value)

    # -- what is said about a failure ---------------------------------------------------------------------

    def _explain(
        self,
        error: BaseException,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        seed: Seed,
        done: int,
        count: int,
        took: float,
    ) -> None:
        """Add to an error how to see it again, and leave its trace."""
        before = f", after {done:,} of {count:,} that passed" if done else ""
        notes = [f"seed {seed!r} of {self.name}{before}, {took:.1f} s"]
        notes.append(f"to run it again: {self.command(seed, args, kwargs)}")
        left, again = self._record(args, kwargs, seed)
        if left:
            notes.append(f"what happened: {left}")
        if again is not None and again != _shown(error):
            notes.append(
                f"a second run with this seed has ended otherwise ({again}): it depends on more than the "
                "seed, and kamaelia.testbed.check says where two runs part"
            )
        elif self.shrink or os.environ.get(SHRINK, "0") not in ("", "0"):
            notes += self._shrink(args, kwargs, seed)
        # Of several that failed, reports show each, and nothing that is said about all.
        about = error.exceptions[-1] if isinstance(error, ComponentsFailed) else error
        for note in notes:
            about.add_note(note)

    def _shrink(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: Seed) -> list[str]:
        """Look for the smallest run that fails in the same way, and leave it; return what is to be said."""
        from .shrinking.leaving import shrink_and_leave  # which knows this module

        given = dict(self.signature.bind(*args, **kwargs).arguments)
        where = Path(self._started_in)
        return shrink_and_leave(self, given, seed, where, self._folder_name(), python(), self.tell)

    def _record(self, args: tuple[Any, ...], kwargs: dict[str, Any], seed: Seed) -> tuple[str, str | None]:
        """Run a seed again and write down what happens; return where, and how it has ended, if it was run."""
        runs: list[Simulation] = []
        places: list[Path] = []
        options = {"snaplen": SNAPLEN, **self.options}
        if options.get("keep", ...) is None:
            del options["keep"]

        def simulate(network: Network, seed: Seed) -> Trace:
            place = folder if not places else folder / f"{len(places) + 1}"
            places.append(place)
            place.mkdir(exist_ok=True)
            if len(places) > NETWORKS:
                _empty(places[-NETWORKS - 1])
            options["capture"] = captures_in(place, network, CAPTURES)
            network.script_of_runs.insert(0, runs.append)
            try:
                if self.check:
                    return check_runs(network, self.seconds, seed=seed, **options)
                return network.simulate(self.seconds, seed=seed, **options)
            finally:
                network.script_of_runs.remove(runs.append)
                if runs:
                    _write_trace(runs[-1], place / "trace.txt")
                    runs.clear()

        try:
            folder = failure_folder(self._started_in, self._folder_name(), anew=True)
        except OSError as error:
            return f"cannot be written down ({error})", None
        ended = "it has passed"
        try:
            self.once(args, kwargs, seed, simulate)
        except BaseException as error:
            if not is_failure(error):
                raise
            ended = _shown(error)
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        if not files:
            shutil.rmtree(folder, ignore_errors=True)
            return "", ended
        return f"in {os.path.relpath(folder, self._started_in)}: {', '.join(files)}", ended

    def command(self, seed: Seed, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None) -> str:
        """Return the command that runs one seed again, to be given where this program was started."""
        which = f"{SEED}={shlex.quote(str(seed))}"
        test = _current_test(self.name)
        if test:
            path, _, rest = test.partition("::")
            if not Path(self._started_in, path).exists():
                path = self.body.__code__.co_filename
            return f"{which} {python()} -m pytest {shlex.quote(f'{path}::{rest}')}"
        if (
            not args
            and all(map(can_be_written, (kwargs or {}).values()))
            and "<locals>" not in self.body.__qualname__
        ):
            words = ["-m", "kamaelia", "simulate", self._address(), f"--seed={seed}"]
            words += [f"--param={name}={value!r}" for name, value in (kwargs or {}).items()]
            return f"{python()} {shlex.join(words)}"
        return f"{which} {python()} {shlex.join(sys.orig_argv[1:])}".rstrip()

    def _address(self) -> str:
        """Return where the test is, as the command ``kamaelia`` wants it."""
        file = os.path.relpath(self.body.__code__.co_filename, self._started_in)
        module = self.body.__module__
        if os.path.splitext(file)[0] == module.replace(".", os.sep):
            return f"{module}:{self.body.__qualname__}"
        return f"{file}:{self.body.__qualname__}"

    def _folder_name(self) -> str:
        case = _current_test(self.name).partition("[")[2].rstrip("]")
        name = f"{self.body.__module__}.{self.body.__qualname__}" + (f"-{case}" if case else "")
        return re.sub(r"[^\w.-]+", "-", name)[-150:]


class Sweep:
    """Collects garbage between runs, which Python by itself would let grow; takes 5 % of the time.

    >>> sweep = Sweep()
    >>> sweep()
    """

    def __init__(self) -> None:
        self._last = monotonic()
        self._took = 0.0

    def __call__(self) -> None:
        now = monotonic()
        if now - self._last > 20 * self._took:
            gc.collect()
            self._last = monotonic()
            self._took = self._last - now


def captures_in(folder: Path, network: Network, most: int) -> dict[str, str]:
    """Return which hosts are to be captured, those that run something, and where to.

    >>> network = Network()
    >>> captures_in(Path("somewhere"), network, 8)
    {}
    """
    busy = [name for name, host in network.hosts.items() if host.patterns]
    return {name: str(folder / f"{name}.pcapng") for name in busy[:most]}


def failure_folder(where: str | os.PathLike[str], name: str, *, anew: bool = False) -> Path:
    """Return the folder for what is left of a failure, and make it. Raises `OSError`.

    Arguments:
        where: the folder that this one is to be in, a few levels down
        name: of what has failed
        anew: nothing is to be in it
    """
    folder = Path(where, FOLDER, name)
    if anew:
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    folder.parent.joinpath(".gitignore").write_text("*\n")
    _forget_oldest(folder.parent)
    return folder


def which_seeds(seeds: int | str | Iterable[Seed], said: str) -> Sequence[Seed]:
    """Return the seeds that are meant.

    >>> which_seeds(3, ""), which_seeds("5:7", ""), which_seeds(["storm"], "")
    (range(0, 3), range(5, 7), ['storm'])
    """
    if isinstance(seeds, str):
        first, colon, last = seeds.strip().partition(":")
        if first.isdecimal() and (last.isdecimal() if colon else True):
            seeds = range(int(first), int(last)) if colon else int(first)
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        seeds = range(seeds)
    found: Sequence[Seed] = ()
    if not isinstance(seeds, (bool, str)) and isinstance(seeds, Iterable):
        found = seeds if isinstance(seeds, range) else list(seeds)
    if not found or not all(isinstance(one, (int, str)) for one in islice(found, 1000)):
        raise UsageError(f"{said}: give how many seeds there are to be, or which, such as '1000:2000'")
    return found


def _from_environment() -> Sequence[Seed] | None:
    """Return the seeds that the environment asks for."""
    seed = os.environ.get(SEED)
    if seed is not None:
        return [int(seed) if re.fullmatch(r"-?\d+", seed) else seed]
    seeds = os.environ.get(SEEDS)
    return None if seeds is None else which_seeds(seeds, f"{SEEDS}={seeds}")


def is_failure(error: BaseException) -> bool:
    """Say whether a test has failed; pytest has errors of its own for that."""
    if isinstance(error, Exception):
        return True
    leaves = (KeyboardInterrupt, SystemExit, GeneratorExit)
    return not isinstance(error, leaves) and type(error).__name__ not in _NO_FAILURE


def _shown(error: BaseException) -> str:
    text = _ADDRESS.sub("0x...", str(error))
    return f"{type(error).__name__}: {text.strip().partition(chr(10))[0]}".rstrip(": ")


def _current_test(name: str) -> str:
    """Return what pytest calls the test that it runs, if that is the one of a name."""
    found = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]
    return found if found.partition("[")[0].rpartition("::")[2] == name else ""


def can_be_written(value: Any) -> bool:
    """Say whether a value can be written in a file of Python, and on a command line.

    >>> can_be_written({"faulty": True, "names": ["a"]}), can_be_written(object())
    (True, False)
    """
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (SyntaxError, ValueError):
        return False


def python() -> str:
    """Return what to write for the Python that runs."""
    found = shutil.which("python")
    if found and os.path.dirname(found) == os.path.dirname(sys.executable):
        return "python"
    return shlex.quote(sys.executable)


def _write_trace(run: Simulation, path: Path) -> None:
    """Write what happened on the network, one line an event."""
    recorder = run.fabric.recorder
    if recorder is None or not recorder.count:
        return
    rows = recorder.rows[-LINES:]
    with path.open("w", encoding="utf-8") as file:
        if len(rows) < recorder.count:
            last = len(recorder.rows)
            file.write(f"events {last - len(rows) + 1:,} to {last:,} of {recorder.count:,}:\n")
        file.writelines(f"{row_line(row)}\n" for row in rows)


def _empty(folder: Path) -> None:
    """Remove the files of a folder, and the folder itself if nothing else is in it."""
    for path in folder.iterdir():
        if path.is_file():
            path.unlink()
    with contextlib.suppress(OSError):
        folder.rmdir()


def _forget_oldest(folder: Path) -> None:
    """Have something of so many tests, and no more."""
    tests = sorted((one for one in folder.iterdir() if one.is_dir()), key=lambda one: one.stat().st_mtime)
    for old in tests[:-FOLDERS]:
        shutil.rmtree(old, ignore_errors=True)


__all__ = [
    "CAPTURES",
    "FOLDER",
    "FOLDERS",
    "LINES",
    "NETWORKS",
    "SEED",
    "SEEDS",
    "SHRINK",
    "SNAPLEN",
    "Simulated",
    "simulated",
]
