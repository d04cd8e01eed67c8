"""Whatever bytes a client sends: the server's machine of HTTP raises nothing but ProtocolError, keeps no more
than its limits allow, comes to an end, and says the same with either parser and in pieces of any size.

Run it by itself for as long as you like: ``python tests/fuzz/fuzz_http_server.py -runs=1000000``.
"""

from __future__ import annotations

import sys

if __name__ == "__main__":
    import atheris  # type: ignore[import-not-found]  # no requirement of the tests

    with atheris.instrument_imports():
        from kamaelia.protocol.http import Limits
        from tests.protocol.http.feeding import tell
else:
    from kamaelia.protocol.http import Limits
    from tests.protocol.http.feeding import tell

SMALL = Limits(head=300, target=60, headers=5)


def one_input(data: bytes) -> None:
    """Feed it whole, by bytes, and in threes, with both parsers, and compare."""
    whole = tell(data, parser="httptools", limits=SMALL)
    assert tell(data, parser="httptools", piece=1, limits=SMALL) == whole
    assert tell(data, parser="h11", limits=SMALL) == whole
    assert tell(data, parser="h11", piece=3, limits=SMALL) == whole
    assert sum(len(one) for one in whole if isinstance(one, bytes)) <= len(data)


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
