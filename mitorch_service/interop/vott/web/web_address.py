"""Parses the addresses in messages and annotation files."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

_SAFE = "/%:@!$&'()*+,;=~-._"  # of a path; a % stays, as paths are escaped already or have none
MAX_LENGTH = 8000  # characters


class BadAddress(ValueError):
    """The text is no address that is read here."""


@dataclass(frozen=True)
class WebAddress:
    """An http or https address. Its text has no query, which may hold a SAS token."""

    scheme: str
    host: str
    port: int
    path: str  # escaped
    query: str

    def __str__(self) -> str:
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}{port}{self.path}"

    @property
    def target(self) -> str:
        """The path and query that a request names."""
        return self.path + (f"?{self.query}" if self.query else "")

    @property
    def authority(self) -> str:
        """The host and port, as the header Host has them."""
        return str(self).partition("://")[2].partition("/")[0]

    @property
    def whole(self) -> str:
        """The address with its query: perhaps a secret."""
        return f"{self}?{self.query}" if self.query else str(self)

    def following(self, location: str) -> WebAddress:
        """The address that a redirect from here leads to. Raises BadAddress."""
        return web_address(urljoin(self.whole, location))

    def below(self, name: str) -> WebAddress:
        """The address of a file in the folder or container that this one names."""
        return WebAddress(self.scheme, self.host, self.port, f"{self.path.rstrip('/')}/{quote(name)}", self.query)


_PORTS = {"http": 80, "https": 443}


def web_address(text: str) -> WebAddress:
    """Parses an address. Raises BadAddress in words that have no secret in them."""
    if len(text) > MAX_LENGTH:
        raise BadAddress(f"has {len(text)} characters; at most {MAX_LENGTH} are read")
    if any(character < " " or character == "\x7f" for character in text):
        raise BadAddress("contains a control character")
    try:
        split = urlsplit(text.strip())
        port = split.port
    except ValueError:
        raise BadAddress("is not an address such as https://HOST/PATH") from None
    scheme = split.scheme.lower()
    if scheme not in _PORTS:
        raise BadAddress(f"begins with {scheme + ':' if scheme else 'no scheme'}; only http:// and https:// are read")
    if not split.hostname:
        raise BadAddress("names no host: write https://HOST/PATH")
    if split.username is not None or split.password is not None:
        raise BadAddress("names a user or a password; only SAS tokens and signatures in the query are used")
    path = quote(split.path or "/", safe=_SAFE)
    return WebAddress(scheme, _host(split.hostname), port or _PORTS[scheme], path, quote(split.query, safe=_SAFE + "?"))


def _host(name: str) -> str:
    try:
        return name if name.isascii() else name.encode("idna").decode()
    except UnicodeError:
        raise BadAddress(f"names a host that cannot exist ({name!r})") from None
