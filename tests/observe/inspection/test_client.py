"""Those who look: from ordinary code, and from an event loop."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from contextlib import aclosing, contextmanager

import pytest

from kamaelia.observe.inspection import (
    After,
    AsyncInspector,
    InspectionError,
    Inspector,
    Repeated,
    connect,
    find,
    open_inspector,
    running,
)

from .test_server import serving
from .world import LIMIT, until

pytestmark = pytest.mark.one_core

GREETING = {"kamaelia_inspection": 1, "pid": 1, "name": "fake", "kind": "system", "program": "p", "core": "c"}


@contextmanager
def faked(answer, path):
    """Serve one client that is answered with bytes."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    over = threading.Event()

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.sendall(answer)
            over.wait(LIMIT)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield str(path)
    finally:
        over.set()
        thread.join()
        listener.close()


def counting(most=None):
    def begin(given):
        count = 0

        def one():
            nonlocal count
            count += 1
            return {"count": count} if most is None or count <= most else None

        return Repeated(one, 0.001)

    return begin


# -- addresses ------------------------------------------------------------------------------------------


def test_the_only_one_is_found_without_an_address(home):
    with pytest.raises(InspectionError, match=r"no running system can be looked at; start one with run\("):
        find()
    with serving() as server:
        assert find() == find(os.getpid()) == find(f"{os.getpid()}-1") == find(server.path) == server.path
        assert [(one.address, one.name, one.kind) for one in running()] == [
            (str(os.getpid()), "nothing", "network")
        ]


def test_of_several_it_has_to_be_said_which(home):
    with serving() as one, serving() as two:
        listed = f"  {os.getpid()}  nothing (.*)\n  {os.getpid()}-2  nothing (.*)"
        with pytest.raises(InspectionError, match=f"^several systems can be looked at; say which:\n{listed}"):
            find()
        with pytest.raises(InspectionError, match=f"several systems run in process {os.getpid()}; say which"):
            find(os.getpid())
        assert (find(f"{os.getpid()}-1"), find(f"{os.getpid()}-2")) == (one.path, two.path)


@pytest.mark.parametrize(
    ("address", "error"),
    [
        ("no", "'no' is no address: give the number of a process"),
        ("1-x", "'1-x' is no address"),
        ("1", "process 1 has no inspection socket; start one with run"),
        ("/no/such.sock", "there is no socket /no/such.sock"),
    ],
)
def test_a_wrong_address_is_answered_with_what_would_be_right(address, error):
    with pytest.raises(InspectionError, match=error):
        find(address)


def test_a_socket_that_nobody_answers_at_is_not_listed(home):
    home.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(home / "1-1.sock"))
        left.listen()  # but it never greets
        assert running(timeout=0.05) == []
    with pytest.raises(InspectionError, match=r"nobody answers at .*: the system has ended"):
        connect(str(home / "1-1.sock"))


def test_who_may_not_is_told_so(home, monkeypatch):
    with serving() as server:

        def refuse(self, path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        with pytest.raises(
            InspectionError, match=r"you may not look into this system: .* belongs to another user"
        ):
            Inspector(server.path)


# -- ordinary code ----------------------------------------------------------------------------------------


def test_streams_and_questions_at_the_same_time(home):
    with serving(count=counting(), name=lambda given: "me") as server, connect() as inspector:
        one, two = inspector.stream("count"), inspector.stream("count")
        assert next(one)["count"] == 1
        assert inspector.ask("name") == "me"
        assert [next(two)["count"] for _ in range(5)] == [1, 2, 3, 4, 5]
        assert [next(one)["count"] for _ in range(5)] == [2, 3, 4, 5, 6]
        one.close()
        assert inspector.ask("name") == "me"
        client = next(iter(server._clients.values()))
        until(lambda: len(client._streams) == 1)


def test_a_stream_may_be_asked_whether_there_is_something(home):
    with serving(count=counting(2)), connect() as inspector:
        lines = inspector.stream("count", wait=0.05)
        assert [next(lines) for _ in range(4)][2:] == [None, None]


def test_the_end_of_the_system_is_an_error(home):
    with serving(count=counting(1)) as server:
        inspector = connect()
        lines = inspector.stream("count")
        next(lines)
    assert list(lines) == []  # it has said why it was over
    with inspector, pytest.raises(InspectionError, match="has ended"):
        inspector.ask("count")
    assert not os.path.exists(server.path)


def test_who_does_not_answer_is_given_up(tmp_path):
    greeting = json.dumps(GREETING).encode() + b"\n"
    with faked(greeting, tmp_path / "s.sock") as path, Inspector(path, timeout=0.05) as inspector:
        with pytest.raises(InspectionError, match=r"the system has not answered within 0\.05 s"):
            inspector.ask("snapshot")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", "nobody answers at"),
        (b"HTTP/1.1 400 Bad Request\r\n", "it does not write JSON objects"),
        (b"{}\n", "it greets in another way"),
        (json.dumps(GREETING | {"kamaelia_inspection": 9}).encode() + b"\n", "version 9 of the inspection"),
    ],
)
def test_what_is_no_system_is_told_so(tmp_path, answer, error):
    with faked(answer, tmp_path / "s.sock") as path, pytest.raises(InspectionError, match=error):
        Inspector(path, timeout=0.2)
    (tmp_path / "s.sock").unlink()

    async def open_it():
        await AsyncInspector(path, timeout=0.2).open()

    with faked(answer, tmp_path / "s.sock") as path, pytest.raises(InspectionError, match=error):
        asyncio.run(open_it())


# -- on a loop ----------------------------------------------------------------------------------------------


def loops():
    import uvloop

    return [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.mark.parametrize("make", loops(), ids=["asyncio", "uvloop"])
def test_many_tasks_ask_at_the_same_time(home, make):
    async def main():
        async with await open_inspector() as inspector:
            assert inspector.greeting["name"] == "nothing"

            async def follow():
                found = []
                async with aclosing(inspector.stream("count")) as lines:
                    async for line in lines:
                        found.append(line["count"])
                        if len(found) == 5:
                            return found

            answers = await asyncio.gather(follow(), inspector.ask("name"), follow(), inspector.ask("name"))
            assert answers == [[1, 2, 3, 4, 5], "me"] * 2
            with pytest.raises(InspectionError, match="nothing is called 'other'"):
                await inspector.ask("other")
            with pytest.raises(InspectionError, match="nothing is called 'other'"):
                async for _ in inspector.stream("other"):
                    pass
            assert inspector.over is None

    with serving(count=counting(), name=lambda given: "me") as server:
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(main())
        until(lambda: not server._clients)


def test_a_stream_that_nobody_reads_is_given_up(home):
    async def main():
        inspector = AsyncInspector(find(), unread=5)
        await inspector.open()
        async with inspector:
            lines = inspector.stream("count")
            assert (await anext(lines))["count"] == 1
            await asyncio.to_thread(until, lambda: not inspector._streams)
            assert await inspector.ask("name") == "me"
            with pytest.raises(
                InspectionError, match="5 lines of a stream have not been read: it is given up"
            ):
                async for _ in lines:
                    pass

    with serving(count=counting(), name=lambda given: "me"):
        asyncio.run(main())


def test_the_end_of_the_system_ends_what_waits(home):
    async def main(server):
        async with await open_inspector() as inspector:
            lines = inspector.stream("count")
            await anext(lines)
            asking = asyncio.create_task(inspector.ask("never"))
            await asyncio.to_thread(until, lambda: any(one._pending for one in server._clients.values()))
            await asyncio.to_thread(server.close)
            with pytest.raises(InspectionError, match="the system is over"):
                await asking
            assert [line async for line in lines] == []
            assert inspector.over is not None
            with pytest.raises(InspectionError, match="the system has ended"):
                await inspector.ask("never")

    from kamaelia.observe.inspection import Later

    with serving(
        count=counting(1), never=lambda given: Later(lambda function: None, int, patience=60)
    ) as server:
        asyncio.run(main(server))


def test_an_answer_that_comes_too_late_is_not_kept():
    with (
        serving(late=lambda given: After(0.1, lambda: "late"), now=lambda given: "now") as server,
        Inspector(server.path, timeout=0.01) as inspector,
    ):
        with pytest.raises(InspectionError, match=r"has not answered within 0\.01 s"):
            inspector.ask("late")
        inspector.timeout = LIMIT
        assert inspector.ask("late") == "late"  # the first one has come before
        assert inspector._answers == {}
