"""curl, against our servers of HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import time
from typing import Any

from kamaelia.net import UnixServer
from kamaelia.protocol.http import HTTPProtocol, Limits

from ..judge import Judge
from ..site import BLOCK, PAGE, TEXT, make_site
from ..workshop import Workshop, contains, equal, film, true

judge = Judge("curl", programs=["curl"], version=["curl", "--version"])
CURL = ("curl", "--silent", "--show-error", "--max-time", "20")


@judge.quick("HTTPServer", "`curl -i URL`", "200, the page, its type and length, a date")
def get(shop: Workshop) -> None:
    head, _, body = shop.run(*CURL, "-i", shop.site()).text.partition("\r\n\r\n")
    equal(body, PAGE)
    contains(head, "HTTP/1.1 200 OK", "Content-Type: text/html; charset=utf-8", "Date: ")
    contains(head, f"Content-Length: {len(PAGE)}", "Server: kamaelia")


@judge.quick("HTTPServer", "`curl -I URL`", "the same headers as of GET, and no body")
def head(shop: Workshop) -> None:
    url = shop.site()
    for path in ("/", "/text", "/files/tea.txt", "/files/film.bin"):
        asked = shop.run(*CURL, "-I", url + path).text
        got = shop.run(*CURL, "-D", "-", "-o", "/dev/null", url + path).text
        asked, got = (re.sub("Date: .*", "", one) for one in (asked, got))
        equal(asked, got, f"HEAD of {path}")


@judge.quick("HTTPServer", "`curl -d a=1`, `-X PUT --data-binary @file`", "what was sent comes back")
def post(shop: Workshop) -> None:
    url = shop.site() + "/echo"
    equal(shop.run(*CURL, "-d", "a=1", "-d", "b=2", url).text, "a=1&b=2")
    given = film(800_000)
    equal(shop.run(*CURL, "-X", "PUT", "--data-binary", "@-", url, given=given).out, given)


@judge.quick(
    "HTTPServer", "`curl -T - URL`: an upload in chunks, 16 MB", "all of it has arrived, and was not kept"
)
def chunked(shop: Workshop) -> None:
    given = film() * 16
    said = shop.run(*CURL, "-v", "-T", "-", shop.site() + "/measure", given=given)
    contains(said.err, "Transfer-Encoding: chunked")
    equal(said.text, f"{len(given)} {hashlib.sha256(given).hexdigest()}")


@judge.quick("HTTPServer", "`curl -T -`, to a part that answers as it reads", "the answer, in chunks as well")
def stream(shop: Workshop) -> None:
    said = shop.run(*CURL, "-v", "-X", "POST", "-T", "-", shop.site() + "/shout", given=b"tea " * 100_000)
    contains(said.err, "< Transfer-Encoding: chunked")
    equal(said.out, b"TEA " * 100_000)


@judge.quick(
    "HTTPServer",
    "`curl -H 'Expect: 100-continue'`",
    "100 Continue before the body; 413 instead of it where the body is too long",
)
def expect(shop: Workshop) -> None:
    url, asks = shop.site(), ("-H", "Expect: 100-continue", "--expect100-timeout", "10")
    said = shop.run(*CURL, "-v", *asks, "--data-binary", "@-", f"{url}/echo", given=b"tea " * 1000)
    contains(said.err, "100 Continue", "200 OK")
    equal(said.out, b"tea " * 1000)
    began = time.monotonic()
    said = shop.run(*CURL, "-v", *asks, "--data-binary", "@-", f"{url}/echo", given=film() * 2)
    contains(said.err, "HTTP/1.1 413")
    true("100 Continue" not in said.err, "it has asked for a body that is too long")
    true(time.monotonic() - began < 5, "curl has waited for the server's word")


@judge.quick("HTTPServer", "`curl -r 0-9`, `-r -5`, `-r 5-`, `-r 99999-`", "206 and the part; 416")
def one_range(shop: Workshop) -> None:
    url = shop.site() + "/files/film.bin"
    for asked, part in (("0-9", film()[:10]), ("-5", film()[-5:]), ("999990-", film()[999990:])):
        said = shop.run(*CURL, "-v", "-r", asked, url)
        contains(said.err, "206 Partial Content", "Content-Range: bytes ")
        equal(said.out, part, f"the range {asked}")
    contains(shop.run(*CURL, "-v", "-r", "2000000-", url).err, "416", "Content-Range: bytes */1000000")


@judge.quick("HTTPServer", "`curl -r 0-2,5000-5001`", "206, multipart/byteranges, both parts")
def two_ranges(shop: Workshop) -> None:
    said = shop.run(*CURL, "-i", "-r", "0-2,5000-5001", shop.site() + "/files/tea.txt").text
    boundary = re.search("Content-Type: multipart/byteranges; boundary=(\\S+)", said)
    true(boundary, f"no multipart/byteranges in {said[:300]!r}")
    assert boundary is not None
    parts = said.split(f"--{boundary[1]}")
    equal([part.rpartition("\r\n\r\n")[2].strip("\r\n") for part in parts[1:3]], ["Tea", "as"])
    contains(parts[1], "Content-Range: bytes 0-2/13000")
    equal(parts[3].strip(), "--")


@judge.quick("HTTPServer", "`curl -C -`, with half of the file there", "the rest, so that it is whole")
def resume(shop: Workshop) -> None:
    half = shop.folder / "film.bin"
    half.write_bytes(film()[:400_000])
    said = shop.run(*CURL, "-v", "-C", "-", "-o", half, shop.site() + "/files/film.bin")
    contains(said.err, "Range: bytes=400000-", "Content-Range: bytes 400000-999999/1000000")
    equal(half.read_bytes() == film(), True, "that the file is whole")


@judge.quick("HTTPServer", "`curl --etag-compare`, `-z file`", "304 without a body")
def unchanged(shop: Workshop) -> None:
    url, conditions = _copied(shop)
    for condition in conditions:
        said = shop.run(*CURL, "-i", *condition, url).text
        contains(said, "304 Not Modified")
        equal(said.partition("\r\n\r\n")[2], "", "the body of 304")


@judge.case(
    "HTTPServer", "`curl --etag-compare`, `-z file`, once the file has changed", "200 and the new file"
)
def changed(shop: Workshop) -> None:
    url, conditions = _copied(shop)
    (shop.files / "tea.txt").write_text("changed")
    os.utime(shop.files / "tea.txt", (time.time() + 5, time.time() + 5))
    time.sleep(1.1)  # for a second the server may take it for the one that it was
    for condition in conditions:
        equal(shop.run(*CURL, *condition, url).text, "changed")


def _copied(shop: Workshop) -> tuple[str, list[tuple[Any, ...]]]:
    """Get a file; return its address, and the ways to ask whether it has changed."""
    url, tag, copy = shop.site() + "/files/tea.txt", shop.folder / "tag", shop.folder / "copy"
    shop.run(*CURL, "-R", "--etag-save", tag, "-o", copy, url)
    return url, [("--etag-compare", tag), ("-z", copy)]


@judge.quick("HTTPServer", "`curl --compressed`, of a file and of a function", "gzip, and the same text")
def compression(shop: Workshop) -> None:
    url = shop.site()
    for path in ("/text", "/files/tea.txt"):
        said = shop.run(*CURL, "-v", "--compressed", "-w", "%{stderr}%{size_download}", url + path)
        contains(said.err, "Content-Encoding: gzip", "Vary: Accept-Encoding")
        equal(said.text, TEXT)
        true(int(said.err.split()[-1]) < 1000, "it was not compressed")
        true("Content-Encoding" not in shop.run(*CURL, "-v", url + path).err, "compressed unasked")


@judge.quick("HTTPServer", "`curl -c jar`, `curl -b jar`", "cookies come back, each to its path")
def jar(shop: Workshop) -> None:
    url, cookies = shop.site(), shop.folder / "jar"
    shop.run(*CURL, "-c", cookies, f"{url}/cookies/set")
    contains(cookies.read_text(), "\tcup\tblue", "\tspoon\tsmall", "#HttpOnly_127.0.0.1")
    equal(json.loads(shop.run(*CURL, "-b", cookies, f"{url}/cookies").out), {"cup": "blue"})


@judge.quick("HTTPServer", "`curl -L`, after 301, 302, 303, 307 and 308", "it arrives; 307 and 308 keep POST")
def redirects(shop: Workshop) -> None:
    url = shop.site()
    for status in (301, 302, 303):
        equal(shop.run(*CURL, "-L", f"{url}/redirect/{status}").text, "stay", f"after {status}")
    for status in (307, 308):
        equal(shop.run(*CURL, "-L", "-d", "tea", f"{url}/redirect/{status}").text, "tea", f"after {status}")
    equal(shop.run(*CURL, "-L", f"{url}/files/cups").text, "<h1>Cups</h1>\n", "a folder without its slash")


@judge.quick("HTTPServer", "`curl URL URL URL`", "one connection for all")
def keep_alive(shop: Workshop) -> None:
    url = shop.site()
    said = shop.run(*CURL, "-v", url + "/", url + "/text", url + "/blocks/2", url + "/").err
    equal(said.count("Re-using existing connection"), 3, "how often it was used again")
    equal(shop.server.statistics().accepted, 1, "how many connections")


@judge.quick("HTTPServer", "`curl -0`", "no chunks, and the end of the connection is that of the body")
def http_1_0(shop: Workshop) -> None:
    url = shop.site()
    said = shop.run(*CURL, "-0", "-v", f"{url}/blocks/4")
    true("Transfer-Encoding" not in said.err, "chunks for HTTP/1.0")
    equal(said.out == BLOCK * 4, True, "that the body is whole")
    contains(said.err, "Closing connection")
    equal(shop.run(*CURL, "-0", url).text, PAGE)


@judge.quick(
    "HTTPServer", "`curl -N /events`, and one that goes on", "each event at once, while the answer lasts"
)
def events(shop: Workshop) -> None:
    url = shop.site()
    said = shop.run(*CURL, "-N", "-i", f"{url}/events").text
    contains(said, "Content-Type: text/event-stream", "Cache-Control: no-")
    contains(said, "id: 1\ndata: one\n\n", "event: tea\nid: 2\ndata: two\ndata: lines\n\n")
    process = shop.start(*CURL, "-N", f"{url}/ticks", stdout=subprocess.PIPE)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(9)]
    equal([line for line in lines if line.startswith(b"data")], [b"data: tick %d\n" % n for n in range(3)])
    equal(process.poll(), None, "that curl has ended")
    process.kill()
    shop.until(lambda: shop.server.statistics().open == 0, "the server has noticed that the client left")


@judge.quick("HTTPServer", "`curl -F name=... -F file=@...`", "field, file name, type and size")
def multipart(shop: Workshop) -> None:
    url, file = shop.site() + "/form", shop.files / "tea.txt"
    fields = (
        "-F",
        'drink=a "cup"',
        "-F",
        f"file=@{file};type=text/x-tea",
        "-F",
        f'p=@{file};filename="ü;.txt"',
    )
    said = json.loads(shop.run(*CURL, *fields, url).out)
    size = len(TEXT)
    wanted = {
        "drink": 'a "cup"',
        "file": ["tea.txt", "text/x-tea", size],
        "p": ["ü;.txt", "text/plain", size],
    }
    equal(said, wanted)
    said = json.loads(shop.run(*CURL, "--data-urlencode", "drink=a & b", url).out)
    equal(said, {"drink": "a & b"})


@judge.quick(
    "HTTPServer(proxies=...)", "`curl --haproxy-protocol`", "whom the header names, and who is before"
)
def proxy_protocol(shop: Workshop) -> None:
    url = shop.site(proxies=["127.0.0.1"])
    said = json.loads(shop.run(*CURL, "--haproxy-protocol", f"{url}/who").out)
    equal((said["address"][0], said["proxy"][0]), ("127.0.0.1", "127.0.0.1"))
    equal(said["address"], said["proxy"], "curl speaks for itself, so both")


@judge.quick("UnixServer(HTTPProtocol)", "`curl --unix-socket`", "the page, and which process has asked")
def unix_socket(shop: Workshop) -> None:
    path = shop.serve(UnixServer(HTTPProtocol(make_site(shop.files)), str(shop.folder / "s"), quiet=True))
    equal(shop.run(*CURL, "--unix-socket", path, "http://tea.example/").text, PAGE)
    said = json.loads(shop.run(*CURL, "--unix-socket", path, "http://tea.example/who").out)
    equal(said["process"][1], os.getuid(), "the user")


@judge.quick(
    "HTTPServer(tls=...)",
    "`curl --cacert`, with TLS 1.2 and 1.3; without it",
    "the page, `http/1.1` agreed on (ALPN); curl does not believe who vouches",
)
def tls(shop: Workshop) -> None:
    url = shop.site(tls=shop.server_tls(alpn=["http/1.1"]))
    believes = ("--cacert", shop.certificates.authorities)
    for version, most in (("TLSv1.3", "1.3"), ("TLSv1.2", "1.2")):
        said = shop.run(*CURL, "-v", *believes, "--tls-max", most, f"{url}/who")
        contains(said.err, f"SSL connection using {version}", "ALPN: server accepted http/1.1")
        equal(json.loads(said.out)["tls"], [version, "http/1.1", None])
        equal(json.loads(said.out)["scheme"], "https")
    equal(shop.run(*CURL, *believes, url, url).text, PAGE * 2)
    equal(shop.run(*CURL, *believes, f"{url}/files/film.bin").out == film(), True, "that the file is whole")
    shop.run(*CURL, url, code=60)


@judge.quick("HTTPServer(tls=...)", "`curl --cert`, and without", "whose certificate it is; no answer")
def client_certificate(shop: Workshop) -> None:
    made = shop.certificates
    url = shop.site(tls=shop.server_tls(clients=made.authorities))
    believes = ("--cacert", made.authorities)
    said = shop.run(*CURL, *believes, "--cert", made.client, "--key", made.client_key, f"{url}/who")
    equal(json.loads(said.out)["certificate"], [["email", "ada@tea.example"]])
    true(shop.run(*CURL, *believes, f"{url}/who", code=None).code != 0, "let in without a certificate")


@judge.quick(
    "HTTPServer", "`curl --limit-rate 4M`, 6 MB", "all of it; the server keeps little of it meanwhile"
)
def slow_reader(shop: Workshop) -> None:
    url = shop.site()
    said = shop.run(*CURL, "--limit-rate", "4M", f"{url}/blocks/100")
    equal(len(said.out), len(BLOCK) * 100)
    equal(said.out == BLOCK * 100, True, "that it is whole")


@judge.quick(
    "HTTPServer", "`curl` is killed in the middle of an endless answer", "the connection ends, others go on"
)
def disconnect(shop: Workshop) -> None:
    url = shop.site()
    process = shop.start(*CURL, "-o", "/dev/null", "--limit-rate", "1M", f"{url}/blocks/100000")
    shop.until(lambda: shop.server.statistics().open == 1, "curl has connected")
    process.kill()
    shop.until(lambda: shop.server.statistics().open == 0, "the connection has ended")
    equal(shop.run(*CURL, url).text, PAGE)
    equal(shop.server.statistics().failed, 0, "connections that have failed")


@judge.quick("HTTPServer", "`curl -Z` 200 pages, 20 at the same time", "all of them")
def parallel(shop: Workshop) -> None:
    url = shop.site()
    said = shop.run(*CURL, "-Z", "--parallel-max", "20", f"{url}/?n=[1-200]")
    equal(said.text, PAGE * 200)


@judge.quick(
    "HTTPServer",
    "what is not there: `curl -f /no`, `-X DELETE /`, `-X OPTIONS /`",
    "404; 405 and 204 with Allow",
)
def refusals(shop: Workshop) -> None:
    url = shop.site()
    shop.run(*CURL, "-f", f"{url}/no", code=22)
    contains(
        shop.run(*CURL, "-i", "-X", "DELETE", url).text, "405 Method Not Allowed", "Allow: GET, HEAD, OPTIONS"
    )
    contains(shop.run(*CURL, "-i", "-X", "OPTIONS", url).text, "204 No Content", "Allow: GET, HEAD, OPTIONS")
    contains(shop.run(*CURL, "-i", "-X", "OPTIONS", "--request-target", "*", url).text, "HTTP/1.1 204")


@judge.quick(
    "StaticFiles", "`curl --path-as-is /files/../secret.txt`, and in escapes", "nothing of what lies beside"
)
def traversal(shop: Workshop) -> None:
    url = shop.site()
    for path in ("/files/../secret.txt", "/files/%2e%2e/secret.txt", "/files/..%2fsecret.txt",
                 "/files/cups/../../../secret.txt", "/files/%00", "/files//../secret.txt"):  # fmt: skip
        said = shop.run(*CURL, "--path-as-is", "-w", "%{http_code}", url + path).text
        true("secret" not in said and said[-3:] in ("400", "404"), f"{path} is answered {said!r}")


@judge.quick("HTTPServer", "`curl` with a header of 100 KB, a URL of 10 KB, a body of 2 MB", "431, 414, 413")
def too_much(shop: Workshop) -> None:
    url, status = shop.site(limits=Limits()), ("-o", "/dev/null", "-w", "%{http_code}")
    headers = [word for n in range(10) for word in ("-H", f"X-{n}: {'x' * 10_000}")]
    equal(shop.run(*CURL, *status, *headers, url).text, "431")
    equal(shop.run(*CURL, *status, f"{url}/?{'x' * 10_000}").text, "414")
    said = shop.run(
        *CURL, *status, "-H", "Expect:", "--data-binary", "@-", f"{url}/echo", given=film() * 2, code=None
    )
    equal(said.text, "413")


@judge.quick("HTTPServer", "`curl --raw`, an answer with a trailer", "the trailer, behind the last chunk")
def trailers(shop: Workshop) -> None:
    said = shop.run(*CURL, "-i", "--raw", shop.site() + "/trailers").text
    contains(
        said, "Trailer: Checksum", "\r\n0\r\nChecksum: " + hashlib.sha256(b"tea").hexdigest() + "\r\n\r\n"
    )


@judge.quick("HTTPServer", "`curl --http2`: would rather speak HTTP/2", "is answered in HTTP/1.1")
def http_2_asked(shop: Workshop) -> None:
    said = shop.run(*CURL, "--http2", "-v", shop.site())
    contains(said.err, "Upgrade: h2c", "HTTP/1.1 200 OK")
    equal(said.text, PAGE)
