"""The settings of the queue consumer: the variables of VoTT-train, and ours. Read from the environment or ``.env``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from mitorch_service.errors import SettingsError
from mitorch_service.interop.vott.outgoing.storage_account import StorageAccount, connection_string, own_accounts
from mitorch_service.interop.vott.web.addresses import VARIABLE, AllowedAddresses, parse_networks

_STORAGE = ("AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_KEY")
_STORAGE_CONNECTION = "AZURE_STORAGE_CONNECTION_STRING"
_BUS = ("AZURE_SERVICE_BUS_NAMESPACE", "AZURE_SERVICE_BUS_ACCESS_KEY_NAME", "AZURE_SERVICE_BUS_ACCESS_KEY_VALUE")
_LEAST_LEASE = 30  # seconds
_MOST_LEASE = 3600


class QueueNotConfigured(SettingsError):
    """No variable says which queue to read. VoTT-train's daemon ends with 10, too."""

    exit_code = 10


@dataclass(frozen=True)
class StorageQueueSettings:
    """A queue of Azure Storage, by an account's key or a connection string."""

    queue: str
    account: str | None
    key: SecretStr | None
    connection: SecretStr | None


@dataclass(frozen=True)
class ServiceBusSettings:
    """A queue of Azure Service Bus."""

    queue: str
    namespace: str
    key_name: str
    key: SecretStr


@dataclass(frozen=True)
class ConsumerSettings:
    """All settings of the consumer."""

    queue: StorageQueueSettings | ServiceBusSettings
    count: int  # messages taken at a time
    wait_seconds: float  # before an empty queue is asked again
    renew_seconds: float
    default_plugin: str | None  # of messages that name none
    plugin_url: bool  # whether VOTT_KEEP_PLUGIN_URL is set, which is not read
    plugins: tuple[Path, ...]  # the folders with plugins
    allowed: AllowedAddresses
    max_file_bytes: int
    max_images: int
    max_image_bytes: int
    max_total_bytes: int
    request_seconds: float
    accounts: tuple[StorageAccount, ...] = ()  # in which models are stored without a SAS

    @property
    def lease_seconds(self) -> int:
        """For how long a message is taken each time: a renewal that comes late, or fails once, loses nothing."""
        return min(_MOST_LEASE, max(_LEAST_LEASE, round(10 * self.renew_seconds)))


def read_consumer_settings(environ: Mapping[str, str], home: Path, storage_url: str = "") -> ConsumerSettings:
    """Reads the settings. `storage_url`: MITORCH_STORAGE_URL, perhaps a connection string.

    Raises SettingsError with the variable, the problem and the remedy; QueueNotConfigured.
    """
    folders = environ.get("MITORCH_VOTT_PLUGINS")
    named = [Path(part).expanduser().absolute() for part in (folders or "").split(":") if part]
    try:
        allowed = parse_networks(environ.get(VARIABLE) or "")
    except ValueError as error:
        raise SettingsError(VARIABLE, str(error), "Write a list, separated by commas.") from None
    return ConsumerSettings(
        queue=_queue(environ),
        count=int(_number(environ, "AZURE_STORAGE_QUEUE_MESSAGE_COUNT", 1, 1, 32, whole=True)),
        wait_seconds=_number(environ, "VOTT_RECEIVE_SLEEP_IN_SECONDS", 30, 0, 86_400),
        renew_seconds=_number(environ, "VOTT_KEEP_ALIVE_IN_SECONDS", 1, 0.1, 300),
        default_plugin=environ.get("VOTT_KEEP_PLUGIN_NAME") or None,
        plugin_url=bool(environ.get("VOTT_KEEP_PLUGIN_URL")),
        plugins=tuple(named) if named else (Path("plugins").absolute(), home / "plugins"),
        allowed=allowed,
        max_file_bytes=round(_number(environ, "MITORCH_VOTT_MAX_CSV_MB", 256, 0.001, 10_000) * 1e6),
        max_images=int(_number(environ, "MITORCH_VOTT_MAX_IMAGES", 100_000, 1, 10_000_000, whole=True)),
        max_image_bytes=round(_number(environ, "MITORCH_VOTT_MAX_IMAGE_MB", 50, 0.001, 10_000) * 1e6),
        max_total_bytes=round(_number(environ, "MITORCH_VOTT_MAX_TOTAL_GB", 100, 0.001, 100_000) * 1e9),
        request_seconds=_number(environ, "MITORCH_VOTT_REQUEST_SECONDS", 60, 0.1, 3600),
        accounts=_accounts(environ, storage_url),
    )


def _accounts(environ: Mapping[str, str], storage_url: str) -> tuple[StorageAccount, ...]:
    named = _together(environ, _STORAGE)
    return own_accounts(
        None if named is None else connection_string(*named), environ.get(_STORAGE_CONNECTION), storage_url
    )


def _queue(environ: Mapping[str, str]) -> StorageQueueSettings | ServiceBusSettings:
    """Service Bus, if both are configured, as in VoTT-train."""
    bus = _together(environ, _BUS)
    if bus is not None:
        queue = environ.get("AZURE_SERVICE_BUS_QUEUE_NAME") or "training"
        return ServiceBusSettings(queue, bus[0], bus[1], SecretStr(bus[2]))
    queue = environ.get("AZURE_STORAGE_QUEUE_NAME") or "training"
    storage = _together(environ, _STORAGE)
    if storage is not None:
        return StorageQueueSettings(queue, storage[0], SecretStr(storage[1]), None)
    if connection := environ.get(_STORAGE_CONNECTION):
        return StorageQueueSettings(queue, None, None, SecretStr(connection))
    raise QueueNotConfigured(
        _STORAGE[0],
        "no queue is configured",
        f"Set {' and '.join(_STORAGE)}, or {_STORAGE_CONNECTION}, or {', '.join(_BUS)}, here or in a file .env.",
    )


def _together(environ: Mapping[str, str], names: tuple[str, ...]) -> list[str] | None:
    """The values of variables that belong together; None if none is set. A storage account's name alone is no queue,
    as other programs use it, too."""
    values = [environ.get(name) or "" for name in names]
    if all(values):
        return values
    if any(values) and names == _BUS:
        missing = ", ".join(name for name, value in zip(names, values, strict=True) if not value)
        present = ", ".join(name for name, value in zip(names, values, strict=True) if value)
        raise SettingsError(missing, f"not set, while {present} is", "Set all of them, or none.")
    return None


def _number(
    environ: Mapping[str, str], name: str, default: float, least: float, most: float, whole: bool = False
) -> float:
    text = environ.get(name) or ""
    try:
        value = float(text) if text else float(default)
    except ValueError:
        value = float("nan")
    if not least <= value <= most or (whole and value != int(value)):
        kind = "a whole number" if whole else "a number"
        raise SettingsError(name, f"{text!r} is not {kind} from {least:g} to {most:g}", "Correct it, or leave it out.")
    return value
