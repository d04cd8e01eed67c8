"""Cookies, by the sections of RFC 6265bis."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kamaelia.axon import LocalProtocolError
from kamaelia.protocol.http import Headers, Request
from kamaelia.protocol.http.cookies import (
    Cookie,
    CookieJar,
    cookies_of,
    delete_cookie,
    parse_cookie_date,
    set_cookie,
)

pytestmark = pytest.mark.one_core

NOW = 1_700_000_000.0


# --- the server reads ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("", {}),
        ("SID=31d4d96e407aad42; lang=en-US", {"SID": "31d4d96e407aad42", "lang": "en-US"}),
        ("a=1;b=2 ;\tc=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; b==; c=d=e", {"a": "", "b": "=", "c": "d=e"}),
        ('a="x"', {"a": '"x"'}),  # the marks belong to it
        ("a; =1; ; b=2", {"b": "2"}),
        ("a=x y,z", {"a": "x y,z"}),  # not allowed, but seen
        ("\xe9=\xe8", {"\xe9": "\xe8"}),
    ],
)
def test_cookies_are_read(value: str, found: dict[str, str]) -> None:
    assert cookies_of(Request("GET", "/", Headers({"Cookie": value}))) == found


def test_several_headers_are_read_and_not_too_many_cookies() -> None:
    headers = Headers([("Cookie", "a=1; b=2"), ("Cookie", "b=3; c=4, d=5")])
    assert cookies_of(Request("GET", "/", headers)) == {"a": "1", "b": "2", "c": "4, d=5"}
    assert cookies_of(Request("GET", "/", headers), most=2) == {"a": "1", "b": "2"}
    assert cookies_of(Request("GET", "/")) == {}
    many = Headers({"Cookie": "; ".join(f"c{n}=1" for n in range(1000))})
    assert len(cookies_of(Request("GET", "/", many))) == 200


# --- the server writes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ({}, "a=1; Path=/; HttpOnly; SameSite=Lax"),
        ({"http_only": False, "same_site": None, "path": None}, "a=1"),
        ({"max_age": 60.9, "expires": 0, "path": None}, "Max-Age=60; Expires=Thu, 01 Jan 1970 00:00:00 GMT"),
        (
            {"domain": ".example.com", "path": "/x"},
            "a=1; Path=/x; Domain=example.com; HttpOnly; SameSite=Lax",
        ),
        ({"same_site": "None", "secure": True}, "a=1; Path=/; Secure; HttpOnly; SameSite=None"),
        ({"name": "__Host-a", "secure": True}, "__Host-a=1; Path=/; Secure; HttpOnly; SameSite=Lax"),
        ({"name": "__secure-a", "secure": True, "domain": "a.b"}, "__secure-a=1; Path=/; Domain=a.b; Secure"),
        ({"value": ""}, "a=; Path=/"),
        ({"value": '"x"'}, 'a="x"; Path=/'),
        ({"value": "x" * 4095}, "a=" + "x" * 4095),
    ],
)
def test_cookies_are_written(given: dict[str, Any], value: str) -> None:
    assert value in set_cookie(**{"name": "a", "value": "1", **given})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"name": ""}, "the cookie '': its name has letters, digits and some signs"),
        ({"name": "a b"}, "the cookie 'a b': its name"),
        ({"name": "a=b"}, "the cookie 'a=b': its name"),
        ({"name": b"a"}, "the cookie b'a': its name"),
        ({"value": "a;b"}, "the cookie 'a' cannot have the value 'a;b': escape what is no letter"),
        ({"value": "a b"}, "cannot have the value 'a b'"),
        ({"value": 'a"b'}, "cannot have the value"),
        ({"value": "a\r\nb"}, "cannot have the value"),
        ({"value": "\xe9"}, "cannot have the value"),
        ({"value": 7}, "cannot have the value 7"),
        ({"value": "x" * 4096}, "the cookie 'a' has more than 4096 bytes: clients do not keep it"),
        ({"path": "x"}, "the cookie 'a': 'x' is no path: it begins with / and has no ;"),
        ({"path": "/;x"}, "'/;x' is no path"),
        ({"path": "/\n"}, "is no path"),
        ({"domain": "a b"}, "'a b' is no domain"),
        ({"domain": ""}, "'' is no domain"),
        ({"domain": "a;b"}, "'a;b' is no domain"),
        ({"same_site": "lax"}, "same_site='lax' is not 'Strict', 'Lax' or 'None'"),
        ({"same_site": "None"}, "same_site='None' needs secure=True"),
        ({"name": "__Secure-a"}, "a name with __Secure- needs secure=True"),
        ({"name": "__Host-a"}, "a name with __Host- needs secure=True, path='/' and no domain"),
        ({"name": "__Host-a", "secure": True, "path": "/x"}, "a name with __Host- needs"),
        ({"name": "__host-a", "secure": True, "domain": "a.b"}, "a name with __Host- needs"),
    ],
)
def test_cookies_that_no_client_would_keep(given: dict[str, Any], text: str) -> None:
    with pytest.raises(LocalProtocolError) as raised:
        set_cookie(**{"name": "a", "value": "1", **given})
    assert text in str(raised.value)


# --- the client: dates, 5.1.1 ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Sun, 06 Nov 1994 08:49:37 GMT", 784111777),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 784111777),
        ("Sun Nov  6 08:49:37 1994", 784111777),
        ("6 november 1994 8:49:37 and more", 784111777),
        ("8:49:37 6th NOV 1994", 784111777),
        ("06 Nov 69 00:00:00", 3150921600),
        ("06 Nov 70 00:00:00", 26697600),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Sun, 06 Nov 1994", None),
        ("Nov 1994 08:49:37", None),
        ("06 1994 08:49:37", None),
        ("06 Nov 08:49:37", None),
        ("06 Nov 1600 08:49:37", None),
        ("32 Nov 1994 08:49:37", None),
        ("06 Nov 1994 24:49:37", None),
        ("06 Nov 1994 08:60:37", None),
        ("06 Nov 1994 08:49:60", None),
        ("06 Nov 19945 08:49:37", None),
        ("", None),
    ],
)
def test_dates_of_cookies(text: str, seconds: int | None) -> None:
    assert parse_cookie_date(text) == seconds


@given(st.text())
def test_any_text_as_a_date(text: str) -> None:
    parse_cookie_date(text)


# --- the client: what is kept, 5.6 and 5.7, and told again, 5.8.3 ------------------------------------------

HTTPS = "https://www.example.com/a/b"


@pytest.mark.parametrize(
    ("said", "told"),
    [
        # 5.6: what it says
        ("a=1", "a=1"),
        (" a = 1 ; x", "a=1"),
        ("a=b=c", "a=b=c"),
        ('a="1"', 'a="1"'),
        ("a=", "a="),
        ("a", "a"),
        ("=a", "a"),
        ("", None),
        ("=", None),
        (";Path=/", None),
        ("a=1\x00", None),
        ("a=1\x7f", None),
        ("a=1\n", None),
        ("a=1\t;", "a=1"),
        ("a=" + "x" * 4095, "a=" + "x" * 4095),
        ("a=" + "x" * 4096, None),
        ("a=1; path=/" + "x" * 1024, "a=1"),  # an attribute that is too long is passed over
        # domains, 5.1.3
        ("a=1; Domain=example.com", "a=1"),
        ("a=1; domain=.EXAMPLE.com", "a=1"),
        ("a=1; Domain=www.example.com", "a=1"),
        ("a=1; Domain=", "a=1"),
        ("a=1; Domain=com", None),
        ("a=1; Domain=ample.com", None),
        ("a=1; Domain=other.com", None),
        ("a=1; Domain=x.www.example.com", None),
        ("a=1; Domain=\xe9.example.com", None),
        ("a=1; Domain=other.com; Domain=example.com", "a=1"),  # the last one counts
        # paths, 5.1.4
        ("a=1; Path=/", "a=1"),
        ("a=1; Path=/a", "a=1"),
        ("a=1; Path=/a/", "a=1"),
        ("a=1; Path=/a/b", "a=1"),
        ("a=1; Path=/a/b/", None),
        ("a=1; Path=/a/bc", None),
        ("a=1; Path=/A", None),
        ("a=1; Path=a", "a=1"),
        # times, 5.6.1 and 5.6.2
        ("a=1; Max-Age=1", "a=1"),
        ("a=1; Max-Age=0", None),
        ("a=1; Max-Age=-1", None),
        ("a=1; Max-Age=x", "a=1"),
        ("a=1; Max-Age=+1", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", None),
        ("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT", "a=1"),
        ("a=1; Expires=soon", "a=1"),
        ("a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=1", "a=1"),
        ("a=1; Expires=Fri, 01 Jan 2100 00:00:00 GMT; Max-Age=0", None),
        # prefixes, 5.7
        ("__Secure-a=1; Secure", "__Secure-a=1"),
        ("__Secure-a=1", None),
        ("__SECURE-a=1", None),
        ("__Host-a=1; Secure; Path=/", "__Host-a=1"),
        ("__Host-a=1; Secure", None),
        ("__Host-a=1; Path=/", None),
        ("__Host-a=1; Secure; Path=/; Domain=www.example.com", None),
        ("=__Host-a=1; Secure; Path=/", None),
        ("__Host-a", None),
    ],
)
def test_what_is_kept_and_told_again(said: str, told: str | None) -> None:
    jar = CookieJar()
    jar.store(HTTPS, [said], now=NOW)
    assert jar.header(HTTPS, now=NOW) == told
    elsewhere = said.startswith("a=1; Path=/")  # it is kept all the same
    assert len(jar) == len(list(jar)) == (1 if told or elsewhere else 0)


@pytest.mark.parametrize(
    ("said", "url", "told"),
    [
        ("a=1", "https://www.example.com/", None),  # the path is that of its folder
        ("a=1", "https://www.example.com/a", "a=1"),
        ("a=1", "https://www.example.com/a/", "a=1"),
        ("a=1", "https://www.example.com/ab", None),
        ("a=1", "https://WWW.example.com./a?b#c", "a=1"),
        ("a=1", "https://www.example.com:8443/a", "a=1"),  # ports are all the same
        ("a=1", "http://www.example.com/a", "a=1"),
        ("a=1; Secure", "http://www.example.com/a", None),
        ("a=1; Secure", "wss://www.example.com/a", "a=1"),
        ("a=1", "https://example.com/a", None),
        ("a=1", "https://x.www.example.com/a", None),
        ("a=1; Domain=www.example.com", "https://x.www.example.com/a", "a=1"),
        ("a=1; Domain=example.com", "https://example.com/a", "a=1"),
        ("a=1; Domain=example.com", "https://xexample.com/a", None),
        ("a=1; Domain=example.com", "https://com/a", None),
        ("a=1", "/a", None),
        ("a=1; Path=/", "https://www.example.com", "a=1"),
    ],
)
def test_whom_it_is_told(said: str, url: str, told: str | None) -> None:
    jar = CookieJar()
    jar.store(HTTPS, [said], now=NOW)
    assert jar.header(url, now=NOW) == told


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]"])
def test_an_address_has_no_domain_above_it(host: str) -> None:
    jar = CookieJar()
    jar.store(f"http://{host}/", ["a=1", "b=2; Domain=0.0.1", "c=3; Domain=.1"], now=NOW)
    assert jar.header(f"http://{host}/", now=NOW) == "a=1"
    jar.store("http://127.0.0.1/", ["d=4; Domain=127.0.0.1"], now=NOW)
    assert jar.header("http://x.127.0.0.1/", now=NOW) is None
    assert "d=4" in (jar.header("http://127.0.0.1/", now=NOW) or "")


def test_a_public_suffix_may_have_cookies_of_its_own_only() -> None:
    jar = CookieJar(is_public_suffix=lambda domain: domain in ("uk", "co.uk"))
    jar.store("https://shop.co.uk/", ["a=1; Domain=co.uk", "b=2; Domain=shop.co.uk"], now=NOW)
    assert jar.header("https://x.shop.co.uk/", now=NOW) == "b=2"
    jar.store("https://co.uk/", ["c=3; Domain=co.uk"], now=NOW)
    assert jar.header("https://co.uk/", now=NOW) == "c=3"
    assert jar.header("https://shop.co.uk/", now=NOW) == "b=2"
    plain = CookieJar()
    plain.store("http://localhost/", ["a=1; Domain=localhost"], now=NOW)
    assert plain.header("http://localhost/", now=NOW) == "a=1"
    assert plain.header("http://x.localhost/", now=NOW) is None


def test_nobody_hides_or_sets_a_secure_cookie_from_an_insecure_place() -> None:
    jar = CookieJar()
    http = "http://www.example.com/"
    jar.store(http, ["a=1; Secure"], now=NOW)
    assert len(jar) == 0
    jar.store("https://www.example.com/", ["a=1; Secure; Path=/x", "b=1"], now=NOW)
    jar.store(http, ["a=2; Path=/x/y", "a=3; Path=/x; Domain=example.com", "b=2"], now=NOW)
    assert jar.header("https://www.example.com/x/y", now=NOW) == "a=1; b=2"
    jar.store(http, ["a=4; Path=/"], now=NOW)  # that one is less close, and hides nothing
    assert jar.header("https://www.example.com/x/y", now=NOW) == "a=1; b=2; a=4"


def test_the_closest_comes_first_and_then_the_oldest() -> None:
    jar = CookieJar()
    jar.store(HTTPS, ["a=1; Path=/", "b=2; Path=/a", "c=3; Path=/", "d=4; Path=/a/b"], now=NOW)
    jar.store(HTTPS, ["a=5; Path=/"], now=NOW)  # a new one takes the place of the one before
    assert jar.header(HTTPS, now=NOW) == "d=4; b=2; a=5; c=3"


def test_a_cookie_is_replaced_only_by_one_of_its_own_kind() -> None:
    jar = CookieJar()
    url = "https://www.example.com/"
    jar.store(url, ["a=1", "a=2; Domain=www.example.com", "a=3; Path=/x", "a=4; Domain=example.com"], now=NOW)
    assert len(jar) == 4
    jar.store(url, ["a=; Max-Age=0"], now=NOW)
    assert sorted(cookie.value for cookie in jar) == ["2", "3", "4"]
    jar.clear()
    assert (len(jar), list(jar)) == (0, [])


def test_its_time_is_over() -> None:
    jar = CookieJar()
    jar.store(HTTPS, ["a=1; Max-Age=10", "b=2", "c=3; Max-Age=999999999999"], now=NOW)
    assert jar.header(HTTPS, now=NOW + 9.9) == "a=1; b=2; c=3"
    assert jar.header(HTTPS, now=NOW + 10) == "b=2; c=3"
    assert jar.header(HTTPS, now=NOW + 400 * 86400) == "b=2"  # none is kept longer (5.5)
    assert [(one.name, one.expires) for one in jar] == [("b", None)]


def test_what_a_cookie_is() -> None:
    jar = CookieJar()
    jar.store(HTTPS, ["a=1; Max-Age=10; Secure; HttpOnly; SameSite=Lax; Other=x"], now=NOW)
    assert list(jar) == [Cookie("a", "1", "www.example.com", "/a", True, True, True, NOW + 10)]


def test_what_was_not_used_for_longest_goes_first() -> None:
    jar = CookieJar(most=5, most_per_domain=3)
    one, other = "https://a.example/", "https://b.example/"
    jar.store(one, ["a=1; Path=/x", "b=2", "c=3"], now=NOW)
    jar.header(one + "x", now=NOW)
    jar.store(one, ["d=4; Path=/x"], now=NOW)
    assert sorted(cookie.name for cookie in jar) == ["b", "c", "d"]  # each was used with the same request
    jar.store(other, ["e=5", "f=6"], now=NOW)
    jar.header(one, now=NOW)
    jar.store(other, ["g=7"], now=NOW)
    assert sorted(cookie.name for cookie in jar) == ["b", "c", "e", "f", "g"]


def test_secure_ones_are_not_driven_out_by_others() -> None:
    jar = CookieJar(most_per_domain=3)
    jar.store("https://a.example/", ["a=1; Secure"], now=NOW)
    jar.store("http://a.example/", [f"x{n}=1" for n in range(10)], now=NOW)
    assert sorted(cookie.name for cookie in jar) == ["a", "x8", "x9"]


@given(st.lists(st.text(st.sampled_from("ab=; ,Path/DomainMax-Ge10.com\x00\xe9\t__Host"), max_size=60)))
def test_whatever_servers_say_is_bounded_and_raises_nothing(values: list[str]) -> None:
    jar = CookieJar(most=4, most_per_domain=3)
    for n, value in enumerate(values):
        jar.store(f"https://h{n % 3}.example.com/", [value], now=NOW + n)
        assert len(jar) == len(list(jar)) <= 4
        said = jar.header("https://h0.example.com/", now=NOW + n)
        assert said is None or "\x00" not in said


@given(
    st.from_regex(r"[a-zA-Z0-9_-]{1,20}", fullmatch=True),
    st.from_regex(r"[!#-+\--:<-\[\]-~]{0,30}", fullmatch=True),
)
def test_what_a_server_writes_a_client_keeps(name: str, value: str) -> None:
    jar = CookieJar()
    jar.store("https://a.example/", [set_cookie(name, value, secure=True, max_age=5)], now=NOW)
    told = jar.header("https://a.example/", now=NOW)
    assert told is not None
    assert cookies_of(Request("GET", "/", Headers({"Cookie": told}))) == {name: value}
    jar.store("https://a.example/", [delete_cookie(name, secure=True)], now=NOW)
    assert jar.header("https://a.example/", now=NOW) is None
