"""TLS without a socket: two machines, and what goes between them."""

from __future__ import annotations

import random
import ssl
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError, RemoteProtocolError
from kamaelia.net import ClientTLS, ServerTLS
from kamaelia.net.tls import TLSMachine
from kamaelia.net.tls.machine import State

from ..fuzz.fuzz_tls import one_input
from .certificates import Certificates

pytestmark = [pytest.mark.one_core]

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


class Pair:
    """A client and a server, and everything that each has got out of the wire."""

    def __init__(self, server: ssl.SSLContext, client: ssl.SSLContext, name: str = "127.0.0.1") -> None:
        self.server = TLSMachine(server, server=True)
        self.client = TLSMachine(client, server_name=name)
        self.client.start()
        self.server.start()

    def pass_on(self, pieces: int | None = None) -> None:
        """Carry bytes both ways until there are none; whole, or in pieces of so many bytes."""
        moved = True
        while moved:
            moved = False
            for source, target in ((self.client, self.server), (self.server, self.client)):
                data = source.to_send()
                step = pieces or len(data) or 1
                for start in range(0, len(data), step):
                    target.feed(data[start : start + step])
                    moved = True


@pytest.fixture(params=VERSIONS, ids=lambda version: version.name)
def pair(request: pytest.FixtureRequest, certificates: Certificates) -> Pair:
    client = ClientTLS(authorities=certificates.authorities).context()
    client.maximum_version = request.param
    return Pair(ServerTLS(certificates.local).context(0), client)


def received(machine: TLSMachine) -> list[bytes]:
    return list(iter(machine.receive, b""))


@pytest.mark.parametrize("pieces", [None, 1, 7], ids=["whole", "byte by byte", "sevens"])
def test_a_conversation(pair: Pair, pieces: int | None) -> None:
    pair.pass_on(pieces)
    assert (pair.client.state, pair.server.state) == (State.OPEN, State.OPEN)
    pair.client.send(b"question")
    pair.client.send_end()
    pair.pass_on(pieces)
    assert (received(pair.server), pair.server.received_end) == ([b"question"], True)
    pair.server.send(b"answer" * 10_000)  # the other half is still open
    pair.pass_on(pieces)
    assert b"".join(received(pair.client)) == b"answer" * 10_000
    assert not pair.client.received_end
    pair.server.send_end()
    pair.pass_on(pieces)
    assert (received(pair.client), pair.client.received_end) == ([], True)
    assert (pair.client.state, pair.server.state) == (State.ENDED, State.ENDED)


def test_what_was_agreed(certificates: Certificates) -> None:
    server = ServerTLS(certificates.local, alpn=["second", "first"]).context(0)
    pair = Pair(
        server,
        ClientTLS(authorities=certificates.authorities, alpn=["first", "third"]).context(),
        "localhost",
    )
    with pytest.raises(LocalProtocolError, match="before the end of the handshake"):
        pair.client.info  # noqa: B018
    pair.pass_on()
    assert (pair.client.info.version, pair.client.info.alpn) == ("TLSv1.3", "first")
    assert (pair.server.info.alpn, pair.server.info.server_name) == ("first", "localhost")
    assert pair.server.info.certificate is None
    certificate = pair.client.info.certificate
    assert certificate is not None and ("DNS", "localhost") in certificate["subjectAltName"]


def test_what_was_decrypted_before_our_end_is_not_lost_by_it(pair: Pair) -> None:
    pair.pass_on()
    pair.server.send(b"late news")
    pair.pass_on()
    pair.client.send_end()  # OpenSSL would refuse, with something unread
    assert received(pair.client) == [b"late news"]
    pair.pass_on()
    assert received(pair.server) == [] and pair.server.received_end


def test_nothing_is_sent_before_the_handshake_nor_after_our_end(pair: Pair) -> None:
    with pytest.raises(LocalProtocolError, match="the handshake has not ended"):
        pair.client.send(b"early")
    pair.pass_on()
    pair.client.send_end()
    pair.client.send_end()
    with pytest.raises(LocalProtocolError, match="our end has been said"):
        pair.client.send(b"late")


def test_a_cut_is_no_end(pair: Pair) -> None:
    pair.pass_on()
    pair.server.send(b"all my ")
    pair.pass_on()
    pair.client.feed_end()
    assert pair.client.receive() == b"all my "  # what came before is still to be had
    with pytest.raises(RemoteProtocolError, match="the connection was cut"):
        pair.client.receive()
    assert pair.client.state is State.ERROR


def test_a_cut_in_the_handshake(pair: Pair) -> None:
    pair.server.feed(pair.client.to_send())
    with pytest.raises(RemoteProtocolError, match="TLS"):
        pair.server.feed_end()
    with pytest.raises(LocalProtocolError, match="has failed"):
        pair.server.feed(b"more")


def test_a_certificate_of_another_name_is_refused_and_the_server_is_told(certificates: Certificates) -> None:
    pair = Pair(certificates.server.context(0), certificates.client.context(), "example.org")
    with pytest.raises(RemoteProtocolError, match="certificate is not accepted: Hostname mismatch"):
        pair.pass_on()
    with pytest.raises(RemoteProtocolError, match="alert"):
        pair.server.feed(pair.client.to_send())
        pair.server.receive()


def test_a_certificate_that_nobody_vouches_for_is_refused(certificates: Certificates) -> None:
    pair = Pair(certificates.server.context(0), ClientTLS().context())
    with pytest.raises(RemoteProtocolError, match="certificate is not accepted"):
        pair.pass_on()
    pair = Pair(certificates.server.context(0), ClientTLS(verify=False).context())
    pair.pass_on()
    assert pair.client.state is State.OPEN


@pytest.mark.parametrize("damage", range(0, 60, 7))
def test_damaged_records_are_an_error_of_the_peers(pair: Pair, damage: int) -> None:
    pair.pass_on()
    pair.client.send(b"something of some length, to be damaged")
    data = bytearray(pair.client.to_send())
    data[damage % len(data)] ^= 0x55
    pair.server.feed(bytes(data))
    try:
        assert received(pair.server) == []  # a length that was damaged asks for more bytes
    except RemoteProtocolError:
        assert pair.server.state is State.ERROR


def bytes_given(machine: TLSMachine, pieces: Iterator[bytes]) -> tuple[list[bytes], Any]:
    got: list[bytes] = []
    try:
        for piece in pieces:
            machine.feed(piece)
            got += received(machine)
        machine.feed_end()
        got += received(machine)
    except RemoteProtocolError as error:
        return [b"".join(got)], str(error)
    return [b"".join(got)], None


@given(garbage=st.binary(max_size=300), side=st.booleans())
def test_garbage_is_refused_and_nothing_worse(garbage: bytes, side: bool) -> None:
    """No bytes of a peer's make a machine raise anything but `RemoteProtocolError`, whole or one by one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side else ssl.PROTOCOL_TLS_CLIENT)
    outcomes = []
    for pieces in ([garbage], [bytes([byte]) for byte in garbage]):
        machine = TLSMachine(context, server=side, server_name=None if side else "x")
        machine.start()
        outcomes.append(bytes_given(machine, iter(pieces)))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1] is not None  # it is never a whole handshake


@given(data=st.binary(max_size=200))
def test_strange_bytes_before_or_after_the_handshake(data: bytes) -> None:
    one_input(data)


def test_large_amounts_go_both_ways_at_once(pair: Pair) -> None:
    pair.pass_on()
    chance = random.Random(5)
    there, back = chance.randbytes(300_000), chance.randbytes(200_000)
    pair.client.send(there)
    pair.server.send(back)
    pair.client.send_end()
    pair.server.send_end()
    pair.pass_on()
    assert b"".join(received(pair.server)) == there
    assert b"".join(received(pair.client)) == back
    assert pair.client.state is pair.server.state is State.ENDED
