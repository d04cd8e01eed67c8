"""nginx: a server for our clients, in front of our servers, and behind our proxy."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import threading
import time
from typing import Any

from kamaelia import run, sleep
from kamaelia.axon import ComponentsFailed
from kamaelia.flow import Collect, Source
from kamaelia.net import ProxyHeader, TCPClient, UnixServer
from kamaelia.protocol.http import (
    ConnectionPool,
    Fetch,
    Headers,
    HTTPClient,
    HTTPProtocol,
    HTTPServer,
    Request,
    ReverseProxy,
)
from kamaelia.protocol.websocket import WebSocketClient
from tools.ports import free_port

from ..judge import Judge
from ..site import PAGE, TEXT
from ..workshop import HOST, Workshop, Wrong, contains, equal, film, true
from .curl import CURL

KEPT = 'proxy_set_header Connection "";'  # what nginx needs to keep its connections to us
MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so"

judge = Judge(
    "nginx",
    programs=["nginx", "curl"],
    version=["nginx", "-v"],
    needs=lambda: None if os.path.exists(MODULE) else "no module stream of nginx",
)

CONFIGURATION = """
load_module {module};
{user}
daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 512; }}
http {{
    types {{ text/html html; text/plain txt; }}
    default_type application/octet-stream;
    log_format connections '$connection $connection_requests $request $status';
    access_log access.log connections;
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    client_max_body_size 100m;
    {http}
}}
{beside}
"""


def nginx(shop: Workshop, http: str, beside: str = "", *, port: int, name: str = "nginx") -> Any:
    """Start nginx; return its process. Its logs are in the folder of that name."""
    folder = shop.folder / name
    folder.mkdir()
    user = "user root;" if os.geteuid() == 0 else ""
    text = CONFIGURATION.format(module=MODULE, user=user, http=http, beside=beside)
    (folder / "nginx.conf").write_text(text)
    return shop.start("nginx", "-p", folder, "-c", "nginx.conf", "-e", "error.log", port=port)


def files_server(shop: Workshop, more: str = "") -> tuple[str, int]:
    port = free_port()
    http = f"""
    server {{
        listen {HOST}:{port};
        root {shop.files};
        {more}
        location = /old {{ return 301 /tea.txt; }}
        location = /elsewhere {{ return 302 http://{HOST}:{port}/cups/; }}
    }}"""
    nginx(shop, http, port=port)
    return f"http://{HOST}:{port}", port


def ask(*asked: Any, **options: Any) -> list[Any]:
    """Have our client ask, and return the answers."""
    answers: list[Any] = run(Source(asked) | HTTPClient(**options) | Collect())
    return answers


def log(shop: Workshop, name: str = "nginx") -> list[tuple[int, int, str]]:
    """Return what nginx has noted: the connection, how often it was used, and what was asked."""
    lines = [line.split(" ", 2) for line in (shop.folder / name / "access.log").read_text().splitlines()]
    return [(int(line[0]), int(line[1]), line[2]) for line in lines]


# --- behind our client ----------------------------------------------------------------------------------


@judge.case("HTTPClient", "files, a folder, what is not there", "the files, the page of the folder, 404")
def files(shop: Workshop) -> None:
    url, _ = files_server(shop)
    answers = ask(f"{url}/tea.txt", f"{url}/film.bin", f"{url}/cups", f"{url}/no", f"{url}/old")
    equal([one.status for one in answers], [200, 200, 200, 404, 200])
    equal(answers[0].text(), TEXT)
    equal(answers[1].body == film(), True, "that the film is whole")
    equal(answers[2].text(), "<h1>Cups</h1>\n")
    equal(answers[4].url, f"{url}/tea.txt")


@judge.case("HTTPClient", "`gzip on`, which makes chunks of a file", "the text; nginx has compressed it")
def compressed(shop: Workshop) -> None:
    url, _ = files_server(shop, "gzip on; gzip_types text/plain; gzip_min_length 10;")
    (answer,) = ask(f"{url}/tea.txt")
    equal(answer.headers.get("content-encoding"), "gzip")
    equal(answer.headers.get("transfer-encoding"), "chunked")
    equal(answer.text(), TEXT)


@judge.case("Fetch", "ranges, one and two, and a condition", "206 and what was asked for; 304")
def ranges(shop: Workshop) -> None:
    url, _ = files_server(shop)
    equal(
        b"".join(run(Fetch(f"{url}/film.bin", headers={"Range": "bytes=10-19"}) | Collect())), film()[10:20]
    )
    (first,) = ask(Request("GET", f"{url}/film.bin", Headers({"Range": "bytes=0-1,-2"})))
    equal(first.status, 206)
    contains(first.type, "multipart/byteranges")
    (second,) = ask(Request("GET", f"{url}/film.bin", Headers({"If-None-Match": first.headers["etag"]})))
    equal((second.status, second.body), (304, b""))


@judge.case("HTTPClient", "100 files, 4 at the same time", "no more than 4 connections, all in order")
def keep_alive(shop: Workshop) -> None:
    url, _ = files_server(shop)
    answers = ask(*[f"{url}/tea.txt?{n}" for n in range(100)], concurrency=4)
    equal([one.url.partition("?")[2] for one in answers], [str(n) for n in range(100)])
    noted = shop.until(lambda: len(log(shop)) == 100 and log(shop), "nginx has noted all")
    true(len({line[0] for line in noted}) <= 4, f"{len({line[0] for line in noted})} connections")


@judge.case("HTTPClient", "the server closes idle connections after 1 s", "it asks again, on a new one")
def closed_meanwhile(shop: Workshop) -> None:
    url, _ = files_server(shop, "keepalive_timeout 1s;")
    handle = shop.begin(HTTPClient())
    for _ in range(2):
        handle.send(f"{url}/tea.txt")
        equal(handle.receive(timeout=10).status, 200)
        time.sleep(1.5)
    equal(len({line[0] for line in log(shop)}), 2, "connections")


@judge.case(
    "HTTPClient", "https, with nginx's certificate, and a name that is not in it", "the page; a refusal"
)
def protected(shop: Workshop) -> None:
    port, made = free_port(), shop.certificates
    nginx(
        shop,
        f"""server {{
            listen {HOST}:{port} ssl; root {shop.files};
            ssl_certificate {made.server}; ssl_certificate_key {made.server_key};
            ssl_protocols TLSv1.2 TLSv1.3;
            ssl_client_certificate {made.authorities}; ssl_verify_client on;
            location = /who {{ return 200 "$ssl_protocol $ssl_client_verify $ssl_server_name"; }}
        }}""",
        port=port,
    )
    mine = shop.client_tls(certificate=made.client, key=made.client_key)
    (answer,) = ask(f"https://localhost:{port}/who", pool=ConnectionPool(tls=mine))
    equal(answer.text(), "TLSv1.3 SUCCESS localhost")
    (answer,) = ask(f"https://{HOST}:{port}/film.bin", pool=ConnectionPool(tls=mine))
    equal(answer.body == film(), True, "that the film is whole")
    wrong = shop.client_tls(server_name="milk.example")
    try:
        ask(f"https://{HOST}:{port}/who", pool=ConnectionPool(tls=wrong))
    except ComponentsFailed as error:
        contains(str(error.exceptions[0]), "certificate")
    else:
        raise Wrong("it has believed somebody else's certificate")


# --- in front of our server -----------------------------------------------------------------------------


def before_us(shop: Workshop, location: str = KEPT, *, version: str = "1.1") -> tuple[str, str]:
    """Start our site and nginx before it; return the address of either."""
    ours = shop.site()
    port = free_port()
    nginx(
        shop,
        f"""
    upstream ours {{ server {ours.partition("//")[2]}; keepalive 4; }}
    map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
    server {{
        listen {HOST}:{port};
        location / {{
            proxy_pass http://ours;
            proxy_http_version {version};
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            {location}
        }}
    }}""",
        port=port,
    )
    return f"http://{HOST}:{port}", ours


@judge.case("HTTPServer", "in front, connections kept: 100 pages", "all of them, over at most 4 connections")
def in_front(shop: Workshop) -> None:
    url, _ = before_us(shop)
    equal(shop.run(*CURL, "-Z", "--parallel-max", "4", f"{url}/?n=[1-100]").text, PAGE * 100)
    true(shop.server.statistics().accepted <= 8, f"{shop.server.statistics().accepted} connections")
    said = json.loads(shop.run(*CURL, f"{url}/headers").out)
    equal(dict(said["headers"])["x-forwarded-for"], HOST)
    equal(shop.run(*CURL, f"{url}/files/film.bin").out == film(), True, "that the film is whole")
    equal(shop.run(*CURL, "-r", "5-9", f"{url}/files/film.bin").out, film()[5:10])


@judge.case(
    "HTTPServer", "in front, HTTP/1.0 to us, which is what nginx does by itself", "the page, and a film"
)
def in_front_1_0(shop: Workshop) -> None:
    url, _ = before_us(shop, version="1.0")
    equal(shop.run(*CURL, f"{url}/blocks/10").out == bytes(range(256)) * 2560, True, "that it is whole")
    equal(shop.run(*CURL, url).text, PAGE)


@judge.case(
    "HTTPServer",
    "in front, `proxy_buffering` and `proxy_request_buffering` on and off: 8 MB up, 6 MB down",
    "all of it, in chunks to us where nginx does not buffer",
)
def buffering(shop: Workshop) -> None:
    given = film() * 8
    for switch in ("on", "off"):
        inner = Workshop(shop.folder / switch)
        inner.folder.mkdir()
        with inner:
            url, _ = before_us(inner, f"{KEPT} proxy_buffering {switch}; proxy_request_buffering {switch};")
            said = inner.run(*CURL, "-T", "-", f"{url}/measure", given=given).text
            equal(said, f"{len(given)} {hashlib.sha256(given).hexdigest()}", f"what came, with {switch}")
            equal(len(inner.run(*CURL, f"{url}/blocks/100").out), 6_553_600)


@judge.case("ServerSentEvents", "in front, `proxy_buffering off`: `curl -N`", "each event at once")
def events(shop: Workshop) -> None:
    url, _ = before_us(shop, f"{KEPT} proxy_buffering off;")
    process = shop.start(*CURL, "-N", f"{url}/ticks", stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(6)]
    equal([line for line in lines if line.startswith(b"data")], [b"data: tick 0\n", b"data: tick 1\n"])
    process.kill()
    shop.until(lambda: shop.server.statistics().open == 0, "the server has noticed that the client left")


@judge.case(
    "HTTPServer(proxies=...)", "in front, `proxy_protocol on` (stream)", "the client's address, and nginx's"
)
def proxy_protocol(shop: Workshop) -> None:
    ours = shop.site(proxies=[HOST])
    port = free_port()
    beside = f"""stream {{ server {{
        listen {HOST}:{port}; proxy_pass {ours.partition("//")[2]}; proxy_protocol on; }} }}"""
    nginx(shop, "", beside, port=port)
    said = json.loads(shop.run(*CURL, f"http://{HOST}:{port}/who").out)
    true(said["proxy"] is not None and said["address"] != said["proxy"], f"{said}")
    said = shop.run(*CURL, "-w", " %{local_port}", f"http://{HOST}:{port}/who").text
    document, _, local = said.rpartition(" ")
    equal(json.loads(document)["address"], [HOST, int(local)], "whom nginx speaks for")


@judge.case("TCPClient(proxied=...)", "nginx takes `listen ... proxy_protocol`", "the address that we name")
def proxied(shop: Workshop) -> None:
    port = free_port()
    said = 'return 200 "$proxy_protocol_addr:$proxy_protocol_port";'
    nginx(
        shop,
        f"server {{ listen {HOST}:{port} proxy_protocol; location / {{ {said} }} }}",
        port=port,
    )
    header = ProxyHeader(("192.0.2.1", 5555), ("192.0.2.2", 80))
    asked = b"GET / HTTP/1.0\r\n\r\n"
    got = b"".join(run(Source([asked]) | TCPClient(HOST, port, proxied=header) | Collect()))
    equal(got.rpartition(b"\r\n\r\n")[2], b"192.0.2.1:5555")


@judge.case("HTTPServer", "in front, over a Unix socket", "the page")
def unix_socket(shop: Workshop) -> None:
    path = shop.serve(UnixServer(HTTPProtocol({"/": PAGE}), str(shop.folder / "s"), quiet=True))
    port = free_port()
    nginx(
        shop,
        f"server {{ listen {HOST}:{port}; location / {{ proxy_pass http://unix:{path}:/; }} }}",
        port=port,
    )
    equal(shop.run(*CURL, f"http://{HOST}:{port}").text, PAGE)


@judge.case("HTTPServer", "in front, our server stops with an answer under way", "the whole answer")
def stopped(shop: Workshop) -> None:
    asked = threading.Event()

    async def slow(_: Request) -> str:
        asked.set()
        await sleep(0.5)
        return "slow but whole"

    handle = shop.begin(HTTPServer({"/": slow}, port=0, quiet=True))
    host, port = handle.receive("listening", timeout=10)
    front = free_port()
    pass_on = f"location / {{ proxy_pass http://{host}:{port}; }}"
    nginx(shop, f"server {{ listen {HOST}:{front}; {pass_on} }}", port=front)
    process = shop.start(*CURL, f"http://{HOST}:{front}", stdout=subprocess.PIPE)
    true(asked.wait(10), "nginx has not asked us")
    handle.stop()
    assert process.stdout is not None
    equal(process.stdout.read(), b"slow but whole")


@judge.case("WebSocket", "in front, with `Upgrade` passed on", "text and bytes, there and back")
def websocket(shop: Workshop) -> None:
    pass_on = "proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;"
    url, _ = before_us(shop, pass_on)
    given = ["tea", b"\0\1", film()[:900_000]]
    equal(run(Source(given) | WebSocketClient(f"{url.replace('http', 'ws')}/socket") | Collect()), given)
    equal(shop.run(*CURL, url).text, PAGE)


# --- behind our proxy -----------------------------------------------------------------------------------


@judge.case(
    "ReverseProxy", "behind: two of them, one is killed", "both answer by turns; then the other alone"
)
def behind(shop: Workshop) -> None:
    addresses, processes = [], []
    names = ("one", "two")
    for name in names:
        port = free_port()
        http = f"""server {{ listen {HOST}:{port}; root {shop.files};
            location = /name {{ return 200 "{name} $http_x_forwarded_for $http_host"; }} }}"""
        processes.append(nginx(shop, http, port=port, name=name))
        addresses.append(f"{HOST}:{port}")
    proxy = HTTPServer({"/*": ReverseProxy(addresses)}, port=0, quiet=True)
    host, port = shop.serve(proxy)
    url = f"http://{host}:{port}"
    told = [f"{name} {HOST} {host}:{port}" for name in names]
    equal(sorted(shop.run(*CURL, f"{url}/name").text for _ in range(4)), sorted(told * 2))
    equal(shop.run(*CURL, f"{url}/film.bin").out == film(), True, "that the film is whole")
    equal(shop.run(*CURL, "-r", "5-9", f"{url}/film.bin").out, film()[5:10])
    contains(shop.run(*CURL, "-i", f"{url}/no").text, "404 Not Found", "Via: ")
    os.killpg(processes[0].pid, signal.SIGKILL)
    processes[0].wait()
    equal([shop.run(*CURL, f"{url}/name").text for _ in range(6)], [told[1]] * 6)
    os.killpg(processes[1].pid, signal.SIGKILL)
    processes[1].wait()
    equal(shop.run(*CURL, "-o", "/dev/null", "-w", "%{http_code}", f"{url}/name").text, "502")
