"""uvicorn: our routes as an application of ASGI, on a server that is not ours."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

from tools.ports import free_port

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import Workshop, contains, equal, film
from .curl import CURL

judge = Judge("uvicorn", modules=["uvicorn"])


@judge.case("asgi_application", "our whole site on it, by `curl`", "what our own server answers")
def site(shop: Workshop) -> None:
    port = free_port()
    module = "tools.interop.peers.asgi_shop:app"
    words = (sys.executable, "-m", "uvicorn", module, "--port", port, "--log-level", "warning")
    process = shop.start(*words, port=port, environ={"INTEROP_FILES": str(shop.files)})
    url = f"http://127.0.0.1:{port}"
    equal(shop.run(*CURL, url).text, PAGE)
    equal(shop.run(*CURL, "--compressed", f"{url}/text").text, TEXT)
    equal(shop.run(*CURL, f"{url}/files/film.bin").out == film(), True, "that the film is whole")
    equal(shop.run(*CURL, "-r", "5-9", f"{url}/files/film.bin").out, film()[5:10])
    contains(shop.run(*CURL, "-I", f"{url}/files/tea.txt").text.lower(), "content-length: 13000")
    equal(shop.run(*CURL, "-L", f"{url}/redirect/303").text, "stay")
    equal(json.loads(shop.run(*CURL, "-F", "drink=tea", f"{url}/form").out), {"drink": "tea"})
    said = shop.run(*CURL, "-T", "-", f"{url}/measure", given=film() * 4).text
    equal(said, f"4000000 {hashlib.sha256(film() * 4).hexdigest()}")
    equal(shop.run(*CURL, "-X", "POST", "-T", "-", f"{url}/shout", given=b"tea" * 9999).out, b"TEA" * 9999)
    equal(len(shop.run(*CURL, f"{url}/blocks/20").out), 1_310_720)
    contains(shop.run(*CURL, f"{url}/events").text, "id: 1\ndata: one\n\n")
    contains(shop.run(*CURL, "-i", f"{url}/no").text, "404 Not Found")
    ticks = shop.start(*CURL, "-N", f"{url}/ticks", stdout=subprocess.PIPE)
    assert ticks.stdout is not None
    equal([ticks.stdout.readline() for _ in range(2)], [b"id: 0\n", b"data: tick 0\n"])
    ticks.kill()
    process.terminate()
    process.wait(10)
