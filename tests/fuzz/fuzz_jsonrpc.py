"""Fuzz JSON-RPC: whatever texts come, `Endpoint.receive` raises nothing, keeps no more than its bounds allow,
answers each text with one text at most, can refuse every call, and what it sends is no longer than its bounds
allow, and JSON that another endpoint understands. Two endpoints that are given each other's answers fall
silent.

``python tests/fuzz/fuzz_jsonrpc.py -runs=1000000`` (with atheris)
"""

from __future__ import annotations

import json
import sys

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports():
        from kamaelia.protocol.jsonrpc import machine
else:
    from kamaelia.protocol.jsonrpc import machine


def one_input(data: bytes) -> None:
    """Give the texts, divided by zero bytes, to an endpoint with small bounds."""
    endpoint = machine.Endpoint(longest=300, deepest=5, batch=4, limit=6)
    other = machine.Endpoint()
    for _ in range(3):
        endpoint.call(machine.Call("f"))
    for part in data.split(b"\0"):
        try:
            text: str | bytes = part.decode()
        except UnicodeDecodeError:
            text = part
        sent = []
        for event in endpoint.receive(text):
            if isinstance(event, machine.Send):
                sent.append(event.text)
            elif isinstance(event, machine.Called):
                if event.number % 3 == 0:
                    continue  # never answered
                try:
                    answer = endpoint.answer(event.number, event.params)
                except machine.LocalProtocolError:
                    answer = endpoint.refuse(event.number, machine.RPCError(machine.INTERNAL_ERROR))
                if answer is not None:
                    sent.append(answer)
        assert endpoint.open <= 6 + 4 and endpoint.asked <= 3
        if len(text) <= 300 and not part.lstrip().startswith(b"["):
            assert len(sent) <= 1
        for answer in sent:
            json.loads(answer)
            # To a batch: for each member an error that says why, with an id.
            assert len(answer) <= 300 + 4 * (300 // 5 + 200)
            assert not any(
                isinstance(event, (machine.Send, machine.Called)) for event in other.receive(answer)
            )


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
