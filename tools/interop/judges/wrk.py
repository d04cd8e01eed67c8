"""wrk: as many requests as it can make."""

from __future__ import annotations

import re

from ..judge import Judge
from ..workshop import Workshop, true

judge = Judge("wrk", programs=["wrk"], version=["wrk", "-v"])


def load(shop: Workshop, path: str, *options: str) -> str:
    said = shop.run("wrk", "-d", "2s", "-t", "1", *options, shop.site() + path).text
    for wrong in ("Non-2xx", "Socket errors"):
        found = re.search(f"{wrong}.*", said)
        true(found is None, found[0] if found else "")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert rate is not None
    requests = re.search(r"(\d+) requests in", said)
    assert requests is not None
    true(int(requests[1]) > 100, f"only {requests[1]} requests")
    return f"{round(float(rate[1]), -2):,.0f} a second"


@judge.case("HTTPServer", "2 s of `wrk -c 32` on a page", "no error")
def page(shop: Workshop) -> str:
    return load(shop, "/", "-c", "32")


@judge.case("StaticFiles", "2 s of `wrk -c 32` on a small file", "no error")
def file(shop: Workshop) -> str:
    return load(shop, "/files/cups/", "-c", "32")


@judge.case("HTTPServer", "2 s of `wrk -c 200` on a part that is made for each request", "no error")
def part(shop: Workshop) -> str:
    return load(shop, "/blocks/0", "-c", "200")
