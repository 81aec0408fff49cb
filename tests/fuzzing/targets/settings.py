"""Settings: `.env`, clusters, placement, webhooks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mitorch_service.cluster_settings.cluster_list import auth_variables, read_clusters
from mitorch_service.placement_settings.policy import read_policy
from mitorch_service.settings import read_environment, read_settings
from mitorch_service.webhook_settings.webhook_list import read_webhooks, secret_variables
from tests.fuzzing.target import Target

_AZURE = {"name": "a", "kind": "azureml", "subscription_id": "s", "workspace": "w", "resource_group": "g"}
_SLURM = {"name": "s", "kind": "slurm", "partition": "gpu", "time": "1-02:03", "gres": "gpu:2", "max_jobs": 3}
_CLUSTERS = [{"name": "local", "slots": 2}, {**_AZURE, "auth": {"env": "PASSWORD"}, "price": 1.5}, _SLURM]
_POLICY = {"fair_share": {"by": "team", "half_life": "7d", "weights": {"vision": 2}}, "backfill": True}
_HOOKS = [{"url": "https://hooks.slack.com/x", "events": ["job.failed"]}, {"url": {"env": "HOOK"}, "kind": "json"}]
_ENV = (
    b"MITORCH_HOME=home\nMITORCH_DB_URI='mongodb://u:p@h:1/?tls=true'\nexport MITORCH_STORAGE_URL=https://a/b?sig=x\n"
    b'MITORCH_CLUSTERS=\'[{"name": "x"}]\'\nMITORCH_PLACEMENT={"backfill": true}\n# no\nMITORCH_AML_AUTH=${HOME}\n'
)
_SECRETS = {"PASSWORD": "a:b", "HOOK": "https://example.com/x"}


def _text(read: Callable[[Mapping[str, str]], object], variable: str) -> Callable[[bytes, Path], None]:
    """Gives a reader the value of one variable, as the operating system would: without NUL."""

    def parse(content: bytes, folder: Path) -> None:
        with _inside(folder):
            read({**_SECRETS, variable: os.fsdecode(content.replace(b"\0", b""))})

    return parse


def _dotenv(content: bytes, folder: Path) -> None:
    (folder / ".env").write_bytes(content)
    with _inside(folder):
        given = read_environment()
        ours = {name: value for name, value in given.items() if name.startswith("MITORCH_") and "\n" not in name}
        read_settings({**ours, "HOME": str(folder)})


@contextmanager
def _inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def _all_settings(environ: Mapping[str, str]) -> None:
    read_settings({"MITORCH_HOME": "/nowhere", "HOME": "/nowhere", **environ})


_URIS = (b"sqlite:///a/b.db", b"mongodb://u:p@h:1/?tls=true", b"mongodb+srv://h/?retryWrites=false")
_PLACES = (b"https://a.blob.core.windows.net/c?sig=x", b"AccountName=a;AccountKey=b;Container=c", b"/a/b", b"file:///a")
TARGETS = (
    Target(
        "clusters",
        _text(lambda e: (read_clusters(e), auth_variables(e)), "MITORCH_CLUSTERS"),
        (json.dumps(_CLUSTERS).encode(), b"/nowhere/x.json", b"~x/y"),
    ),
    Target(
        "placement",
        _text(lambda e: hash(read_policy(e["MITORCH_PLACEMENT"])), "MITORCH_PLACEMENT"),
        (json.dumps(_POLICY).encode(),),
    ),
    Target(
        "webhooks",
        _text(lambda e: (read_webhooks(e), secret_variables(e)), "MITORCH_WEBHOOKS"),
        (json.dumps(_HOOKS).encode(), b"https://hooks.slack.com/a https://x.logic.azure.com/b"),
    ),
    Target("dotenv", _dotenv, (_ENV,), (b"export ", b"${", b"MITORCH_DB_NAME=", b"MITORCH_SHARED_GROUP=", b"'''")),
    Target("db-uri", _text(_all_settings, "MITORCH_DB_URI"), _URIS),
    Target("storage-url", _text(_all_settings, "MITORCH_STORAGE_URL"), _PLACES),
    Target("cvat-url", _text(_all_settings, "MITORCH_CVAT_URL"), (b"https://cvat.example.com/x",)),
    Target("obdb-uri", _text(_all_settings, "MITORCH_OBDB_URI"), _URIS),
)
