"""What simulated code finds in place of the machine's time, chance, sockets, threads and programs."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import copy
import datetime
import importlib
import inspect
import json
import logging
import multiprocessing
import os
import pickle
import random
import secrets
import select
import socket
import ssl
import subprocess
import sys
import threading
import time
import types
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kamaelia import Component, component, sleep
from kamaelia.axon.clock import EPOCH, calendar
from kamaelia.testbed import HostLoop, Network, SimulationError, stand_ins
from kamaelia.testbed.stand_ins import audit, order
from kamaelia.testbed.stand_ins.places import StandIn
from kamaelia.testbed.stand_ins.polling import Poll

NAP = 2.5  # virtual seconds until something is asked for
NOW = EPOCH + NAP
DAY = datetime.datetime(1999, 12, 31)  # before it, in whatever time zone this runs


@component
async def ask(inbox: Any, outbox: Any, call: Callable[[], Any]) -> Any:
    await sleep(NAP)
    return call()


@component
def ask_in_a_script(inbox: Any, outbox: Any, call: Callable[[], Any]) -> Any:
    sleep(NAP)
    return call()


@component
async def ask_in_a_thread(inbox: Any, outbox: Any, call: Callable[[], Any]) -> Any:
    await sleep(NAP)
    return await asyncio.to_thread(call)


@component
async def ask_in_an_executor(inbox: Any, outbox: Any, call: Callable[[], Any]) -> Any:
    await sleep(NAP)
    return await asyncio.get_running_loop().run_in_executor(None, call)


@component
async def ask_in_a_task(inbox: Any, outbox: Any, call: Callable[[], Any]) -> Any:
    async def later() -> Any:
        return call()

    await sleep(NAP)
    return await asyncio.create_task(later())


EVERYWHERE = [ask, ask_in_a_script, ask_in_a_thread, ask_in_an_executor, ask_in_a_task]


def inside(call: Callable[[], Any], *, seed: int | str = 7, how: Any = ask) -> Any:
    """Return what a call gives, or raise what it raises, on a simulated host."""
    network = Network()
    network.host("phone").run(how(call))
    network.host("server")
    network.link("phone", "server")
    trace = network.simulate(seed=seed, errors="collect")
    if trace.errors:
        raise trace.errors["phone"].exceptions[0]  # type: ignore[attr-defined]
    return trace.results["phone"]


class FakeSocket:
    """What a loop might make in place of a socket."""

    is_simulated_socket = True

    def __init__(self, *made_of: Any) -> None:
        self.made_of = made_of

    def setsockopt(self, *option: Any) -> None: ...

    def settimeout(self, timeout: float) -> None: ...

    def connect(self, address: Any) -> None:
        self.connected = address

    def close(self) -> None: ...


@pytest.fixture(autouse=True)
def fake_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have hosts make these: what the real ones can do is not tested here."""
    monkeypatch.setattr(HostLoop, "make_socket", lambda self, *made_of: FakeSocket(*made_of))


# -- each name ----------------------------------------------------------------------------------------


def is_nap(value: float) -> bool:
    return value == NAP


def is_nap_ns(value: int) -> bool:
    return value == 2_500_000_000 and type(value) is int


def is_first_day(value: Any) -> bool:
    return tuple(value)[:6] in [(2000, 1, 1, 0, 0, 2), tuple(time.localtime(NOW))[:6]]


def anything(value: Any) -> bool:
    return True


def refused(value: Any) -> bool:
    return isinstance(value, SimulationError)


def is_drawn(value: Any) -> bool:
    """It is checked elsewhere that it is the same each time, and other elsewhere."""
    return value is None or not isinstance(value, Exception)


def is_real_socket(value: Any) -> bool:
    with contextlib.closing(value):
        return isinstance(value, socket.socket) and not isinstance(value, FakeSocket)


# What is called, what it gives in simulated code, and what elsewhere. The names are those of the stand-ins.
CALLS: dict[str, tuple[Callable[[], Any], Callable[[Any], bool], Callable[[Any], bool]]] = {
    "time:asctime": (
        lambda: time.asctime(),
        lambda text: text.endswith(" 2000") or text.endswith(" 1999"),
        lambda text: not text.endswith(" 2000"),
    ),
    "time:clock_gettime": (lambda: time.clock_gettime(time.CLOCK_MONOTONIC), is_nap, lambda t: t != NAP),
    "time:clock_gettime_ns": (
        lambda: time.clock_gettime_ns(time.CLOCK_REALTIME),
        lambda t: t == 946_684_802_500_000_000,
        lambda t: t > 1.7e18,
    ),
    "time:ctime": (
        lambda: time.ctime(),
        lambda text: text == time.ctime(NOW),
        lambda text: not text.endswith(" 2000"),
    ),
    "time:gmtime": (
        lambda: time.gmtime(),
        lambda t: tuple(t)[:6] == (2000, 1, 1, 0, 0, 2),
        lambda t: t.tm_year > 2020,
    ),
    "time:localtime": (
        lambda: time.localtime(),
        lambda t: t == time.localtime(NOW),
        lambda t: t.tm_year > 2020,
    ),
    "time:monotonic": (lambda: time.monotonic(), is_nap, lambda t: t != NAP),
    "time:monotonic_ns": (lambda: time.monotonic_ns(), is_nap_ns, lambda t: t != NAP * 1e9),
    "time:perf_counter": (lambda: time.perf_counter(), is_nap, lambda t: t != NAP),
    "time:perf_counter_ns": (lambda: time.perf_counter_ns(), is_nap_ns, lambda t: t != NAP * 1e9),
    "time:process_time": (lambda: time.process_time(), is_nap, lambda t: t != NAP),
    "time:process_time_ns": (lambda: time.process_time_ns(), is_nap_ns, lambda t: t != NAP * 1e9),
    "time:thread_time": (lambda: time.thread_time(), is_nap, lambda t: t != NAP),
    "time:thread_time_ns": (lambda: time.thread_time_ns(), is_nap_ns, lambda t: t != NAP * 1e9),
    "time:sleep": (lambda: time.sleep(0.0), refused, lambda value: value is None),
    "time:strftime": (
        lambda: time.strftime("%Y %S"),
        lambda text: text == time.strftime("%Y %S", time.localtime(NOW)),
        lambda text: text[:4] > "2020",
    ),
    "time:time": (lambda: time.time(), lambda t: t == NOW, lambda t: t > 1.7e9),
    "time:time_ns": (lambda: time.time_ns(), lambda t: t == 946_684_802_500_000_000, lambda t: t > 1.7e18),
    "os:urandom": (lambda: os.urandom(8), is_drawn, is_drawn),
    "os:getrandom": (lambda: os.getrandom(8), is_drawn, is_drawn),
    "ssl:RAND_bytes": (lambda: ssl.RAND_bytes(8), is_drawn, is_drawn),
    "ssl:RAND_pseudo_bytes": (lambda: random.random(), is_drawn, is_drawn),  # it warns; see below
    "uuid:getnode": (
        lambda: uuid.getnode(),
        lambda node: bool(node >> 40 & 1) and node.bit_length() <= 48,
        lambda node: node.bit_length() <= 48,
    ),
    "uuid:uuid1": (
        lambda: uuid.uuid1(),
        lambda one: one.version == 1 and one.time == 0x01B21DD213814000 + 9_466_848_025_000_000,
        lambda one: one.version == 1 and one.time > 0x01B21DD213814000 + 17_000_000_000_000_000,
    ),
    "socket:socket": (
        lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM),
        lambda one: one.made_of == (socket.AF_INET, socket.SOCK_DGRAM, -1, None),
        is_real_socket,
    ),
    "_socket:getaddrinfo": (
        lambda: socket.getaddrinfo("127.0.0.2", 80, socket.AF_INET, socket.SOCK_STREAM),
        lambda found: found == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 80))],
        lambda found: found == [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.2", 80))],
    ),
    "_socket:gethostbyname": (
        lambda: [socket.gethostbyname(name) for name in ("127.0.0.1", "")],
        lambda found: found == ["127.0.0.1", "0.0.0.0"],
        lambda found: found == ["127.0.0.1", "0.0.0.0"],
    ),
    "_socket:gethostbyname_ex": (
        lambda: socket.gethostbyname_ex("127.0.0.1"),
        lambda found: found == ("127.0.0.1", [], ["127.0.0.1"]),
        lambda found: found == ("127.0.0.1", [], ["127.0.0.1"]),
    ),
    "_socket:gethostbyaddr": (
        lambda: socket.gethostbyaddr("127.0.0.1")[0],
        lambda name: name == "phone",
        lambda name: name != "phone",
    ),
    "_socket:gethostname": (
        lambda: socket.gethostname(),
        lambda name: name == "phone",
        lambda name: name != "phone",
    ),
    "_socket:getnameinfo": (
        lambda: socket.getnameinfo(("127.0.0.1", 80), socket.NI_NUMERICSERV),
        lambda found: found == ("phone", "80"),
        lambda found: found[0] != "phone",
    ),
    "_socket:if_nameindex": (
        lambda: socket.if_nameindex(),
        lambda found: found == [(1, "eth0")],
        lambda found: (1, "eth0") not in found,
    ),
    "_socket:if_nametoindex": (
        lambda: socket.if_nametoindex("lo"),
        lambda number: number == 1,
        lambda number: number > 0,
    ),
    "_socket:if_indextoname": (
        lambda: socket.if_indextoname(1),
        lambda name: name == "eth0",
        lambda name: name != "eth0",
    ),
    "select:poll": (
        lambda: select.poll(),
        lambda one: isinstance(one, Poll),
        lambda one: type(one).__module__ == "select",
    ),
    "select:select": (
        lambda: select.select([], [], [], 0.001),
        refused,
        lambda found: found == ([], [], []),
    ),
    "socket:fromfd": (
        lambda: closed(socket.fromfd(-1, socket.AF_INET, socket.SOCK_STREAM)),
        refused,
        lambda value: isinstance(value, OSError),
    ),
    "socket:socketpair": (
        lambda: kind_of_pair(),  # which is below
        lambda kind: kind == "SimulatedSocket",
        lambda kind: kind == "socket",
    ),
    "_socket:socketpair": (
        lambda: closed(*(one.detach() for one in sys.modules["_socket"].socketpair())),
        refused,
        anything,
    ),
    "datetime:now": (
        lambda: datetime.datetime.now(datetime.UTC),
        lambda now: now == datetime.datetime(2000, 1, 1, 0, 0, 2, 500_000, datetime.UTC),
        lambda now: now.year > 2020,
    ),
    "datetime:utcnow": (
        lambda: silently(datetime.datetime.utcnow),
        lambda now: now == datetime.datetime(2000, 1, 1, 0, 0, 2, 500_000),
        lambda now: now.year > 2020,
    ),
    "asyncio.tasks:as_completed": (
        lambda: asyncio.as_completed([]),
        lambda value: hasattr(value, "__next__"),
        anything,  # on some Pythons it wants a running loop
    ),
    "Random:seed": (lambda: random.Random().random(), is_drawn, is_drawn),
    "_thread:start_new_thread": (
        lambda: threading.Thread(target=len, args=("",)).start(),
        refused,
        lambda value: value is None,
    ),
    "_posixsubprocess:fork_exec": (
        lambda: subprocess.run(["true"]).returncode,
        refused,
        lambda value: value == 0,
    ),
    "_frozen_importlib:_find_and_load": (
        lambda: importlib.import_module("time") is time,
        lambda value: value is True,
        lambda value: value is True,
    ),
}
RANDOM = {
    "betavariate": (1, 2),
    "binomialvariate": (5, 0.5),
    "choice": ([1, 2, 3],),
    "choices": ([1, 2, 3],),
    "expovariate": (1.0,),
    "gammavariate": (1, 2),
    "gauss": (0, 1),
    "getrandbits": (8,),
    "getstate": (),
    "lognormvariate": (0, 1),
    "normalvariate": (0, 1),
    "paretovariate": (1,),
    "randbytes": (3,),
    "randint": (1, 9),
    "random": (),
    "randrange": (9,),
    "sample": ([1, 2, 3], 2),
    "seed": (5,),
    "setstate": (random.Random(3).getstate(),),
    "shuffle": ([1, 2, 3],),
    "triangular": (),
    "uniform": (1, 2),
    "vonmisesvariate": (0, 1),
    "weibullvariate": (1, 2),
}


def drawing(name: str) -> Callable[[], Any]:
    def draw() -> Any:
        state = random.getstate()
        try:
            return getattr(random, name)(*copy.deepcopy(RANDOM[name]))
        finally:
            random.setstate(state)

    return draw


CALLS |= {f"random:{name}": (drawing(name), is_drawn, is_drawn) for name in RANDOM}


def closed(*sockets: Any) -> bool:
    for one in sockets:
        one.close()
    return True


def kind_of_pair() -> str:
    one, other = socket.socketpair()
    closed(one, other)
    return type(one).__name__


def silently(call: Callable[[], Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return call()


def or_error(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def name_of(one: Any) -> str:
    if isinstance(one, StandIn):
        return one.place
    return f"{one.owner.__name__}:{one.name}" if hasattr(one, "owner") else "socket:socket"


def names_here() -> set[str]:
    """The names of all stand-ins on this Python; those of numpy, and of hashes, have tests of their own."""
    names = {name_of(one) for one in stand_ins.places.stand_ins}
    return {name for name in names if not name.startswith("numpy") and not name.endswith(":__hash__")}


HERE = sorted(
    name for name in CALLS if not (name.startswith("random:") and not hasattr(random, name.partition(":")[2]))
)
if not hasattr(ssl, "RAND_pseudo_bytes"):  # gone in 3.12
    HERE.remove("ssl:RAND_pseudo_bytes")


def test_the_table_above_has_all_names() -> None:
    with stand_ins.installed():
        assert names_here() == set(HERE)


@pytest.mark.parametrize("name", HERE)
def test_simulated_code_gets_its_hosts(name: str) -> None:
    call, simulated, _ = CALLS[name]
    value = inside(lambda: or_error(call))
    assert simulated(value), f"{name} gave {value!r}"


@pytest.mark.parametrize("name", HERE)
def test_it_is_the_machines_after_the_run(name: str) -> None:
    call, _, real = CALLS[name]
    inside(lambda: None)
    value = or_error(call)
    assert real(value), f"{name} gave {value!r}"


class Elsewhere:
    """A thread that has nothing to do with any simulation, and calls what it is given."""

    def __init__(self) -> None:
        self._thread = concurrent.futures.ThreadPoolExecutor(1)
        self._thread.submit(len, "").result()

    def __enter__(self) -> Elsewhere:
        return self

    def __exit__(self, *error: object) -> None:
        self._thread.shutdown()

    def call(self, call: Callable[[], Any]) -> Any:
        return self._thread.submit(call).result()


def test_another_thread_gets_the_machines_meanwhile() -> None:
    def ask_all() -> dict[str, Any]:
        return {name: other.call(lambda name=name: or_error(CALLS[name][0])) for name in HERE}  # type: ignore[misc]

    with Elsewhere() as other:
        values = inside(ask_all)
    assert [name for name in HERE if not CALLS[name][2](values[name])] == []


def test_code_around_a_simulation_gets_the_machines() -> None:
    with stand_ins.installed():
        values = {name: or_error(CALLS[name][0]) for name in HERE}
    assert [name for name in HERE if not CALLS[name][2](values[name])] == []


@pytest.mark.parametrize("how", EVERYWHERE, ids=lambda how: how.__name__)
def test_all_that_works_for_a_host_is_simulated(how: Any) -> None:
    assert inside(lambda: (time.monotonic(), time.time(), random.random()), how=how) == (
        NAP,
        NOW,
        random.Random("7/phone/random").random(),
    )
    with pytest.raises(SimulationError, match="simulated host phone"):
        inside(lambda: time.sleep(1), how=how)
    with pytest.raises(SimulationError, match="simulated host phone"):
        inside(lambda: subprocess.run(["true"]), how=how)


def test_what_the_loop_does_before_and_after_components_is_simulated() -> None:
    class Made(Component):
        def __init__(self) -> None:
            super().__init__()
            self.made = time.time()

        async def main(self) -> Any:
            try:
                await sleep(1)
            finally:
                self.made = (self.made, time.time())
            return self.made

    network = Network()
    network.host("phone").run(Made)
    assert network.simulate().results["phone"] == (EPOCH, EPOCH + 1)


if hasattr(ssl, "RAND_pseudo_bytes"):

    def test_pseudo_random_bytes() -> None:
        assert inside(lambda: silently(lambda: ssl.RAND_pseudo_bytes(4))) == (
            random.Random("7/phone/urandom").randbytes(4),
            True,
        )


# -- restored -----------------------------------------------------------------------------------------


def snapshot() -> dict[tuple[str, str], int]:
    """All that all modules hold; by number, or this very module would hold it too."""
    return {
        (name, key): id(value)
        for name, module in list(sys.modules.items())
        if issubclass(type(module), types.ModuleType)
        for key, value in list(object.__getattribute__(module, "__dict__").items())
        if callable(value)
    } | {
        ("in a class", key): id(kind.__dict__[key])
        for kind, key in [
            (datetime.datetime, "now"),
            (datetime.datetime, "utcnow"),
            (random.Random, "seed"),
        ]
    }


def changes(before: dict[tuple[str, str], int], after: dict[tuple[str, str], int]) -> list[Any]:
    return [key for key in before if before[key] != after.get(key)]


def test_all_is_put_back_exactly() -> None:
    inside(lambda: None)
    before = snapshot()
    meanwhile = inside(snapshot)
    assert len(changes(before, meanwhile)) >= len(HERE)
    assert changes(before, snapshot()) == []


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_all_is_put_back_when_a_run_fails(error: type[BaseException]) -> None:
    def fail() -> None:
        raise error("wrong")

    inside(lambda: None)
    before = snapshot()
    with pytest.raises(error):
        inside(fail)
    assert changes(before, snapshot()) == []


def test_all_is_put_back_when_it_cannot_be_put_there(monkeypatch: pytest.MonkeyPatch) -> None:
    inside(lambda: None)
    before = snapshot()

    def fail() -> None:
        raise MemoryError

    monkeypatch.setattr(stand_ins.places, "put", fail)
    with pytest.raises(MemoryError):
        inside(lambda: None)
    monkeypatch.undo()
    assert changes(before, snapshot()) == []
    assert inside(lambda: time.monotonic()) == NAP
    assert changes(before, snapshot()) == []


def test_a_simulation_within_another() -> None:
    def simulate_another() -> Any:
        inner = Network()
        inner.host("phone").run(ask(lambda: (time.monotonic(), random.random(), socket.gethostname())))
        inner.host("other").run(ask(lambda: (time.monotonic(), random.random(), socket.gethostname())))
        trace = inner.simulate(seed=8)
        return trace.results, time.monotonic(), random.random(), socket.gethostname()

    inside(lambda: None)
    before = snapshot()
    results, now, drawn, name = inside(simulate_another)
    assert results == {
        "phone": (NAP, random.Random("8/phone/random").random(), "phone"),
        "other": (NAP, random.Random("8/other/random").random(), "other"),
    }
    assert (now, drawn, name) == (NAP, random.Random("7/phone/random").random(), "phone")
    assert changes(before, snapshot()) == []


def test_two_simulations_side_by_side() -> None:
    inside(lambda: None)
    before = snapshot()
    begun, may_go_on = threading.Event(), threading.Event()

    def hold() -> float:
        begun.set()
        may_go_on.wait()
        return time.monotonic()

    with Elsewhere() as other:
        first = other._thread.submit(inside, hold)
        begun.wait()
        assert inside(lambda: time.monotonic()) == NAP
        assert time.monotonic() != NAP
        may_go_on.set()
        assert first.result() == NAP
    assert changes(before, snapshot()) == []


# -- references ---------------------------------------------------------------------------------------


@pytest.fixture
def holder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A module of somebody's that holds what is replaced, by other names."""
    module = types.ModuleType("holder")
    exec(
        "from time import monotonic as now, time, sleep as wait\n"
        "from datetime import datetime\n"
        "from os import urandom\n"
        "from random import random, Random, SystemRandom\n"
        "from secrets import token_bytes\n"
        "from socket import socket, gethostname, getaddrinfo, create_connection\n"
        "from uuid import uuid4\n",
        vars(module),
    )
    monkeypatch.setitem(sys.modules, "holder", module)
    yield module


def test_references_in_other_modules(holder: Any) -> None:
    real = dict(vars(holder))
    values = inside(
        lambda: (
            holder.now(),
            holder.time(),
            holder.datetime.now().year,
            holder.random(),
            holder.Random().random(),
            holder.gethostname(),
            holder.getaddrinfo("server", 80)[0][4],
            holder.socket().made_of,
            or_error(lambda: holder.wait(1)),
        )
    )
    seeds = random.Random("7/phone/urandom")
    assert values[:-1] == (
        NAP,
        NOW,
        time.localtime(NOW).tm_year,
        random.Random("7/phone/random").random(),
        random.Random(seeds.randbytes(32)).random(),
        "phone",
        (values[6][0], 80),
        (-1, -1, -1, None),
    )
    assert values[6][0].startswith("10.")
    assert refused(values[-1])
    assert [key for key in real if vars(holder)[key] is not real[key]] == []


@pytest.fixture
def newcomer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that nobody has imported yet."""
    (tmp_path / "newcomer.py").write_text(
        "import asyncio, random, threading, time\n"
        "from time import monotonic, sleep\n"
        "from socket import socket, socketpair\n"
        "from datetime import datetime\n"
        "IMPORTED = time.time()\n"
        "STATE = random.getstate()\n"
        "threading.Thread(target=len, args=('',)).start()\n"
        "sleep(0)\n"
        "for end in socketpair(): end.close()\n"
        "class Stopwatch:\n"
        "    timer = monotonic\n"
        "    def read(self): return self.timer()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "newcomer"
    sys.modules.pop("newcomer", None)


def test_a_module_that_is_imported_meanwhile(newcomer: str) -> None:
    def import_it() -> Any:
        import newcomer  # type: ignore[import-not-found]

        assert newcomer.monotonic() == newcomer.Stopwatch().read() == NAP
        assert newcomer.datetime.now() == datetime.datetime.now()
        assert refused(or_error(lambda: newcomer.sleep(1)))
        assert isinstance(newcomer.socket(), FakeSocket)
        return newcomer, random.random()

    state = random.getstate()
    module, drawn = inside(import_it)
    assert module.IMPORTED > 1.7e9  # it is not simulated while it is imported
    assert state == module.STATE
    assert drawn == random.Random("7/phone/random").random()
    assert module.monotonic is time.monotonic
    assert module.sleep is time.sleep
    assert module.socket is socket.socket
    assert module.datetime is datetime.datetime
    assert module.Stopwatch().read() > 0  # in a class nobody looks: it holds a stand-in, for the real one
    assert inside(lambda: (module.monotonic(), module.Stopwatch().read())) == (NAP, NAP)
    assert module.monotonic is time.monotonic


def test_a_module_that_importlib_imports_meanwhile(newcomer: str) -> None:
    module = inside(lambda: importlib.import_module(newcomer))
    assert module.IMPORTED > 1.7e9
    assert module.monotonic is time.monotonic


def test_a_module_that_cannot_be_imported() -> None:
    def try_it() -> Any:
        import nobody_has_this  # type: ignore[import-not-found]

        return nobody_has_this

    with pytest.raises(ModuleNotFoundError, match="nobody_has_this"):
        inside(try_it)


def test_a_name_that_a_module_gets_meanwhile(holder: Any) -> None:
    def take() -> None:
        holder.later = time.perf_counter

    inside(take)
    assert holder.later is time.perf_counter
    assert inside(lambda: holder.later()) == NAP


def test_a_module_that_takes_anothers_place(holder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    inside(lambda: None)
    other = types.ModuleType("holder")
    vars(other).update(vars(holder))
    monkeypatch.setitem(sys.modules, "holder", other)
    assert inside(lambda: other.now()) == NAP
    assert other.now is time.monotonic


def test_what_is_no_module_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pretends:
        """As those that cffi makes, which stand in `sys.modules`."""

        __slots__ = ()
        __class__ = types.ModuleType  # type: ignore[assignment]

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"somebody has asked for {name}")

    monkeypatch.setitem(sys.modules, "pretends", Pretends())  # type: ignore[arg-type]
    monkeypatch.setitem(sys.modules, "nothing", None)  # type: ignore[arg-type]
    assert inside(lambda: time.monotonic()) == NAP


def test_a_module_that_is_lazy_is_not_woken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    (tmp_path / "sleeper.py").write_text("raise AssertionError('somebody has woken it')")
    spec = importlib.util.spec_from_file_location("sleeper", tmp_path / "sleeper.py")
    assert spec is not None and spec.loader is not None
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "sleeper", module)
    spec.loader.exec_module(module)
    assert inside(lambda: time.monotonic()) == NAP


def test_what_somebody_has_put_in_the_place_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 5.0)
    assert inside(lambda: time.time()) == 5.0
    assert time.time() == 5.0
    monkeypatch.undo()
    assert inside(lambda: time.time()) == NOW


def test_what_somebody_puts_in_the_place_meanwhile_stays() -> None:
    real = [time.time]

    def put() -> None:
        time.time = lambda: 5.0

    try:
        inside(put)
        assert time.time() == 5.0
    finally:
        time.time = real[0]
    assert inside(lambda: time.time()) == NOW


@pytest.mark.parametrize("module", [threading, subprocess, concurrent.futures, asyncio, logging])
def test_modules_that_wait_for_threads_keep_their_time(module: Any) -> None:
    names = [
        one for one in list(sys.modules) if one == module.__name__ or one.startswith(module.__name__ + ".")
    ]

    def held() -> set[str]:
        return {
            f"{name}.{key}"
            for name in names
            for key, value in vars(sys.modules[name]).items()
            if isinstance(value, StandIn)
        }

    replaced = {"threading._start_new_thread", "subprocess._fork_exec"}
    replaced |= {"asyncio.as_completed", "asyncio.tasks.as_completed"}
    assert inside(held) - replaced == set()


def test_one_of_those_that_is_imported_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "concurrent_futures_like.py").write_text("from time import monotonic\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(
        stand_ins.places.__class__._search_module.__globals__["sys"].modules[
            "kamaelia.testbed.stand_ins.places"
        ],
        "SPARED",
        ("concurrent_futures_like",),
    )

    def import_it() -> bool:
        module = importlib.import_module("concurrent_futures_like")
        return isinstance(module.monotonic, StandIn)

    try:
        assert inside(import_it) is False
    finally:
        sys.modules.pop("concurrent_futures_like", None)


def test_the_second_time_nothing_is_searched() -> None:
    inside(lambda: None)
    assert inside(lambda: stand_ins.places.searched) == 0
    assert stand_ins.places.searched == 0


# -- datetime -----------------------------------------------------------------------------------------


class Moment(datetime.datetime):
    """Somebody's own class of datetime, made before any simulation."""


def check_datetime() -> None:
    kind = datetime.datetime
    now = datetime.datetime.now()
    assert type(now) is datetime.datetime is type(kind(2000, 1, 2)) is type(DAY)
    assert isinstance(now, datetime.datetime) and isinstance(now, datetime.date)
    assert isinstance(DAY, datetime.datetime) and issubclass(Moment, datetime.datetime)
    assert not isinstance(datetime.date(2000, 1, 1), datetime.datetime)
    assert {datetime.datetime: 1}[type(now)] == 1
    assert pickle.loads(pickle.dumps(now)) == now == copy.deepcopy(now)
    assert pickle.loads(pickle.dumps(kind)) is kind is datetime.datetime
    assert now - DAY < datetime.timedelta(days=2) and type(now - DAY) is datetime.timedelta
    assert type(now + datetime.timedelta(1)) is datetime.datetime and DAY < now < now + (now - DAY)
    assert hash(now) == hash(datetime.datetime.fromisoformat(now.isoformat()))
    assert datetime.datetime.today() == now and datetime.date.today() == now.date()
    assert type(datetime.date.today()) is datetime.date
    assert type(datetime.datetime.combine(now.date(), now.time())) is datetime.datetime
    assert type(Moment.now()) is Moment is type(Moment.now(datetime.UTC)) is type(Moment.today())
    assert Moment.now() == now
    assert now.now() == now  # by an instance, as a classmethod may be called
    assert silently(Moment.utcnow) == silently(datetime.datetime.utcnow)

    class Later(datetime.datetime):
        pass

    assert type(Later.now()) is Later and isinstance(Later.now(), datetime.datetime)
    zone = datetime.timezone(datetime.timedelta(hours=2))
    assert datetime.datetime.now(tz=zone).isoformat() == "2000-01-01T02:00:02.500000+02:00"
    assert datetime.datetime.now(zone) == datetime.datetime.now(datetime.UTC)
    assert datetime.datetime.now(datetime.UTC).timestamp() == time.time()
    assert now.timestamp() == NOW
    with pytest.raises(TypeError):
        datetime.datetime.now("UTC")  # type: ignore[arg-type]


def test_datetime_is_the_same_class_as_ever() -> None:
    inside(check_datetime)
    inside(check_datetime)


def test_datetime_now_is_exact() -> None:
    @component
    async def count(inbox: Any, outbox: Any) -> list[int]:
        found = []
        for _ in range(1000):
            await sleep(0.000_001)
            found.append(datetime.datetime.now().microsecond)
        return found

    network = Network()
    network.host("phone").run(count)
    assert network.simulate().results["phone"] == list(range(1, 1001))


def test_values_made_inside_are_like_all_others_outside() -> None:
    value = inside(lambda: datetime.datetime.now(datetime.UTC))
    assert type(value) is datetime.datetime
    assert json.dumps([value.isoformat()]) == '["2000-01-01T00:00:02.500000+00:00"]'
    assert value < datetime.datetime.now(datetime.UTC)


@pytest.mark.parametrize("simulated", [True, False])
def test_utcnow_is_deprecated_where_it_is(simulated: bool) -> None:
    def ask() -> list[str]:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            datetime.datetime.utcnow()
        return [f"{one.category.__name__} {Path(one.filename).name}" for one in caught]

    with stand_ins.installed():
        warned = inside(ask) if simulated else ask()
    assert warned == (["DeprecationWarning test_stand_ins.py"] if sys.version_info >= (3, 12) else [])


def test_without_ctypes_there_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ctypes", None)
    with pytest.warns(RuntimeWarning, match="datetime.datetime tells simulated code the machine's time"):
        assert inside(lambda: datetime.datetime.now().year) > 2020


# -- chance -------------------------------------------------------------------------------------------


def draw_all() -> list[Any]:
    import numpy

    numbers: list[Any] = [
        random.random(),
        random.randint(1, 10**9),
        random.choice("abcdefghijk"),
        random.sample(range(1000), 3),
        random.gauss(0, 1),
        random.Random().random(),
        random.SystemRandom().random(),
        random.SystemRandom().randint(1, 10**9),
        secrets.token_hex(8),
        secrets.randbelow(10**9),
        secrets.choice("abcdefghijk"),
        secrets.token_urlsafe(),
        str(uuid.uuid4()),
        str(uuid.uuid1()),
        str(uuid.uuid1()),
        uuid.getnode(),
        os.urandom(8).hex(),
        os.getrandom(8).hex(),
        ssl.RAND_bytes(8).hex(),
        float(numpy.random.default_rng().random()),
        float(numpy.random.random()),
        float(numpy.random.ranf()),
        int(numpy.random.randint(10**9)),
        numpy.random.rand(2).tolist(),
    ]
    shuffled = list(range(20))
    random.shuffle(shuffled)
    numpy.random.shuffle(shuffled)
    return [*numbers, shuffled]


def test_the_same_seed_draws_the_same() -> None:
    first = inside(draw_all, seed=3)
    assert first == inside(draw_all, seed=3)
    other = inside(draw_all, seed=4)
    assert [one for one in zip(first, other, strict=True) if one[0] == one[1]] == []


def test_what_the_host_draws_is_known() -> None:
    own, system = random.Random("7/phone/random"), random.Random("7/phone/urandom")
    assert inside(lambda: (random.random(), os.urandom(4), random.random(), uuid.uuid4())) == (
        own.random(),
        system.randbytes(4),
        own.random(),
        uuid.UUID(bytes=system.randbytes(16), version=4),
    )


PROGRAM = """
import json
from tests.testbed.test_stand_ins import draw_all, inside
print(json.dumps(inside(draw_all, seed=3)))
"""


@pytest.mark.once
def test_other_processes_draw_the_same() -> None:
    root = Path(__file__).resolve().parents[2]
    path = os.pathsep.join([str(root / "src"), str(root)])
    printed = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": seed},
            cwd=root,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert [json.loads(one) for one in printed] == [json.loads(json.dumps(inside(draw_all, seed=3)))]


def test_what_one_host_draws_changes_nothing_for_another() -> None:
    def draws(others: int) -> Any:
        @component
        async def draw_often(inbox: Any, outbox: Any) -> None:
            for _ in range(others):
                random.random(), os.urandom(3), random.seed(1), secrets.token_bytes(5)
                await sleep(0.1)

        network = Network()
        network.host("other").run(draw_often)
        network.host("phone").run(ask(draw_all))
        return network.simulate(seed=3).results["phone"]

    assert draws(0) == draws(50) == inside(draw_all, seed=3)


def test_hosts_draw_differently() -> None:
    network = Network()
    for name in ("a", "b"):
        network.host(name).run(ask(draw_all))
    results = network.simulate(seed=3).results
    assert [one for one in zip(results["a"], results["b"], strict=True) if one[0] == one[1]] == []


def test_seeds_and_states_are_the_hosts() -> None:
    def seed_it() -> Any:
        random.seed(5)
        first = random.random()
        state = random.getstate()
        second = random.random()
        random.setstate(state)
        return first, second, random.random(), random.seed(), random.random()

    before = random.getstate()
    first, second, again, _, fresh = inside(seed_it)
    known = random.Random(5)
    assert (first, second) == (known.random(), known.random())
    assert again == second
    assert fresh == random.Random(random.Random("7/phone/urandom").randbytes(32)).random()
    assert random.getstate() == before


def test_generators_with_a_seed_are_left_alone() -> None:
    class Own(random.Random):
        def random(self) -> float:
            return 0.5

    assert inside(lambda: random.Random(5).random()) == random.Random(5).random()
    assert inside(lambda: random.Random("five").random()) == random.Random("five").random()
    assert inside(lambda: Own().random()) == 0.5


def test_uuids_of_one_instant_differ() -> None:
    first, second, third = inside(lambda: [uuid.uuid1(), uuid.uuid1(), uuid.uuid1(node=5, clock_seq=9)])
    assert (second.time, third.time) == (first.time + 1, first.time + 2)
    assert (first.node, third.node, third.clock_seq) == (second.node, 5, 9)


def test_wrong_sizes_are_refused_as_ever() -> None:
    for wrong, error in [(-1, ValueError), ("x", TypeError), (1.5, TypeError)]:
        with pytest.raises(error):
            inside(lambda wrong=wrong: os.urandom(wrong))  # type: ignore[misc]
    assert inside(lambda: os.urandom(0)) == b""


def test_numpys_functions_have_a_stream_of_their_own() -> None:
    import numpy

    words = random.Random("7/phone/numpy")
    known = numpy.random.RandomState([words.getrandbits(32) for _ in range(8)])
    before = numpy.random.get_state()[1].tolist()  # type: ignore[index]
    expected = known.random_sample(), known.randint(100), known.normal()
    assert inside(lambda: (numpy.random.ranf(), numpy.random.randint(100), numpy.random.normal())) == expected

    def seeded() -> float:
        numpy.random.seed(3)
        return numpy.random.random()

    assert inside(seeded) == numpy.random.RandomState(3).random_sample()
    assert numpy.random.get_state()[1].tolist() == before  # type: ignore[index]


@pytest.mark.once
def test_numpy_that_is_imported_in_a_simulation_draws_the_same() -> None:
    root = Path(__file__).resolve().parents[2]
    program = (
        "from tests.testbed.test_stand_ins import draw_all, inside\n"
        "import sys\n"
        "assert 'numpy' not in sys.modules\n"
        "assert inside(draw_all) == inside(draw_all)\n"
    )
    path = os.pathsep.join([str(root / "src"), str(root)])
    subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path}, cwd=root, check=True
    )


# -- sockets and names --------------------------------------------------------------------------------


def test_a_simulated_socket_is_a_socket() -> None:
    def check() -> None:
        made = socket.socket()
        assert isinstance(made, socket.socket) and type(made) is FakeSocket
        assert issubclass(FakeSocket, socket.socket)
        assert not isinstance("", socket.socket) and not issubclass(str, socket.socket)
        assert socket.socket.__name__ == "socket" and socket.socket.__module__ == "socket"
        assert socket.socket.sendall is not None and socket.socket | None
        assert socket.socket(family=socket.AF_INET6).made_of == (socket.AF_INET6, -1, -1, None)
        assert socket.socket(fileno=5).made_of == (-1, -1, -1, 5)
        assert isinstance(real[0], socket.socket)

        class Own(socket.socket):
            pass

        assert issubclass(Own, socket.socket) and not isinstance(made, Own)
        assert refused(or_error(Own))

    real = [socket.socket()]
    inside(check)
    assert not isinstance(FakeSocket(), socket.socket)
    real[0].close()


def test_what_hosts_make(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()

    def make() -> Any:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
            return isinstance(made, socket.socket), type(made).__name__, made.type, made.getsockname()

    assert inside(make) == (True, "SimulatedSocket", socket.SOCK_DGRAM, ("0.0.0.0", 0))
    with pytest.raises(OSError, match="there are no files behind simulated sockets"):
        inside(lambda: socket.socket(fileno=0))


def test_a_subclass_that_was_made_inside_is_one_of_the_real_class() -> None:
    def define() -> Any:
        class Own(socket.socket):
            pass

        return Own

    own = inside(define)
    assert issubclass(own, socket.socket)
    with own() as made:
        assert isinstance(made, socket.socket)


def test_create_connection_works_through_the_simulated_socket() -> None:
    made = inside(lambda: socket.create_connection(("server", 1500), timeout=3))
    assert isinstance(made, FakeSocket)
    host, port = made.connected
    assert port == 1500 and host.startswith("10.")


def test_names_are_those_of_the_network() -> None:
    def look_up() -> Any:
        address = socket.gethostbyname("server")
        return (
            socket.getaddrinfo("server", 80, type=socket.SOCK_STREAM),
            socket.gethostbyname_ex("server") == ("server", [], [address]),
            socket.gethostbyaddr(address) == ("server", [], [address]),
            socket.gethostbyaddr("server") == ("server", [], [address]),
            socket.getfqdn(),
            socket.getfqdn("server"),
            socket.gethostbyname("<broadcast>"),
        )

    found, *checks = inside(look_up)
    assert [one[:4] for one in found] == [(socket.AF_INET, socket.SOCK_STREAM, 6, "")]
    assert type(found[0][0]) is socket.AddressFamily
    assert checks == [True, True, True, "phone", "server", "255.255.255.255"]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: socket.getaddrinfo("nobody", 80), socket.gaierror),
        (lambda: socket.gethostbyname("nobody"), socket.gaierror),
        (lambda: socket.gethostbyaddr("10.200.0.1"), socket.herror),
        (lambda: socket.if_nametoindex("eth7"), OSError),
        (lambda: socket.if_indextoname(7), OSError),
    ],
)
def test_names_that_are_not_there(call: Callable[[], Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        inside(call)


def test_names_that_take_time_are_not_looked_up_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(self: Any, *args: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(1)

    monkeypatch.setattr(HostLoop, "getaddrinfo", slow)
    with pytest.raises(SimulationError, match=r"^names are looked up in time here: write `await loop"):
        inside(lambda: socket.gethostbyname("server"))


# -- order --------------------------------------------------------------------------------------------


class Mine(asyncio.Protocol):
    """Keeps its hash, wherever that is asked for first."""


class Plain:
    """Is in the order of addresses."""


class Slotted(asyncio.Protocol):
    """Has no place for a number."""

    __slots__ = ()


class Equal(asyncio.Protocol):
    """Has a hash of its own."""

    def __hash__(self) -> int:
        return 42


async def orders() -> list[Any]:
    """The order of sets of all sorts of objects, after something has been done with the memory."""
    loop = asyncio.get_running_loop()
    junk = [[object() for _ in range(secrets.randbelow(50))] for _ in range(100)]

    async def nothing() -> None: ...

    async def endpoint() -> Any:
        made, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("0.0.0.0", 0))
        return made

    async def connection() -> Any:
        made, _ = await loop.create_connection(asyncio.Protocol, "phone", 1500)
        return made

    kinds: list[Callable[[], Any]] = [
        loop.create_future,
        lambda: loop.create_task(nothing()),
        Mine,
        asyncio.StreamReader,
        socket.socket,
        endpoint,
        connection,
    ]
    found = []
    server = await loop.create_server(asyncio.Protocol, port=1500)
    for make in kinds:
        made = []
        for _ in range(40):
            one = make()
            made.append(await one if asyncio.iscoroutine(one) else one)
            junk.append([object() for _ in range(secrets.randbelow(50))])
        found.append([made.index(one) for one in set(made)])
        assert [hash(one) for one in made] == [hash(one) for one in made]
    server.close()
    return found


@component
async def order_sets(inbox: Any, outbox: Any) -> Any:
    return await orders()


def test_sets_are_in_the_same_order_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with whole sockets

    def run(seed: int) -> Any:
        network = Network()
        network.host("phone").run(order_sets)
        return network.simulate(seed=seed).results["phone"]

    first = run(7)
    assert [sorted(one) for one in first] == [list(range(40))] * 7
    for seed in range(3):  # which decides what is done with the memory
        assert run(seed) == first


def test_only_simulated_code_numbers_what_it_has() -> None:
    before, elsewhere = Mine(), Mine()
    known = hash(before)

    def look() -> Any:
        assert other.call(lambda: hash(elsewhere)) == object.__hash__(elsewhere)
        assert hash(Slotted()) > 1_000_000 < hash(Plain())
        assert hash(Equal()) == 42
        return made, hash(made), hash(Mine())

    made = Mine()
    with Elsewhere() as other:
        _, first, second = inside(look)
    assert second == first + 1
    assert hash(before) == known == object.__hash__(before)
    assert hash(made) == object.__hash__(made) != first  # the simulation is over, and so is its order
    assert "__hash__" not in vars(asyncio.BaseProtocol)


def test_as_completed_starts_in_order() -> None:
    started: list[int] = []

    async def start(number: int) -> int:
        started.append(number)
        await asyncio.sleep(0.001 * (number * 7 % 20))
        return number

    @component
    async def ask_all(inbox: Any, outbox: Any) -> Any:
        found = [await one for one in asyncio.as_completed([start(number) for number in range(20)])]
        with pytest.raises(TypeError):
            list(asyncio.as_completed(asyncio.sleep(0)))  # type: ignore[arg-type]
        with pytest.raises(TimeoutError):
            for one in asyncio.as_completed([start(19)], timeout=0.001):
                await one
        return found

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the coroutine that nobody awaits
        network = Network()
        network.host("phone").run(ask_all)
        found = network.simulate().results["phone"]
    assert started == [*range(20), 19]
    assert found == sorted(range(20), key=lambda number: number * 7 % 20)


def test_classes_that_are_not_there_any_more_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(order.CLASSES, __name__, ("Plain", "Equal", "Missing"))
    (one,) = order.of_classes(__name__)()
    assert (one.owner, one.name, one.real) == (Plain, "__hash__", None)
    one.take_back()  # which is not there
    one.put()
    one.put()
    thing, other = Plain(), Plain()
    assert inside(lambda: hash(thing) - hash(other)) == -1  # numbers, and not addresses
    one.take_back()
    assert "__hash__" not in vars(Plain)


# -- what is refused ----------------------------------------------------------------------------------

INSTEAD = "Write `socket.socket(...)`, which makes a simulated one, or `asyncio.open_connection(...)`"
PROGRAM_INSTEAD = (
    "it would run in real time, on the machine's network. Simulate it as a component: run one on a host that "
    "does what it does"
)
FORK_INSTEAD = (
    "the new process would leave the simulation. Simulate it as a component: run another one, on this host "
    "or on one of its own"
)
WAITING = "it would hold up all hosts, and no virtual time would pass. Write"
WAITING_INSTEAD = "to ask without waiting, or `await loop.sock_recv(...)`, or `loop.add_reader(...)`"
THREAD_INSTEAD = (
    "the machine would choose when it runs. Write `await asyncio.to_thread(...)`, or a component that is a "
    "plain `def`: such a script has a thread of its own"
)


class Held:
    """References that no search finds."""

    sleep = staticmethod(time.sleep)
    getaddrinfo = staticmethod(vars(sys.modules["_socket"])["getaddrinfo"])
    gethostname = staticmethod(socket.gethostname)
    socketpair = staticmethod(socket.socketpair)
    socket = socket.socket


outside: list[socket.socket] = []


@pytest.fixture
def real_socket() -> Iterator[None]:
    with socket.socket() as one:
        outside.append(one)
        yield
        outside.clear()


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (
        lambda: time.sleep(0.5),
        "time.sleep(0.5) on simulated host phone: it would hold up all hosts, and no virtual time would pass."
        " Write `await kamaelia.sleep(0.5)` or `await asyncio.sleep(0.5)`, in a script `kamaelia.sleep(0.5)`",
    ),
    (
        lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM),
        f"socket.socketpair({socket.AF_UNIX!r}, {socket.SOCK_DGRAM!r}) on simulated host phone: there are "
        "pairs of Unix sockets. Write `socket.socketpair()`",
    ),
    (
        lambda: socket.fromfd(0, socket.AF_INET, socket.SOCK_STREAM),
        f"socket.fromfd() on simulated host phone: there is no file behind a simulated socket. {INSTEAD}",
    ),
    (
        lambda: Held.socket(),
        "making a real socket.socket on simulated host phone: it would lead out of the simulation. "
        + INSTEAD,
    ),
    (
        lambda: Held.socketpair(),
        "a real socket.socketpair() on simulated host phone: its ends would be the machine's. "
        "Write `socket.socketpair()` where it is called, which makes simulated ones",
    ),
    (
        lambda: ssl.create_default_context().wrap_socket(outside[0], server_hostname="server"),
        "making a real ssl.SSLSocket on simulated host phone: it would lead out of the simulation. "
        + INSTEAD,
    ),
    (
        lambda: outside[0].connect(("127.0.0.1", 9)),
        "connecting a real socket to ('127.0.0.1', 9) on simulated host phone: it would lead out of the "
        f"simulation. {INSTEAD}",
    ),
    (
        lambda: outside[0].bind(("127.0.0.1", 0)),
        "binding a real socket to ('127.0.0.1', 0) on simulated host phone: it would lead out of the "
        f"simulation. {INSTEAD}",
    ),
    (
        lambda: Held.getaddrinfo("server", 80),
        "asking the machine for the name 'server' on simulated host phone: it does not know the simulated "
        "network. Write `await asyncio.get_running_loop().getaddrinfo(...)`",
    ),
    (
        lambda: Held.gethostname(),
        "asking the machine for its name on simulated host phone: it does not know the simulated "
        "network. Write `await asyncio.get_running_loop().getaddrinfo(...)`",
    ),
    (
        lambda: select.poll().poll(100),
        f"poll(100) on simulated host phone: {WAITING} poll(0) {WAITING_INSTEAD}",
    ),
    (
        lambda: select.poll().poll(),
        f"poll() on simulated host phone: {WAITING} poll(0) {WAITING_INSTEAD}",
    ),
    (
        lambda: select.select([], [], []),
        "select.select(..., None) on simulated host phone: "
        f"{WAITING} select.select(..., 0) {WAITING_INSTEAD}",
    ),
    (
        lambda: subprocess.run(["curl", "server"]),
        f"the program 'curl' on simulated host phone: {PROGRAM_INSTEAD}",
    ),
    (
        lambda: os.system("true"),
        f"the program b'true' on simulated host phone: {PROGRAM_INSTEAD}",
    ),
    (
        lambda: os.posix_spawn("/bin/true", ["true"], {}),
        f"the program '/bin/true' on simulated host phone: {PROGRAM_INSTEAD}",
    ),
    (
        lambda: os.execv("/bin/true", ["true"]),
        f"the program '/bin/true' on simulated host phone: {PROGRAM_INSTEAD}",
    ),
    (
        lambda: sys.modules["_posixsubprocess"].fork_exec([b"/bin/true"]),
        f"the program b'/bin/true' on simulated host phone: {PROGRAM_INSTEAD}",
    ),
    (lambda: os.fork(), f"a fork on simulated host phone: {FORK_INSTEAD}"),
    (lambda: os.forkpty(), f"a fork on simulated host phone: {FORK_INSTEAD}"),
    (
        lambda: multiprocessing.get_context("fork").Process(target=len).start(),
        f"a fork on simulated host phone: {FORK_INSTEAD}",
    ),
    (
        lambda: threading.Thread(target=len, name="helper").start(),
        f"the thread 'helper' on simulated host phone: {THREAD_INSTEAD}",
    ),
    (
        lambda: sys.modules["_thread"].start_new_thread(len, ("",)),
        f"the thread 'len' on simulated host phone: {THREAD_INSTEAD}",
    ),
    (
        lambda: concurrent.futures.ThreadPoolExecutor(1, "pool").submit(len, ""),
        f"the thread 'pool_0' on simulated host phone: {THREAD_INSTEAD}",
    ),
]


@pytest.mark.parametrize(("call", "says"), REFUSED)
def test_what_leads_out_is_refused(call: Callable[[], Any], says: str, real_socket: None) -> None:
    with pytest.raises(SimulationError) as caught:
        inside(call)
    assert str(caught.value) == says
    assert isinstance(caught.value, RuntimeError)


def test_a_sleep_that_is_held_is_refused_where_python_tells_of_it() -> None:
    found = inside(lambda: or_error(lambda: Held.sleep(0)))
    if sys.version_info >= (3, 13):
        assert str(found) == str(inside(lambda: or_error(lambda: time.sleep(0))))
    else:
        assert found is None


def test_every_refusal_has_a_sentence() -> None:
    """Those that only other systems or other Pythons know are tried here by hand."""
    loop = types.SimpleNamespace(stack=types.SimpleNamespace(name="phone"))
    arguments: dict[str, tuple[Any, ...]] = {
        "_thread.start_joinable_thread": (len,),
        "_thread.start_new_thread": (len,),
        "os.fork": (),
        "os.forkpty": (),
        "os.spawn": (0, "true", [], None),
        "socket.__new__": (FakeSocket(), 2, 1, 0),
        "time.sleep": (1,),
    }
    for event, refuse in audit.REFUSED.items():
        with pytest.raises(SimulationError, match="on simulated host phone: "):
            refuse(loop, *arguments.get(event, ("a", "b")))


def test_what_is_refused_inside_works_outside() -> None:
    inside(lambda: None)
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
    assert subprocess.run(["true"]).returncode == 0
    with Elsewhere() as other:
        assert inside(lambda: other.call(lambda: subprocess.run(["true"]).returncode)) == 0


def test_our_own_threads_are_not_refused() -> None:
    def start() -> bool:
        with stand_ins.allowed():
            thread = threading.Thread(target=len, args=("",))
            thread.start()
            thread.join()
            return time.time() > 1.7e9

    assert inside(start) is True


def test_a_thread_may_work_for_a_host() -> None:
    def work(loop: Any) -> Any:
        with stand_ins.this_thread_works_for(loop):
            inner = time.monotonic(), socket.gethostname()
        return inner, time.monotonic()

    def start() -> Any:
        loop = asyncio.get_running_loop()
        return other.call(lambda: work(loop))

    with Elsewhere() as other:
        inner, after = inside(start)
    assert inner == (NAP, "phone")
    assert after != NAP


def test_polling_tells_what_a_socket_is_ready_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of transports as well; those of files are asked of the machine."""
    monkeypatch.undo()  # with whole sockets
    seen: list[tuple[str, Any]] = []

    def look(when: str, sock: Any, file: Any) -> None:
        poll = select.poll()
        poll.register(sock)
        poll.register(file, select.POLLIN)
        poll.modify(sock, select.POLLIN | select.POLLOUT)
        ready = {number: state for number, state in poll.poll(0)}
        assert select.select([sock, file], [sock], [], 0) == (
            [one for one in (sock, file) if ready.get(one.fileno(), 0) & (select.POLLIN | select.POLLHUP)],
            [one for one in [sock] if ready[one.fileno()] & (select.POLLOUT | select.POLLERR)],
            [],
        )
        for call in (lambda: poll.poll(100), lambda: select.select([file], [sock], [], 0.1)):
            with pytest.raises(SimulationError, match="on simulated host phone: it would hold up all hosts"):
                call()
        poll.unregister(sock)
        assert [number for number, _ in poll.poll(100)] == [file.fileno()]
        assert select.select([file], [], [], 0.1) == ([file], [], [])
        seen.append((when, ready[sock.fileno()]))

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.write(b"hello")
            await asyncio.sleep(1)
            writer.close()
            await asyncio.sleep(1)
            if await reader.read():
                raise AssertionError("nothing was to come")

        async with await asyncio.start_server(greet, port=1500) as listening:
            await listening.serve_forever()

    @component
    async def client(inbox: Any, outbox: Any) -> None:
        reader, writer = await asyncio.open_connection("server", 1500)
        transport: Any = writer.transport
        sock = transport.get_extra_info("socket")
        with Path(__file__).open() as file:  # noqa: ASYNC230, what poll tells of it is the question
            look("connected", sock, file)
            transport.pause_reading()
            writer.write(b"\n")
            await asyncio.sleep(0.5)
            look("something has come, and nobody reads", sock, file)
            transport.resume_reading()
            await reader.readexactly(5)
            look("it has been read", sock, file)
            await asyncio.sleep(1)
            look("the end has come", sock, file)
            number = sock.fileno()
            writer.close()
            await writer.wait_closed()
            for closed in (number, number + 1000):
                poll = select.poll()
                poll.register(closed)
                assert poll.poll(0) == [(closed, select.POLLNVAL)]
                with pytest.raises(OSError, match="Bad file descriptor"):
                    select.select([closed], [], [], 0)
            with pytest.raises(ValueError, match="negative"):
                poll.register(sock)
            with pytest.raises(FileNotFoundError):
                poll.modify(1, 1)
            with pytest.raises(KeyError):
                poll.unregister(1)

    network = Network()
    network.host("server").run(server)
    network.host("phone").run(client)
    network.link("server", "phone", delay="10 ms")
    network.simulate(until="phone")
    assert seen == [
        ("connected", select.POLLOUT),
        ("something has come, and nobody reads", select.POLLIN | select.POLLOUT),
        ("it has been read", select.POLLOUT),
        ("the end has come", select.POLLIN | select.POLLOUT),
    ]


def test_files_are_the_machines(tmp_path: Path) -> None:
    def write() -> str:
        import tempfile

        (tmp_path / "a").write_text("b")
        with tempfile.NamedTemporaryFile(dir=tmp_path) as file:
            file.write(b"c")
        return (tmp_path / "a").read_text()

    assert inside(write) == "b"


# -- what stand-ins look like -------------------------------------------------------------------------


def test_stand_ins_look_like_what_they_stand_for() -> None:
    def look() -> Any:
        return (
            repr(time.monotonic),
            time.monotonic.__name__,
            time.monotonic.__doc__,
            str(inspect.signature(random.uniform)),
            pickle.loads(pickle.dumps(time.monotonic)) is time.monotonic,
            copy.deepcopy(random.random) is random.random,
            time.monotonic,
        )

    *looks, held = inside(look)
    assert looks == [
        "<stand-in for time.monotonic>",
        "monotonic",
        time.monotonic.__doc__,
        str(inspect.signature(random.uniform)),
        True,
        True,
    ]
    assert isinstance(held, StandIn)
    assert held() > 0
    assert pickle.loads(pickle.dumps(held)) is time.monotonic


def test_a_hosts_own_clock_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be wrong."""

    def look() -> Any:
        loop = asyncio.get_running_loop()
        with monkeypatch.context() as clock:
            clock.setattr(type(loop), "time", lambda self: self.clock.now / 1e9 + 1)
            clock.setattr(type(loop), "skew", -2.0, raising=False)
            return (
                time.monotonic(),
                time.perf_counter_ns(),
                time.time() == calendar(loop),
                time.time_ns(),
                datetime.datetime.now(datetime.UTC).second,
            )

    assert inside(look) == (NAP + 1, 3_500_000_000, True, 946_684_801_500_000_000, 1)


def test_a_host_that_was_restarted_draws_anew() -> None:
    def draw() -> float:
        vars(asyncio.get_running_loop())["seed"] = "7/start 2"
        return random.random()

    assert inside(draw) == random.Random("7/start 2/phone/random").random()


def test_logging_tells_virtual_time() -> None:
    assert inside(lambda: logging.makeLogRecord({}).created) == NOW


# -- other people's libraries -------------------------------------------------------------------------


def test_websockets_draws_from_its_hosts_streams() -> None:
    from websockets.asyncio.client import connect
    from websockets.asyncio.server import serve

    keys: list[str] = []

    async def greet(connection: Any) -> None:
        keys.append(connection.request.headers["Sec-WebSocket-Key"])
        keys.append(connection.response.headers["Date"])
        await connection.send("hello")
        await connection.wait_closed()

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        async with serve(greet, "0.0.0.0", 1500, compression=None):
            await asyncio.get_running_loop().create_future()

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        async with connect("ws://server:1500", compression=None) as connection:
            await (await connection.ping())
            return await connection.recv()

    network = Network()
    network.host("server").run(server)
    network.host("phone").run(client)
    network.link("server", "phone", delay="10 ms")
    fingerprints = {network.simulate(seed=3, until="phone").fingerprint for _ in range(2)}
    assert len(fingerprints) == 1
    assert keys[:2] == keys[2:]
    assert keys[1] == "Sat, 01 Jan 2000 00:00:00 GMT"


def test_aiohttp_draws_from_its_hosts_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # with whole sockets
    import aiohttp
    from aiohttp import web

    async def tell(request: web.Request) -> web.Response:
        form = await request.post()
        return web.json_response([request.headers["Content-Type"], dict(form)])  # type: ignore[arg-type]

    @component
    async def server(inbox: Any, outbox: Any) -> None:
        application = web.Application()
        application.router.add_post("/", tell)
        runner = web.AppRunner(application)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", 1500).start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await runner.cleanup()

    @component
    async def client(inbox: Any, outbox: Any) -> Any:
        form = aiohttp.FormData({"a": "b"}, default_to_multipart=True)
        async with aiohttp.ClientSession() as session:
            async with session.post("http://server:1500", data=form) as response:
                return response.headers["Date"], await response.json()

    network = Network()
    network.host("server").run(server)
    network.host("phone").run(client)
    network.link("server", "phone", delay="10 ms", loss="5 %")
    first, second, other = (network.simulate(seed=seed, until="phone") for seed in (3, 3, 4))
    date, (kind, form) = first.results["phone"]
    assert date == "Sat, 01 Jan 2000 00:00:00 GMT"
    assert kind.startswith("multipart/form-data; boundary=") and form == {"a": "b"}
    assert (first.results, first.fingerprint) == (second.results, second.fingerprint)
    assert other.results["phone"][1][0] != kind


# -- the page -----------------------------------------------------------------------------------------


@pytest.mark.once
def test_the_page_names_them_all() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/explanation/simulated-code.md").read_text()
    left_out = {"_frozen_importlib", "_posixsubprocess", "_thread"}
    with stand_ins.installed():
        names = [name.partition(":") for name in names_here()]
    missing = [
        f"{module}.{name}"
        for module, _, name in names
        if module not in left_out and module != "random" and name.removesuffix("_ns") not in page
    ]
    assert missing == []
