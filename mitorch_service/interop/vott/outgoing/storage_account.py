"""The storage accounts for which this machine has credentials: of the queue, and of MITORCH_STORAGE_URL."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote

from mitorch_service.interop.vott.web.web_address import BadAddress, WebAddress, web_address

_DEVELOPMENT = "http://127.0.0.1:10000/devstoreaccount1"  # UseDevelopmentStorage=true
_OURS = ("container=", "prefix=")  # which MITORCH_STORAGE_URL adds


@dataclass(frozen=True)
class StorageAccount:
    """An account, by its connection string."""

    endpoint: WebAddress  # of its blobs
    connection: str = field(repr=False)

    @classmethod
    def parse(cls, connection: str) -> StorageAccount | None:
        """Parses a connection string. None if it has no credential, or names no account."""
        items = [item.strip() for item in connection.split(";") if item.strip()]
        items = [item for item in items if not item.lower().startswith(_OURS)]
        values = {name.lower(): value for name, _, value in (item.partition("=") for item in items)}
        connection = ";".join(items)
        if values.get("usedevelopmentstorage") == "true":
            return cls(web_address(_DEVELOPMENT), connection)
        if not (values.get("accountkey") or values.get("sharedaccesssignature")):
            return None
        if not (values.get("accountname") or values.get("blobendpoint")):
            return None
        suffix = values.get("endpointsuffix") or "core.windows.net"
        scheme = values.get("defaultendpointsprotocol") or "https"
        endpoint = values.get("blobendpoint") or f"{scheme}://{values.get('accountname')}.blob.{suffix}"
        try:
            return cls(web_address(endpoint), connection)
        except BadAddress:
            return None  # who uses the connection string for more tells what is wrong

    def path_of(self, address: WebAddress) -> str | None:
        """The container and the path below it, decoded; None if the address is not in this account."""
        root, path = self.endpoint.path.strip("/"), address.path.strip("/")
        if address.host.lower() != self.endpoint.host.lower() or (root and not f"{path}/".startswith(f"{root}/")):
            return None
        if root and address.port != self.endpoint.port:  # an emulator's, that has all accounts on one host
            return None
        return unquote(path.removeprefix(root).strip("/"))


def own_accounts(*connections: str | None) -> tuple[StorageAccount, ...]:
    """The accounts of connection strings, in their order."""
    parsed = (StorageAccount.parse(text) for text in connections if text)
    return tuple(account for account in parsed if account is not None)


def connection_string(account: str, key: str) -> str:
    """The connection string of an account in Azure by its name and key."""
    return f"DefaultEndpointsProtocol=https;AccountName={account};AccountKey={key}"
