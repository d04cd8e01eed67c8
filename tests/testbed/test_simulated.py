"""Tests over seeds: which seeds run, what a body may be, what a failure says and leaves, and its command."""

from __future__ import annotations

import asyncio
import itertools
import os
import random as machine
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import component, random, sleep
from kamaelia.axon import ComponentsFailed, UsageError
from kamaelia.testbed import Network, Trace
from kamaelia.testbed import simulated as exported
from kamaelia.testbed.captures import read_pcapng
from kamaelia.testbed.check import RunsDiffer
from kamaelia.testbed.simulated import SEED, SEEDS, simulated

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in, and an environment that asks for no seeds."""
    monkeypatch.chdir(tmp_path)
    for name in (SEED, SEEDS):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@component
async def toss(inbox: Any, outbox: Any) -> float:
    """Return something that depends on the seed."""
    await sleep(1)
    return random.random()


@component
async def stumble(inbox: Any, outbox: Any) -> None:
    """Fail in one run of ten."""
    await sleep(1)
    if random.random() < 0.1:
        raise ValueError("unlucky")


@component
async def say(inbox: Any, outbox: Any, count: int = 5) -> None:
    """Send datagrams to somebody."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("b", 5004))
    for number in range(count):
        transport.sendto(b"number %d" % number)
        await sleep(0.1)
    transport.close()


def drawn(seed: int | str) -> float:
    """Return what `toss` returns with a seed."""
    network = Network()
    network.host("table").run(toss)
    return float(network.simulate(seed=seed).results["table"])


def notes_of(error: BaseException) -> list[str]:
    leaves = [error, *getattr(error, "exceptions", ())]
    return [note for leaf in leaves for note in getattr(leaf, "__notes__", ())]


# --- which seeds ------------------------------------------------------------------------------------


def seen(*args: Any, **options: Any) -> list[int | str]:
    """Return the seeds that a test runs with."""
    found: list[int | str] = []

    @simulated(*args, **options)
    def test(seed: int | str) -> None:
        found.append(seed)

    test()
    return found


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        (3, [0, 1, 2]),
        ("3", [0, 1, 2]),
        ("7:10", [7, 8, 9]),
        (range(2, 8, 3), [2, 5]),
        ([4, "storm"], [4, "storm"]),
        ((number * number for number in range(3)), [0, 1, 4]),
    ],
    ids=range(6),
)
def test_seeds_are_a_number_a_range_or_any(seeds: Any, expected: list[int | str]) -> None:
    assert seen(seeds) == expected


@pytest.mark.one_core
def test_a_hundred_seeds_by_default() -> None:
    assert seen() == list(range(100))


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({SEED: "7"}, [7]),
        ({SEED: "-7"}, [-7]),
        ({SEED: "storm"}, ["storm"]),
        ({SEEDS: "5:8"}, [5, 6, 7]),
        ({SEEDS: "2"}, [0, 1]),
        ({SEED: "7", SEEDS: "5:8"}, [7]),
    ],
    ids=range(6),
)
def test_the_environment_asks_for_others(
    variables: dict[str, str], expected: list[int | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert seen(3, within=0) == expected


@pytest.mark.one_core
def test_seeds_of_the_environment_that_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SEEDS, "many")
    with pytest.raises(UsageError, match="KAMAELIA_SEEDS=many: give how many seeds"):
        seen()


@pytest.mark.one_core
@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"seeds": 0}, "simulated(seeds=0): give how many seeds there are to be"),
        ({"seeds": True}, "simulated(seeds=True)"),
        ({"seeds": "8:7"}, "simulated(seeds='8:7')"),
        ({"seeds": [1.5]}, "simulated(seeds=[1.5])"),
        ({"seconds": "soon"}, "seconds='soon'"),
        ({"within": -1}, "within=-1"),
        ({"jobs": 0}, "simulated(jobs=0): give the number of processes"),
        ({"graze": 3}, "simulated(graze=...): there is no such argument; did you mean 'grace'?"),
        ({"seed": 3}, "simulated(seed=...)"),
    ],
    ids=range(9),
)
def test_arguments_that_cannot_be_meant(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=re.escape(said)):
        simulated(**options)


@pytest.mark.one_core
def test_it_needs_its_brackets() -> None:
    with pytest.raises(
        UsageError, match=re.escape("stands at body without its brackets: write @simulated()")
    ):

        @simulated  # type: ignore[arg-type]
        def body(network: Network) -> None: ...


@pytest.mark.one_core
def test_a_time_limit_ends_it(capsys: pytest.CaptureFixture[str]) -> None:
    @simulated(10_000_000, within="50 ms")
    def test_something(seed: int) -> None: ...

    test_something()
    said = re.fullmatch(
        r"test_something: ([\d,]+) of 10,000,000 seeds in 0.05 s, .*\n", capsys.readouterr().out
    )
    assert said and int(said[1].replace(",", "")) > 10
    assert seen(3, within=0) == [0]  # one in any case


# --- what a body may be ---------------------------------------------------------------------------------


def test_a_body_that_describes_a_network_is_simulated() -> None:
    log: list[int] = []

    @component
    async def note(inbox: Any, outbox: Any) -> None:
        log.append(random.randrange(1000))

    @simulated(3)
    def test(network: Network) -> None:
        network.host("a").run(note)

    test()
    assert len(set(log)) == 3


def test_a_body_may_yield_networks_and_gets_traces() -> None:
    got: list[float] = []

    @simulated([5, 6], seconds=3)
    def test(network: Network) -> Iterator[Network]:
        network.host("table").run(toss)
        trace: Trace = yield network
        other = Network()
        other.host("table").run(toss)
        again: Trace = yield other
        assert again.fingerprint == trace.fingerprint != "" and again.results == trace.results
        got.append(trace.results["table"])

    test()
    assert got == [drawn(5), drawn(6)]


def test_a_body_may_return_its_own_network() -> None:
    @simulated(20)
    def test(seed: int) -> Network:
        network = Network()
        network.host("a").run(stumble)
        return network

    with pytest.raises(ComponentsFailed, match="a/stumble"):
        test()


def test_what_a_simulation_raises_comes_out_of_the_yield() -> None:
    @simulated(["never"])
    def test(network: Network) -> Iterator[Network]:
        async def fail() -> None:
            raise RuntimeError("as it should")

        network.script(fail)
        network.host("a").run(toss)
        with pytest.raises(RuntimeError, match="as it should"):
            yield network

    test()


@pytest.mark.one_core
def test_chance_comes_from_the_seed() -> None:
    drawn: list[float] = []

    @simulated([1, 2, 1])
    def test(random: machine.Random) -> None:
        drawn.append(random.random())

    test()
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.one_core
def test_what_is_not_ours_is_given_by_others() -> None:
    import inspect

    class Tests:
        @simulated(2)
        def test(self, tmp_path: Path, network: Network, seed: int, size: int = 3) -> None:
            assert network.hosts == {} and size == 4
            got.append((tmp_path, seed))

    got: list[Any] = []
    assert list(inspect.signature(Tests.test).parameters) == ["self", "tmp_path", "size"]
    Tests().test(Path("x"), size=4)  # type: ignore[call-arg]
    assert got == [(Path("x"), 0), (Path("x"), 1)]


@pytest.mark.one_core
def test_bodies_that_are_none() -> None:
    with pytest.raises(
        UsageError, match="body is async, but it only describes the network; write 'def body'"
    ):

        @simulated()
        async def body(network: Network) -> None: ...

    @simulated()
    def returns(network: Network) -> Any:
        return 3

    with pytest.raises(UsageError, match="returns has returned 3: return a Network, or nothing"):
        returns()

    @simulated()
    def yields(network: Network) -> Any:
        yield 3

    with pytest.raises(UsageError, match="yields has yielded 3: yield a Network"):
        yields()


@pytest.mark.one_core
@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of forks, where threads are about
def test_a_skipped_test_is_no_failure(here: Path, jobs: int) -> None:
    @simulated(jobs=jobs)
    def test(seed: int) -> None:
        pytest.skip("not today")

    with pytest.raises(pytest.skip.Exception) as caught:
        test()
    assert notes_of(caught.value) == [] and not (here / ".kamaelia").exists()


@pytest.mark.one_core
def test_it_is_exported() -> None:
    assert exported is simulated


# --- what a failure says and leaves -----------------------------------------------------------------------


@simulated(seeds=1000, seconds=2)
def one_in_a_hundred(network: Network) -> Iterator[Network]:
    network.host("table").run(toss)
    trace: Any = yield network
    assert trace.results["table"] > 0.01


FIRST = next(seed for seed in itertools.count() if drawn(seed) <= 0.01)


@pytest.mark.parametrize("jobs", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # of forks, where threads are about
def test_the_first_seed_that_fails_is_found(jobs: int, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_in_a_hundred.simulated, "_started_in", str(here))  # type: ignore[attr-defined]
    monkeypatch.setattr(one_in_a_hundred.simulated, "jobs", jobs)  # type: ignore[attr-defined]
    with pytest.raises(AssertionError) as caught:
        one_in_a_hundred()
    note = notes_of(caught.value)[0]
    assert FIRST > 10
    assert note.startswith(f"seed {FIRST} of one_in_a_hundred, after {FIRST} of 1,000 that passed, "), note


def lossy(network: Network) -> Iterator[Network]:
    network.host("a").run(say)
    network.host("b").run(toss)
    network.link("a", "b", delay="10 ms")
    trace: Any = yield network
    assert not trace, "it happened"


def test_a_failure_leaves_its_trace_and_packets(here: Path) -> None:
    test = simulated([9], seconds=3)(lossy)
    with pytest.raises(AssertionError) as caught:
        test()
    folder = f".kamaelia/failures/{__name__}.lossy"
    assert notes_of(caught.value)[2] == f"what happened: in {folder}: a.pcapng, b.pcapng, trace.txt"
    lines = (here / folder / "trace.txt").read_text().splitlines()
    assert [line.split()[:3] for line in lines[:2]] == [
        ["0.000000000", "send", "udp"],
        ["0.010000000", "deliver", "udp"],
    ]
    assert len(lines) == 5 * 5  # nobody has that port, and an answer says so
    packets = [packet.data for packet in read_pcapng(here / folder / "a.pcapng")]
    assert len([packet for packet in packets if packet.endswith(b"number 3")]) == 1 and len(packets) == 10
    assert (here / ".kamaelia" / "failures" / ".gitignore").read_text() == "*\n"


def test_the_trace_is_bounded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulated"], "LINES", 4)
    with pytest.raises(AssertionError):
        simulated([9], seconds=3)(lossy)()
    (trace,) = here.rglob("trace.txt")
    first, *rest = trace.read_text().splitlines()
    assert first == "events 22 to 25 of 25:" and len(rest) == 4 and " 0.4" in rest[-1]


def test_the_next_failure_takes_the_place_of_the_last(here: Path) -> None:
    test = simulated([9], seconds=3)(lossy)
    for _ in range(2):
        with pytest.raises(AssertionError):
            test()
        (folder,) = (path for path in (here / ".kamaelia" / "failures").iterdir() if path.is_dir())
        (folder / "old").write_text("")
    with pytest.raises(AssertionError):
        test()
    assert sorted(path.name for path in folder.iterdir()) == ["a.pcapng", "b.pcapng", "trace.txt"]


@pytest.mark.parametrize("check", [False, True])
def test_of_many_networks_the_last_are_left(here: Path, check: bool) -> None:
    @simulated([9], seconds=3, check=check)
    def test(random: machine.Random) -> Iterator[Network]:
        for number in range(6):
            network = Network()
            network.host(f"a-{number}").run(say)
            network.host("b").run(toss)
            network.link(f"a-{number}", "b")
            yield network
        raise ValueError("in the end")

    with pytest.raises(ValueError, match="in the end"):
        test()
    (folder,) = (path for path in (here / ".kamaelia/failures").iterdir() if path.is_dir())
    assert sorted(path.name for path in folder.iterdir()) == ["3", "4", "5", "6"]
    for number in "3456":
        assert f" a-{int(number) - 1}:" in (folder / number / "trace.txt").read_text()
        names = sorted(path.name for path in (folder / number).iterdir())
        assert names == [f"a-{int(number) - 1}.pcapng", "b.pcapng", "trace.txt"]


@pytest.mark.one_core
def test_of_many_tests_the_last_are_left(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["kamaelia.testbed.simulated"], "FOLDERS", 3)
    folder = here / ".kamaelia" / "failures"
    for number in range(5):
        (folder / f"old-{number}").mkdir(parents=True)
        os.utime(folder / f"old-{number}", (number, number))
    with pytest.raises(AssertionError):
        simulated([9], seconds=3)(lossy)()
    names = sorted(path.name for path in folder.iterdir() if path.is_dir())
    assert names == ["old-3", "old-4", f"{__name__}.lossy"]


@pytest.mark.one_core
def test_where_nothing_can_be_written_it_says_so(here: Path) -> None:
    (here / ".kamaelia").write_text("a file")
    with pytest.raises(AssertionError) as caught:
        simulated([9])(lossy)()
    assert notes_of(caught.value)[2].startswith("what happened: cannot be written down ([Errno")
    assert len(notes_of(caught.value)) == 3


def test_a_failed_component_is_raised_with_the_notes() -> None:
    @simulated(100)
    def test(network: Network) -> None:
        network.host("a").run(stumble)

    with pytest.raises(ComponentsFailed) as caught:
        test()
    notes = notes_of(caught.value)
    assert notes[1] == "in a/stumble"
    assert re.match(r"seed \d+ of test, after \d+ of 100 that passed", notes[2])


def test_what_ends_otherwise_the_second_time_is_said_to() -> None:
    calls = itertools.count()

    @simulated(3)
    def test(seed: int) -> None:
        assert next(calls) != 1, "only once"

    with pytest.raises(AssertionError) as caught:
        test()
    assert notes_of(caught.value)[-1] == (
        "a second run with this seed has ended otherwise (it has passed): it depends on more than the seed, "
        "and kamaelia.testbed.check says where two runs part"
    )


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_what_fails_in_another_process_only_is_said_to() -> None:
    mine = os.getpid()

    @simulated(4, jobs=2)
    def test(seed: int) -> None:
        assert os.getpid() == mine or seed < 3

    with pytest.raises(
        AssertionError, match="test has failed with seed 3 in a process of its own, but not here"
    ):
        test()


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_process_that_dies_is_an_error() -> None:
    mine = os.getpid()

    @simulated(4, jobs=2)
    def test(seed: int) -> None:
        if os.getpid() != mine:
            os._exit(3)

    with pytest.raises(
        RuntimeError, match="test: a process that ran some of the seeds has ended with code 3"
    ):
        test()


def test_each_seed_may_be_run_twice_and_compared() -> None:
    left: list[int] = []

    @component
    async def remember(inbox: Any, outbox: Any) -> None:
        left.append(1)
        await sleep(len(left))

    @simulated(check=True)
    def test(network: Network) -> None:
        network.host("a").run(remember)

    with pytest.raises(
        RunsDiffer, match=r"two runs with seed 0 part at 0 s \(line 2\), in a/remember"
    ) as caught:
        test()
    assert caught.value.path == "a/remember"

    @simulated(3, check=True)
    def good(network: Network) -> Iterator[Network]:
        network.host("table").run(toss)
        trace: Any = yield network
        assert 0 <= trace.results["table"] < 1

    good()


# --- the command, in processes of their own ---------------------------------------------------------

TESTS = """
    import pytest
    from kamaelia import component, random, sleep
    from kamaelia.testbed import simulated

    @component
    async def toss(inbox, outbox):
        await sleep(1)
        return random.random()

    def describe(network):
        network.host("table").run(toss)
        trace = yield network
        assert trace.results["table"] > 0.1, f"it is {trace.results['table']}"

    test_function = simulated(seeds=100)(describe)
    test_function.__name__ = "test_function"

    class TestClass:
        @pytest.mark.parametrize("what", ["heads up", "tails"])
        @simulated(seeds=100)
        def test_method(self, what, network, tmp_path):
            yield from describe(network)

    @simulated(seeds=100)
    def test_with_arguments(network, what="heads up", odd=None):
        yield from describe(network)

    if __name__ == "__main__":
        import sys
        if sys.argv[1] == "plain":
            test_with_arguments(what="it's")
        else:
            test_with_arguments(odd=object())
"""


def call(command: str, folder: Path, shell: bool = True) -> str:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(str(path) for path in sys.path if path)}
    environment.pop("PYTEST_CURRENT_TEST", None)
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    done = subprocess.run(command, shell=shell, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout + done.stderr


SAID = re.compile(r"it is [\d.]+")
COMMAND = re.compile(r"to run it again: (.*?)\)?$", re.MULTILINE)


@pytest.mark.slow
@pytest.mark.one_core
@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (
            "-m pytest -p no:cacheprovider sub/test_them.py::TestClass",
            ["-m pytest 'sub/test_them.py::TestClass::test_method[heads up]'", "test_method[tails]"],
        ),
        ("sub/test_them.py plain", ["-m kamaelia simulate sub/test_them.py:test_with_arguments --seed="]),
        ("sub/test_them.py other", ["sub/test_them.py other"]),
    ],
    ids=["pytest", "script", "arguments"],
)
def test_the_command_runs_the_same_again(here: Path, command: str, expected: list[str]) -> None:
    (here / "sub").mkdir()
    (here / "sub" / "test_them.py").write_text(textwrap.dedent(TESTS))
    output = call(f"{sys.executable} {command}", here)
    commands = list(dict.fromkeys(COMMAND.findall(output)))  # pytest says it once more where CI is set
    assert len(commands) == len(expected), output
    for said, part in zip(commands, expected, strict=True):
        assert part in said
        again = call(said, here)
        assert SAID.findall(again)[0] == SAID.findall(output)[0], again
        assert " of 100 that passed" in output and " that passed" not in again


@pytest.mark.one_core
def test_the_testbed_does_not_need_pytest() -> None:
    program = "import kamaelia.testbed.simulated, sys; sys.exit('pytest' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
    assert done.returncode == 0
