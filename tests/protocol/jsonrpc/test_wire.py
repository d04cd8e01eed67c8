"""JSON-RPC over TCP: on real sockets, with a stranger, and in a simulated network."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kamaelia import Graphline, Pipeline, background, run
from kamaelia.axon import RemoteProtocolError, VirtualLoop, make, sleep
from kamaelia.flow import Collect, Deframe, Encode, Frame, Source, Take
from kamaelia.net import TCPClient, TCPServer
from kamaelia.protocol import (
    JSONRPC,
    Call,
    ContentLength,
    JSONRPCClient,
    JSONRPCLines,
    Notification,
    RPCError,
    caller,
)
from kamaelia.testbed import Network

WAIT = 20
TEXT = '{"jsonrpc":"2.0","method":"pow","params":[2,10],"id":1}\n'


async def greet() -> str:
    return f"hello {await caller().call('name')}"


async def countdown(n: int) -> int:
    return n if n == 0 else 1 + await caller().call("countdown", [n - 1])


METHODS = {"pow": pow, "greet": greet, "countdown": countdown, "wait": sleep}


def on_lines(**options: Any) -> Pipeline:
    return JSONRPCLines() | JSONRPC(METHODS, **options) | Encode(end="\n")


def serving(protocol: Any, **options: Any) -> Any:
    return background(TCPServer(protocol, port=0, quiet=True, **options))


# -- a stranger ---------------------------------------------------------------------------------------


def test_a_stranger_with_a_socket_is_answered_and_answers() -> None:
    with serving(on_lines()) as handle:
        with socket.create_connection(handle.receive("listening", timeout=WAIT), timeout=WAIT) as sock:
            stream = sock.makefile("rwb")

            def says(text: str) -> None:
                stream.write(text.encode())
                stream.flush()

            says(TEXT)
            assert stream.readline() == b'{"jsonrpc":"2.0","result":1024,"id":1}\n'
            says('{"jsonrpc":"2.0","method":"greet","id":"x"}\n')
            asked = json.loads(stream.readline())
            assert asked == {"jsonrpc": "2.0", "method": "name", "id": 1}
            says('{"jsonrpc":"2.0","result":"stranger","id":1}\r\n')
            assert json.loads(stream.readline()) == {"jsonrpc": "2.0", "result": "hello stranger", "id": "x"}
            says("nonsense\n")
            assert json.loads(stream.readline())["error"]["code"] == -32700
            stream.write(TEXT.encode().replace(b"pow", b"\xff"))
            says("")
            assert json.loads(stream.readline())["error"]["code"] == -32700
            says(TEXT)
            sock.shutdown(socket.SHUT_WR)
            assert stream.readline() == b'{"jsonrpc":"2.0","result":1024,"id":1}\n'
            assert stream.read() == b""
            stream.close()


def test_a_line_without_end_is_a_failure_of_that_connection_alone() -> None:
    short = JSONRPCLines(25) | JSONRPC(METHODS) | Encode(end="\n")
    server = TCPServer(short, port=0, quiet=True)
    with background(server) as handle:
        address = handle.receive("listening", timeout=WAIT)
        with socket.create_connection(address, timeout=WAIT) as sock:
            sock.sendall(b"[" * 200)
            with pytest.raises(ConnectionResetError):
                while sock.recv(100):
                    pass
        (reply,) = run(Source([Call("pow", [2, 2])]) | JSONRPCClient(*address) | Collect())
        assert (reply.answer, server.statistics().failed) == (4, 1)


# -- two of us ----------------------------------------------------------------------------------------


def test_a_client_calls_a_server() -> None:
    calls = [Call("pow", [2, n]) for n in range(200)]
    with serving(on_lines()) as handle:
        client = JSONRPCClient(*handle.receive("listening", timeout=WAIT))
        replies = run(Source(calls) | client | Collect())
    assert [(reply.question, reply.answer, reply.error) for reply in replies] == [
        (call, 2**n, None) for n, call in enumerate(calls)
    ]


def test_texts_may_be_as_long_each_way_as_a_peer_takes_them() -> None:
    most = 1024 * 1024
    lengths = [(most - 200, 0), (0, most - 200), (most - 200, most - 200)]
    calls = [Call("say", {"what": "x" * there, "back": back}) for there, back in lengths]
    protocol = JSONRPCLines() | JSONRPC({"say": lambda what, back: "y" * back}) | Encode(end="\n")
    with serving(protocol) as handle:
        client = JSONRPCClient(*handle.receive("listening", timeout=WAIT))
        replies = run(Source(calls) | client | Collect())
    assert sorted(len(reply.answer) for reply in replies) == sorted(back for _, back in lengths)


def test_they_call_each_other_back_and_forth() -> None:
    mine = {"name": lambda: "anna", "countdown": countdown}
    with serving(on_lines(concurrency=1)) as handle:
        client = JSONRPCClient(*handle.receive("listening", timeout=WAIT), mine, concurrency=1)
        replies = run(Source([Call("greet"), Call("countdown", [50]), Call("no")]) | client | Collect())
    by_method = {reply.question.method: reply for reply in replies}
    assert by_method["greet"].answer == "hello anna"
    assert by_method["countdown"].answer == 50
    error = by_method["no"].error
    assert isinstance(error, RPCError) and error.code == -32601


def test_a_server_calls_its_client_of_its_own_accord() -> None:
    rpc, lines, encode = JSONRPC(), JSONRPCLines(), Encode(end="\n")
    collect = Collect()
    protocol = Graphline(
        "self.inbox" >> lines.inbox,
        lines.outbox >> rpc.inbox,
        rpc.outbox >> encode.inbox,
        encode.outbox >> "self.outbox",
        Source([Notification("note", ["first"]), Call("name")]).outbox >> rpc.calls,
        rpc.results >> collect.inbox,
    )
    notes: list[str] = []
    with serving(protocol) as handle:
        address = handle.receive("listening", timeout=WAIT)
        run(JSONRPCClient(*address, {"name": lambda: "anna", "note": notes.append}))
    assert notes == ["first"]


def test_a_client_whose_replies_nobody_takes_any_more_ends() -> None:
    with serving(on_lines()) as handle:
        client = JSONRPCClient(*handle.receive("listening", timeout=WAIT))
        source = Source([Call("pow", [2, 2]), Call("wait", [0.1])], then="stay")
        (reply,) = run(source | client | Take(1) | Collect())
    assert reply.answer == 4


def test_a_client_may_have_bounds_of_its_own() -> None:
    with serving(on_lines()) as handle:
        client = JSONRPCClient(*handle.receive("listening", timeout=WAIT), longest=100, timeout=0.3)
        replies = run(Source([Call("pow", [2, 1000]), Call("pow", [2, 2])]) | client | Collect())
    # An answer that is too long is a text that nobody understands: its call runs into its time-out.
    assert sorted((reply.answer, type(reply.error)) for reply in replies if reply.answer) == [(4, type(None))]


# -- simulated ----------------------------------------------------------------------------------------


def test_many_clients_in_a_network_that_loses_packets() -> None:
    network = Network()
    network.host("server").run(TCPServer(on_lines(), port=1500, quiet=True))
    for number in range(5):
        calls = [Call("wait", [0.1]), Call("greet"), Call("pow", [number, 3])]
        client = JSONRPCClient("server", 1500, {"name": lambda number=number: f"phone {number}"})
        network.host(f"phone-{number}").run(Source(calls) | client | Collect())
        network.link("server", f"phone-{number}", rate="1 Mbit/s", delay="50 ms", loss="5 %")
    trace = network.simulate(seconds=60, seed=3)
    for number in range(5):
        replies = {reply.question.method: reply.answer for reply in trace.results[f"phone-{number}"]}
        assert replies == {"wait": None, "greet": f"hello phone {number}", "pow": number**3}


# -- with headers -------------------------------------------------------------------------------------


def test_with_headers_as_language_servers_have_them() -> None:
    form = ContentLength()
    protocol = Deframe(form) | JSONRPC(METHODS) | Encode() | Frame(form)
    body = TEXT.strip().encode()
    wire = b"Content-Type: application/vscode-jsonrpc; charset=utf-8\r\ncontent-length : %d\r\n\r\n%b" % (
        len(body),
        body,
    )
    answer = b'Content-Length: 38\r\n\r\n{"jsonrpc":"2.0","result":1024,"id":1}'
    for chunks in ([wire * 2], [bytes([byte]) for byte in wire * 2]):
        assert run(Source(chunks) | make(protocol) | Collect(), loop_factory=VirtualLoop) == [answer] * 2
    with serving(protocol) as handle:
        client = TCPClient(*handle.receive("listening", timeout=WAIT))
        assert b"".join(run(Source([wire]) | client | Collect())) == answer


@pytest.mark.one_core("plain")
@pytest.mark.parametrize(
    ("wire", "complaint"),
    [
        (b"{}\r\n\r\n", "this is no header of a message: b'{}'"),
        (b"A: b\r\n\r\n", "say no length"),
        (b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n", "say several lengths"),
        (b"Content-Length: -1\r\n\r\n", "say no length"),
        (b"Content-Length: x\r\n\r\n", "say no length"),
        (b"Content-Length: 11\r\n\r\n", "has 11 bytes, and ContentLength.longest=10. allows no more"),
        (b"x" * 5000, "have more than 4096 bytes"),
    ],
)
def test_headers_that_are_wrong_are_refused(wire: bytes, complaint: str) -> None:
    decoder = ContentLength(longest=10).decoder()
    decoder.feed(wire)
    with pytest.raises(RemoteProtocolError, match=complaint):
        decoder.next_frame()


@pytest.mark.one_core("plain")
def test_a_stream_that_ends_in_the_middle_of_a_message() -> None:
    for wire in (b"Content-Le", b"Content-Length: 5\r\n\r\nab"):
        decoder = ContentLength().decoder()
        decoder.feed(wire)
        assert decoder.next_frame() is None
        with pytest.raises(RemoteProtocolError, match="ended in the middle of a message"):
            decoder.end()


@pytest.mark.one_core("plain")
@given(st.lists(st.binary(max_size=40), max_size=5), st.binary(max_size=60), st.integers(1, 7))
@settings(deadline=None)
def test_framing_is_the_same_however_it_is_divided(messages: list[bytes], junk: bytes, size: int) -> None:
    form = ContentLength(longest=50)
    wire = b"".join(map(form.frame, messages)) + junk

    def decoded(chunks: list[bytes]) -> list[Any]:
        decoder, got = form.decoder(), list[Any]()
        try:
            for chunk in chunks:
                decoder.feed(chunk)
                while (message := decoder.next_frame()) is not None:
                    got.append(message)
        except RemoteProtocolError:
            got.append("refused")
        return got

    whole = decoded([wire])
    assert whole[: len(messages)] == messages
    assert decoded([wire[n : n + size] for n in range(0, len(wire), size)]) == whole
