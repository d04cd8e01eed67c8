"""TLS, as far as it is ours: the machine around OpenSSL's.

Whatever a peer sends, before, during and after the handshake, `TLSMachine` gives bytes, asks for more, or
raises `RemoteProtocolError`, and nothing else; after an error it takes nothing more. It does so for the bytes
one by one as for all at once. What a true peer has sent before the strange bytes is given out.

The first byte of an input says where the strange bytes begin, and on which side.
"""

from __future__ import annotations

import ssl
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from kamaelia.axon.errors import RemoteProtocolError
from kamaelia.net.tls.machine import State, TLSMachine


@lru_cache(maxsize=1)
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    import trustme

    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    authority = trustme.CA()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "server.pem")
        authority.issue_cert("server").private_key_and_cert_chain_pem.write_to_path(str(path))
        server.load_cert_chain(path)
    client.load_verify_locations(cadata=authority.cert_pem.bytes().decode())
    server.num_tickets = 0
    return server, client


def one_input(data: bytes) -> None:
    """Try one input."""
    if not data:
        return
    choice, strange = data[0], data[1:]
    whole = outcome(choice, [strange])
    single = outcome(choice, [strange[index : index + 1] for index in range(len(strange))])
    assert whole == single, (whole, single)


def outcome(choice: int, pieces: list[bytes]) -> tuple[bytes, str]:
    """Return what a machine has given out in the end, and what became of it."""
    machine, peer = (make(side) for side in ((True, False) if choice & 1 else (False, True)))
    machine.start()
    peer.start()
    got = bytearray()
    try:
        if choice & 2:  # after the handshake, and something good
            for _ in range(4):
                move(peer, machine)
                move(machine, peer)
            peer.send(b"good")
            if choice & 4:
                peer.send_end()
            move(peer, machine)
            got += machine.receive()
            assert got == b"good"
        for piece in pieces:
            if piece:
                machine.feed(piece)
                while data := machine.receive():
                    got += data
        machine.feed_end()
        while data := machine.receive():
            got += data
    except RemoteProtocolError:
        assert machine.state is State.ERROR
        return bytes(got), "error"
    return bytes(got), machine.state.value


def make(server: bool) -> TLSMachine:
    context = contexts()[0 if server else 1]
    return TLSMachine(context, server=server, server_name=None if server else "server")


def move(source: TLSMachine, target: TLSMachine) -> None:
    if data := source.to_send():
        target.feed(data)


if __name__ == "__main__":
    import atheris

    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
