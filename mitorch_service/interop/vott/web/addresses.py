"""Decides which network addresses the consumer connects to: those of the internet, and the networks that were allowed.

A message can name any address, and whoever can write into the queue must not reach with it what only this machine can:
a cloud's metadata service, a database on the loopback interface, other machines of its network.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

VARIABLE = "MITORCH_VOTT_NETWORKS"
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address


class AddressRefused(Exception):
    """A host has no address that may be connected to; repeating it would not help."""


@dataclass(frozen=True)
class AllowedAddresses:
    """The addresses that may be connected to."""

    networks: tuple[Network, ...] = ()  # allowed although they are not of the internet

    def is_named(self, address: IPAddress) -> bool:
        """Whether the address is in a network that was allowed by name, as for emulators."""
        return any(address.version == network.version and address in network for network in self.networks)

    def permits(self, address: IPAddress) -> bool:
        """Whether the address, and the IPv4 address in it if it is a translated one, may be connected to."""
        if self.is_named(address):
            return True
        inner = _embedded(address)
        if inner is not None:
            return self.permits(inner)
        return address.is_global and not address.is_multicast


def _embedded(address: IPAddress) -> IPAddress | None:
    """The IPv4 address that an IPv6 address leads to, or None."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return None if address.teredo is None else address.teredo[1]


def resolved(host: str, port: int) -> Sequence[str]:
    """Looks up the addresses of a host. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def permitted_addresses(
    host: str, port: int, allowed: AllowedAddresses, resolve: Resolve = resolved
) -> list[IPAddress]:
    """Looks a host up once and returns the addresses that may be connected to: it is these that are connected to, not
    what a second look-up says. Raises AddressRefused if there are none, OSError if the name cannot be found."""
    found = [ipaddress.ip_address(text.partition("%")[0]) for text in resolve(host, port)]
    permitted = [address for address in found if allowed.permits(address)]
    if not permitted:
        shown = ", ".join(map(str, found[:3]))
        what = f"{host} is" if shown == host else f"{host} is {shown}:"
        raise AddressRefused(
            f"{what} not an address of the internet. If it is yours, add its network to {VARIABLE}, such "
            f"as {_network_of(found[0]) if found else '10.0.0.0/8'}"
        )
    return permitted


def _network_of(address: IPAddress) -> str:
    return f"{address}/{address.max_prefixlen}"


def parse_networks(text: str) -> AllowedAddresses:
    """Parses a list such as ``10.0.0.0/8, 127.0.0.1``. Raises ValueError naming what is none."""
    networks: list[Network] = []
    for part in filter(None, (one.strip() for one in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError:
            raise ValueError(f"{part!r} is not a network or an address, such as 10.0.0.0/8 or 127.0.0.1") from None
    return AllowedAddresses(tuple(networks))
