"""Requests to addresses that other people wrote: which are connected to, and for how long."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from mitorch_service.interop.vott.web.addresses import AllowedAddresses, parse_networks, permitted_addresses
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable, Web
from mitorch_service.interop.vott.web.web_address import BadAddress, web_address
from tests.unit.interop.vott.conftest import LOOPBACK, image_store
from tests.vott_host import Host, picture


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.9.9.9", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1", "2002:7f00:1::", "198.18.0.1"),
    ],
)
def test_addresses_that_only_this_machine_reaches_are_refused(address: str) -> None:
    assert not AllowedAddresses().permits(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "20.60.1.1", "2600::1", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_addresses_of_the_internet_are_permitted(address: str) -> None:
    assert AllowedAddresses().permits(ipaddress.ip_address(address))


def test_networks_that_are_named_are_permitted() -> None:
    allowed = parse_networks(" 10.1.0.0/16, 127.0.0.1,::1 ,")
    permitted = ["10.1.2.3", "127.0.0.1", "::1", "::ffff:10.1.2.3"]
    assert [allowed.permits(ipaddress.ip_address(one)) for one in permitted] == [True] * 4
    assert not allowed.permits(ipaddress.ip_address("127.0.0.2"))
    with pytest.raises(ValueError, match="'here' is not a network"):
        parse_networks("10.0.0.0/8, here")


def test_a_host_is_looked_up_once_and_only_permitted_addresses_are_left() -> None:
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1", "8.8.8.8", "fe80::1%eth0"]

    found = permitted_addresses("host", 443, AllowedAddresses(), resolve)
    assert found == [ipaddress.ip_address("8.8.8.8")] and asked == ["host"]


def test_a_name_that_leads_elsewhere_the_second_time_is_connected_to_where_it_was_checked(host: Host) -> None:
    host.add("a.csv", "x")
    answers = iter([["127.0.0.1"], ["169.254.169.254"]])
    web = Web(LOOPBACK, lambda name, port: next(answers))
    taken: list[bytes] = []
    web.get(web_address(f"http://rebinding.example:{host.port}/a.csv"), taken.append, seconds=5, most_bytes=10)
    assert taken == [b"x"]
    with pytest.raises(Refused, match=r"169\.254\.169\.254: not an address of the internet"):
        web.get(web_address(f"http://rebinding.example:{host.port}/a.csv"), taken.append, seconds=5, most_bytes=10)


def get(web: Web, address: str, most: int = 100, seconds: float = 5, https: bool = False) -> bytes:
    taken: list[bytes] = []
    web.get(web_address(address), taken.append, seconds=seconds, most_bytes=most, https=https)
    return b"".join(taken)


def test_redirects_are_followed_after_the_same_checks(web: Web, host: Host) -> None:
    target = host.add("a.csv", "text")
    host.redirects |= {"/1": "/2", "/2": target, "/loop": "/loop", "/out": "http://169.254.169.254/", "/f": "file:///x"}
    assert get(web, host.url("1")) == b"text"
    for path, problem in (("loop", "more than 5 redirects"), ("out", "169.254.169.254"), ("f", "begins with file:")):
        with pytest.raises(Refused, match=problem):
            get(web, host.url(path))


def test_limits_of_size_and_time(web: Web, host: Host) -> None:
    url = host.add("a.csv", "x" * 101)
    with pytest.raises(Refused, match="is larger than 100 bytes"):
        get(web, url)
    host.drips.add("/a.csv")  # no length is announced
    with pytest.raises(Refused, match="is larger than 3 bytes"):
        get(web, url, most=3)
    with pytest.raises(Unavailable, match="in time"):
        get(web, url, most=10**6, seconds=0.15)


def test_errors_are_told_without_the_query(web: Web, host: Host) -> None:
    for path, kind in (("gone?sig=secret", Refused), ("busy?sig=secret", Unavailable)):
        host.files["/busy"] = b""
        host.statuses["/busy"] = 503
        with pytest.raises(kind) as caught:
            get(web, host.url(path))
        assert "secret" not in str(caught.value) and "HTTP" in str(caught.value)
    with pytest.raises(Unavailable, match="cannot be found"):
        Web(LOOPBACK, _no_name).check(web_address("https://nowhere.example/"), https=True)


def _no_name(host: str, port: int) -> list[str]:
    raise OSError(-2, "Name or service not known")


def test_http_is_for_networks_that_are_named(web: Web, host: Host) -> None:
    assert get(web, host.add("a.csv", "x"), https=True) == b"x"
    public = Web(AllowedAddresses(), lambda name, port: ["8.8.8.8"])
    with pytest.raises(Refused, match="must begin with https://"):
        public.check(web_address("http://host.example/a.csv?sig=1"), https=True)
    assert public.check(web_address("http://host.example/a.jpg"), https=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("file:///etc/passwd", "begins with file:"),
        ("a.jpg", "begins with no scheme"),
        ("https://", "names no host"),
        ("https://u@h/", "names a user"),
        ("https://h:x/", "is not an address"),
        ("https://h/\r\nX: 1", "control character"),
        ("https://h/" + "x" * 8000, "has 8010 characters"),
        ("https://[::1/", "is not an address"),
    ],
)
def test_what_is_no_address(text: str, problem: str) -> None:
    with pytest.raises(BadAddress, match=problem):
        web_address(text)


def test_addresses_are_escaped_and_shown_without_their_query() -> None:
    address = web_address("https://Host.Example:443/a b/ü.jpg?sv=1&sig=a%2Bb=#x")
    assert str(address) == "https://host.example/a%20b/%C3%BC.jpg"
    assert address.target == "/a%20b/%C3%BC.jpg?sv=1&sig=a%2Bb="
    assert web_address("https://bücher.example/").host == "xn--bcher-kva.example"
    assert web_address("http://[::1]:8080/x").authority == "[::1]:8080"


def test_an_image_is_fetched_once_and_kept_once_for_each_content(tmp_path: Path, web: Web, host: Host) -> None:
    store = image_store(tmp_path, web)
    store.prepare()
    url = host.add_image("a.png", 1)
    first = store.fetch(web_address(f"{url}?sv=1&sig=one"))
    again = store.fetch(web_address(f"{url}?sv=1&sig=two"))
    assert first == again and (first.width, first.height) == (64, 48)
    assert host.gets["/a.png"] == 1 and host.checks["/a.png"] == 1
    host.files["/copy.png"] = host.files["/a.png"]
    assert store.fetch(web_address(host.url("copy.png"))).path == first.path
    host.add_image("a.png", 2)  # another picture at the same address
    changed = store.fetch(web_address(url))
    assert changed.path != first.path and first.path.read_bytes() == picture(1)
    first.path.unlink()  # a cache that somebody has emptied
    host.add_image("a.png", 1)
    assert store.fetch(web_address(url)).path.read_bytes() == picture(1)
    assert not list(tmp_path.rglob(".part*"))


def test_what_is_no_image_is_refused(tmp_path: Path, web: Web, host: Host) -> None:
    store = image_store(tmp_path, web, most=500)
    store.prepare()
    with pytest.raises(Refused, match="is not an image that can be read"):
        store.fetch(web_address(host.add("a.png", "<html>")))
    host.files["/big.png"] = picture(1) + b"x" * 500
    with pytest.raises(Refused, match="is larger than 500 bytes"):
        store.fetch(web_address(host.url("big.png")))
    assert not list(tmp_path.rglob(".part*"))
