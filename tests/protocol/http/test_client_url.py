"""Addresses: what they are taken apart into, and which are refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.protocol.http.url import URL

pytestmark = [pytest.mark.one_core]


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "target", "authority"),
    [
        ("http://example.org", "http", "example.org", 80, "/", "example.org"),
        ("HTTP://EXAMPLE.org:80/a", "http", "example.org", 80, "/a", "example.org"),
        ("https://example.org/?q", "https", "example.org", 443, "/?q", "example.org"),
        ("https://example.org:80/?q=/?", "https", "example.org", 80, "/?q=/?", "example.org:80"),
        ("http://[::1]:8080/x#y", "http", "::1", 8080, "/x", "[::1]:8080"),
        ("http://[2001:DB8:0::1]/", "http", "2001:db8::1", 80, "/", "[2001:db8::1]"),
        ("http://127.0.0.1:1/", "http", "127.0.0.1", 1, "/", "127.0.0.1:1"),
        ("http://straße.example/ö?ä=%20", "http", "strasse.example", 80, "/%C3%B6?%C3%A4=%20", None),
        ("http://日本.example/", "http", "xn--wgv71a.example", 80, "/", None),
        ('http://a/"<>^`{|}', "http", "a", 80, "/%22%3C%3E%5E%60%7B|%7D", None),
        ("http://a.example./", "http", "a.example.", 80, "/", None),
        ("http://my_host/", "http", "my_host", 80, "/", None),
    ],
)
def test_an_address_is_taken_apart(text, scheme, host, port, target, authority):
    url = URL.parse(text)
    assert (url.scheme, url.host, url.port, url.target) == (scheme, host, port, target)
    assert url.userinfo is None and url.authorization is None
    if authority is not None:
        assert url.authority == authority
    assert URL.parse(str(url)) == url


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "only http and https are spoken here, http:// or https:// comes first"),
        ("example.org/x", "http:// or https:// comes first"),
        ("localhost:80/x", "http:// or https:// comes first"),
        ("ftp://example.org/", "only http and https are spoken here, not this one"),
        ("file:///etc/passwd", "only http and https are spoken here"),
        ("javascript:alert(1)", "only http and https are spoken here"),
        ("http:///x", "names no host: write http://example.org/"),
        ("http://:80/x", "names no host"),
        ("http://a b/", "blanks, backslashes"),
        ("http://a/b c", "escape them (urllib.parse.quote)"),
        ("http://a/b\r\nHost: c", "line ends"),
        ("http://a/\x00", "control characters"),
        ("http://a\\@b/", "backslashes"),
        ("http://a/\u00a0", "blanks"),
        ("http://a:0/", "there is no port 0"),
        ("http://a:65536/", "Port out of range"),
        ("http://a:x/", "Port could not be cast"),
        ("http://[::1/", "Invalid IPv6"),
        ("http://[v1.x]/", "IPv6"),
        ("http://a..b/", "is no name of a host: a part of the name is empty"),
        (f"http://{'a' * 64}.b/", "longer than 63 characters"),
        ("http://a%00b/", "is no name of a host: names of hosts have letters, digits, '-' and '.'"),
        ("http://a,b/", "names of hosts have"),
        ("http://" + "x" * 70000, "has 70007 characters; 65536 are enough"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, part):
    with pytest.raises(ValueError) as caught:
        URL.parse(text)
    assert part in str(caught.value)


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError, match=r"the address b'http://a': give text such as 'http://example.org/'"):
        URL.parse(b"http://a")


def test_name_and_password_become_a_header_and_are_not_shown():
    url = URL.parse("http://me%40home:p%3Aw@example.org/")
    assert url.userinfo == b"me@home:p:w"
    assert url.authorization == "Basic bWVAaG9tZTpwOnc="
    assert str(url) == "http://example.org/"
    assert URL.parse("http://me@example.org/").authorization == "Basic bWU6"


@given(st.text(max_size=40))
def test_any_text_is_an_address_or_is_refused(text):
    for one in (text, f"http://{text}", f"http://a/{text}"):
        try:
            url = URL.parse(one)
        except ValueError:
            continue
        assert url.target.isascii() and url.target.isprintable() and " " not in url.target
        assert url.host.isascii()
        assert URL.parse(str(url)) == URL.parse(str(URL.parse(str(url))))
