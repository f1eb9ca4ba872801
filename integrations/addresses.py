"""Where webhooks may go: not into the network of this machine, unless the settings name the host."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from classifiers.errors import InputError

PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Target:
    """An address that was looked up and may be connected to. Whoever connects asks no name server again."""

    host: str
    port: int
    path: str
    https: bool
    addresses: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the header Host has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS["https" if self.https else "http"] else f"{host}:{self.port}"


def look_up(url: str) -> Target:
    """Raises InputError for what is no web address, is unknown, or leads into this machine's own network."""
    parts = _split(url)
    host = (parts.hostname or "").rstrip(".")
    allowed, https = host in settings.SAFETY_WEBHOOK_HOSTS, parts.scheme == "https"
    if not https and not allowed:
        raise InputError("A webhook goes to an https address; plain http only to hosts that the settings allow.")
    port = parts.port or PORTS[parts.scheme]
    found = resolve(host, port)
    if not allowed and not all(map(is_public, found)):
        raise InputError(
            f"{host} is an address of this machine's own network. An administrator of the machine can allow it: "
            "AI_SAFETY_MONITOR_WEBHOOK_HOSTS."
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(host, port, path, https, found)


def _split(url: str) -> SplitResult:
    if not all("!" <= character <= "~" and character != "\\" for character in url):
        raise InputError("An address holds plain ASCII only, and no spaces. Write other letters in their encoded form.")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in PORTS and parts.hostname and parts.port != 0 and "%" not in parts.hostname
    except ValueError:  # brackets, or a port, that are none
        usable = False
    if not usable:
        raise InputError("This is no web address. It looks like https://example.org/hook.")
    if "@" in parts.netloc:
        raise InputError("An address must not hold a name or a password. The signature says who sends a message.")
    return parts


def resolve(host: str, port: int) -> tuple[str, ...]:
    """The numeric addresses of a host; also of numbers in the odd spellings that a system takes for one."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise InputError(f"There is no host {host[:100]}, or it cannot be looked up now.") from error
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def is_public(address: str) -> bool:
    """Whether it belongs to the internet at large, also when an IPv4 address is wrapped in it."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if not ip.is_global or ip.is_multicast or ip.is_reserved:
        return False
    if isinstance(ip, ipaddress.IPv4Address):
        return True
    wrapped = (ip.sixtofour, *(ip.teredo or ()))
    return not ip.is_site_local and all(is_public(str(inner)) for inner in wrapped if inner)
