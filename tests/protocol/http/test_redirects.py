"""Where a client goes on, by RFC 9110, 15.4."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import RemoteProtocolError
from kamaelia.protocol.http import Headers
from kamaelia.protocol.http.redirects import Next
from kamaelia.protocol.http.redirects import next_request as _next_request
from kamaelia.protocol.http.url import URL as Address

pytestmark = pytest.mark.one_core

URL = "https://shop.example/a/b?c=d"


def next_request(method: str, url: str, *asked: Any, most: int = 10, **options: Any) -> Next | None:
    return _next_request(method, Address.parse(url), *asked, most=most, **options)


@pytest.mark.parametrize(
    ("method", "status", "new", "keeps_body"),
    [
        ("GET", 301, "GET", True),
        ("POST", 301, "GET", False),
        ("PUT", 301, "PUT", True),
        ("HEAD", 302, "HEAD", True),
        ("POST", 302, "GET", False),
        ("DELETE", 302, "DELETE", True),
        ("GET", 303, "GET", True),
        ("HEAD", 303, "HEAD", True),
        ("POST", 303, "GET", False),
        ("PUT", 303, "GET", False),
        ("POST", 307, "POST", True),
        ("PATCH", 308, "PATCH", True),
    ],
)
def test_which_method_is_next(method: str, status: int, new: str, keeps_body: bool) -> None:
    headers = Headers({"Accept": "*/*", "Content-Type": "a/b", "Content-Length": 3, "Transfer-Encoding": "x"})
    found = next_request(method, URL, headers, status, "/x")
    assert found is not None
    assert (found.method, found.keeps_body) == (new, keeps_body)
    assert found.headers == (headers if keeps_body else Headers({"Accept": "*/*"}))


@pytest.mark.parametrize(
    ("status", "location"), [(200, "/x"), (300, "/x"), (304, "/x"), (301, None), (404, "/")]
)
def test_what_sends_nobody_elsewhere(status: int, location: str | None) -> None:
    assert next_request("GET", URL, Headers(), status, location) is None


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/x", "https://shop.example/x"),
        ("x", "https://shop.example/a/x"),
        ("../x?y=z", "https://shop.example/x?y=z"),
        ("?y", "https://shop.example/a/b?y"),
        ("", "https://shop.example/a/b?c=d"),
        ("//other.example", "https://other.example/"),
        ("http://other.example:81/x", "http://other.example:81/x"),
        (" /x ", "https://shop.example/x"),
        ("/x y%20z", "https://shop.example/x%20y%20z"),
        ("/\xc3\xa9?\xe9", "https://shop.example/%C3%83%C2%A9?%C3%A9"),  # not all of it is UTF-8
        ("/\xc3\xa9", "https://shop.example/%C3%A9"),
        ("https://user:pass@other.example/", "https://other.example/"),
        ("https://[::1]:8443/x", "https://[::1]:8443/x"),
        ("/x#f", "https://shop.example/x"),
        ("/x#a b", "https://shop.example/x"),
        ("/x#\xc3\xa9", "https://shop.example/x"),
        ("//b\xc3\xbccher.example:81/", "https://xn--bcher-kva.example:81/"),
    ],
)
def test_where_it_goes_on(location: str, url: str) -> None:
    found = next_request("GET", URL, Headers(), 302, location)
    assert found is not None and str(found.url) == url


@pytest.mark.parametrize(
    ("location", "stays"),
    [
        ("/x", True),
        ("https://SHOP.example:443/x", True),
        ("http://shop.example/x", False),
        ("https://shop.example:8443/x", False),
        ("https://www.shop.example/x", False),
        ("https://other.example/x", False),
    ],
)
def test_what_is_for_one_server_does_not_go_to_another(location: str, stays: bool) -> None:
    plain = {"Accept": "*/*", "X-More": "1"}
    headers = Headers({**plain, "Authorization": "Basic x", "Cookie": "a=1", "Host": "shop.example"})
    found = next_request("GET", URL, headers, 307, location)
    assert found is not None
    assert found.headers == (headers if stays else Headers(plain))


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ("ftp://a.b/", "sends on to 'ftp://a.b/', which is no place of HTTP"),
        ("javascript:alert(1)", "which is no place of HTTP"),
        ("file:///etc/passwd", "which is no place of HTTP"),
        ("http://", "which is no place of HTTP"),
        ("https://a b/", "which is no place of HTTP"),
        ("https://a..b/", "a part of the name is empty"),
        ("https://a.b:99999/", "sends on to 'https://a.b:99999/', which is no place of HTTP"),
        ("https://a.b:99999/", "Port out of range"),
        ("https://[x/", "sends on to"),
    ],
)
def test_where_nobody_can_go(location: str, text: str) -> None:
    with pytest.raises(RemoteProtocolError) as raised:
        next_request("GET", URL, Headers(), 302, location)
    assert text in str(raised.value) and str(raised.value).startswith(URL)


def test_there_is_an_end_of_it() -> None:
    assert next_request("GET", URL, Headers(), 302, "/x", count=2, most=3) is not None
    with pytest.raises(RemoteProtocolError, match="is the end of 3 redirects, and sends on to '/x'"):
        next_request("GET", URL, Headers(), 302, "/x", count=3, most=3)


def test_a_secure_connection_may_have_to_stay_so() -> None:
    with pytest.raises(RemoteProtocolError, match=r"sends on to 'http://a\.b/', which is not secure"):
        next_request("GET", URL, Headers(), 302, "http://a.b/", may_become_insecure=False)
    for url, location in [
        (URL, "https://a.b/"),
        ("http://a.b/", "http://c.d/"),
        ("http://a.b/", "https://c.d/"),
    ]:
        assert next_request("GET", url, Headers(), 302, location, may_become_insecure=False) is not None


HOSTS = st.text(st.sampled_from("ab./:@[]\\\xe9 #?%\t\x00"))


@given(st.text(st.characters(max_codepoint=255)) | HOSTS.map("//".__add__))
def test_whatever_a_server_says_is_a_place_or_its_fault(location: str) -> None:
    try:
        found = next_request("GET", URL, Headers(), 302, location)
    except RemoteProtocolError:
        return
    assert found is not None
    place = str(found.url)
    assert place.startswith(("http://", "https://"))
    assert place.isascii() and place.isprintable() and " " not in place
