"""Where webhooks may go: whatever is written, and whatever a name server says, nothing of this machine's own network."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classifiers.errors import InputError
from integrations import addresses
from integrations.addresses import is_public, look_up

OWN = [
    *("127.0.0.1", "127.8.9.10", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.0.1"),
    *("169.254.169.254", "100.64.0.1", "224.0.0.1", "239.1.2.3", "240.0.0.1", "255.255.255.255", "192.0.2.1"),
    *("::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1"),
    *(
        "64:ff9b::a9fe:a9fe",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2001:0:7f00:1::",
        "2001:0:4136:e378:8000:63bf:80ff:fffe",
    ),
]
PUBLIC = ["93.184.215.14", "1.1.1.1", "2606:4700::1111", "2002:5db8:d70e::1"]


@pytest.mark.parametrize("address", OWN)
def test_the_own_network(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_the_internet_at_large(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "0", "0x7f.1"),
        *("2130706433", "0x7f000001", "017700000001", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "0177.0.1", "00.0.0.0"),
        *("[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[fe80::1]", "[fd00::1]"),
        *("169.254.169.254", "0xa9fea9fe", "2852039166", "10.0.0.1", "100.100.100.200"),
    ],
)
def test_odd_spellings_are_what_they_mean(host: str) -> None:
    with pytest.raises(InputError, match=r"own network|no host"):
        look_up(f"https://{host}/hook")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "no web address"),
        ("hook", "no web address"),
        ("https://", "no web address"),
        ("https:///hook", "no web address"),
        ("ftp://example.org/", "no web address"),
        ("file:///etc/passwd", "no web address"),
        ("gopher://example.org/", "no web address"),
        ("javascript:alert(1)", "no web address"),
        ("https://example.org:0/", "no web address"),
        ("https://example.org:99999/", "no web address"),
        ("https://example.org:x/", "no web address"),
        ("https://[::1/", "no web address"),
        ("https://[fe80::1%25eth0]/", "no web address"),
        ("http://example.org/", "https"),
        ("https://user@example.org/", "name or a password"),
        ("https://user:pass@example.org/", "name or a password"),
        ("https://example.org@127.0.0.1/", "name or a password"),
        ("https://@example.org/", "name or a password"),
        ("https://example.org\\@127.0.0.1/", "plain ASCII"),
        ("https://example.org/a b", "plain ASCII"),
        ("https://example.org/\r\nX: y", "plain ASCII"),
        ("https://example.org/\0", "plain ASCII"),
        ("https://１２７.0.0.1/", "plain ASCII"),
        ("https://ⓛocalhost/", "plain ASCII"),
        ("https://münchen.example/", "plain ASCII"),
        ("https://nothing.invalid/", "no host"),
        (f"https://{'a' * 64}.example/", "no host"),
    ],
)
def test_what_is_no_address_to_send_to(url: str, says: str, public_names: None) -> None:
    with pytest.raises(InputError, match=says):
        look_up(url)


@pytest.fixture
def public_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Example.org is known and public; all else is looked up in earnest."""
    earnest = addresses.resolve
    monkeypatch.setattr(
        addresses, "resolve", lambda host, port: ("93.184.215.14",) if host == "example.org" else earnest(host, port)
    )


@pytest.mark.parametrize(
    ("url", "name", "path"),
    [
        ("https://example.org", "example.org", "/"),
        ("https://Example.ORG./hook", "example.org", "/hook"),
        ("https://example.org:8443/a?b=c#d", "example.org:8443", "/a?b=c"),
        ("https://example.org:443/", "example.org", "/"),
    ],
)
def test_what_is(url: str, name: str, path: str, public_names: None) -> None:
    target = look_up(url)
    assert (target.name, target.path, target.addresses) == (name, path, ("93.184.215.14",))


def test_a_name_with_one_address_of_the_own_network_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(addresses, "resolve", lambda host, port: ("93.184.215.14", "10.0.0.1"))
    with pytest.raises(InputError, match="own network"):
        look_up("https://example.org/")


def test_the_settings_allow_hosts_by_name(settings: Any) -> None:
    settings.SAFETY_WEBHOOK_HOSTS = ["127.0.0.1"]
    assert look_up("http://127.0.0.1:8000/hook").name == "127.0.0.1:8000"
    for other in ("http://127.0.0.2/", "https://localhost/", "https://127.1/"):
        with pytest.raises(InputError):
            look_up(other)


@given(st.text(max_size=80) | st.text(max_size=40).map(lambda text: f"https://{text}/"))
def test_any_text_is_refused_in_a_sentence_or_leads_outside(url: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        # Numbers are looked up, names are not: tests ask no name server.
        patch.setattr(addresses.socket, "getaddrinfo", _numeric)
        with suppress(InputError):
            assert all(map(is_public, look_up(url).addresses))


_earnest = addresses.socket.getaddrinfo


def _numeric(host: str, port: int, **options: Any) -> Any:
    return _earnest(host, port, flags=addresses.socket.AI_NUMERICHOST, **options)
