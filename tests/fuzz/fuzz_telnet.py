"""Fuzz telnet: whatever bytes come, `Terminal.feed` raises nothing, keeps no more than a longest line and a
hundred bytes besides, and gives the same events fed whole and byte by byte. No line has control characters
other than tab in it. What it sends are whole commands, at most one for each three bytes that came (or the
answer to "are you there"). Two that are given each other's answers, of which the last for each option counts,
fall silent.

``python tests/fuzz/fuzz_telnet.py -runs=1000000`` (with atheris)
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import atheris

    with atheris.instrument_imports():
        from kamaelia.protocol.telnet import machine
else:
    from kamaelia.protocol.telnet import machine

LONGEST = 20


def one_input(data: bytes) -> None:
    """Feed a terminal; the first byte says whether something is hidden, and in which encoding."""
    first, data = data[:1] or b"\0", data[1:]
    encoding = "latin-1" if first[0] & 2 else "utf-8"

    def events(chunks: list[bytes]) -> list[machine.Event]:
        terminal = machine.Terminal(encoding=encoding, longest=LONGEST)
        if first[0] & 1:
            terminal.hide()
        got = [event for chunk in chunks for event in terminal.feed(chunk)]
        got += terminal.end()
        assert len(terminal._line) <= LONGEST and len(terminal._sub) <= 101
        return got

    whole = events([data])
    assert whole == events([bytes([byte]) for byte in data])
    sent = bytearray()
    for event in whole:
        if isinstance(event, machine.Line):
            assert not any((one < " " and one != "\t") or "\x7f" <= one <= "\x9f" for one in event.text)
            assert len(event.text) <= LONGEST
        elif isinstance(event, machine.Send) and event.data != machine.YES_I_AM:
            assert len(event.data) == 3 and event.data[0] == machine.IAC
            sent += event.data
    assert len(sent) <= len(data)
    # Who says no and yes of one option in one breath, which RFC 1143 forbids, may hear both for ever.
    last = {(sent[at + 1] in (machine.DO, machine.DONT), sent[at + 2]): sent[at : at + 3]
            for at in range(0, len(sent), 3)}  # fmt: skip
    sent = bytearray(b"".join(last.values()))
    other, here = machine.Terminal(), machine.Terminal()
    for _ in range(3):
        sent = bytearray(b"".join(e.data for e in other.feed(bytes(sent)) if isinstance(e, machine.Send)))
        other, here = here, other
    assert not sent


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
