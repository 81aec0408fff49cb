"""A model is stored where VoTT-train's plugins store theirs: in Azure Blob Storage by a SAS, and in S3."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from mitorch_service.interop.vott.outgoing.destination import parse_destination
from mitorch_service.interop.vott.outgoing.model_upload import upload_model
from mitorch_service.interop.vott.outgoing.storage_account import own_accounts
from mitorch_service.interop.vott.web.addresses import parse_networks
from mitorch_service.interop.vott.web.exchange import Refused, Unavailable, Web
from tests.azurite_server import KEY, Azurite

WEB = Web(parse_networks("127.0.0.0/8"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.tgz"
    path.write_bytes(b"packed" * 100_000)
    return path


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server of S3, with a bucket; boto3 finds it as it finds Amazon's."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    variables = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    for name, value in {**variables, "AWS_ENDPOINT_URL": address}.items():
        monkeypatch.setenv(name, value)
    boto3.client("s3").create_bucket(Bucket="models")
    yield address
    server.stop()


def test_a_container_and_a_blob_by_a_sas(azurite: Azurite, file: Path) -> None:
    container = azurite.new_container()
    name = container.container_name
    upload_model(WEB, parse_destination(f"{azurite.url(name)}?{azurite.sas(name, 'cw')}"), file)
    named = f"{azurite.url(name, 'mine/run.tgz')}?{azurite.sas(name, 'cw')}"
    for _ in range(2):  # as after a kill
        upload_model(WEB, parse_destination(named), file)
    assert sorted(container.list_blob_names()) == ["mine/run.tgz", "model.tgz"]
    assert container.download_blob("model.tgz").readall() == file.read_bytes()


def test_a_sas_that_lacks_the_permission(azurite: Azurite, file: Path) -> None:
    container = azurite.new_container().container_name
    with pytest.raises(Refused, match="HTTP 403") as caught:
        upload_model(WEB, parse_destination(f"{azurite.url(container)}?{azurite.sas(container, 'r')}"), file)
    assert "sig=" not in str(caught.value)


def test_an_own_account_without_a_sas(azurite: Azurite, file: Path) -> None:
    container = azurite.new_container()
    accounts = own_accounts(f"{azurite.connection_string};Container=x", None)
    target = parse_destination(azurite.url(container.container_name, "mine"), accounts)
    for content in (b"first", b"second"):  # a later model of the same address replaces the one before
        file.write_bytes(content)
        upload_model(WEB, target, file)
    assert container.download_blob("mine/model.tgz").readall() == b"second"
    container.upload_blob("theirs.tgz", b"theirs")
    with pytest.raises(Refused, match=r"/theirs\.tgz: there is another file already"):
        upload_model(WEB, parse_destination(azurite.url(container.container_name, "theirs.tgz"), accounts), file)
    assert container.download_blob("theirs.tgz").readall() == b"theirs"
    with pytest.raises(Refused, match="HTTP 404 ContainerNotFound: create the container"):
        upload_model(WEB, parse_destination(azurite.url("nothing"), accounts), file)


def test_an_own_account_whose_key_is_malformed(azurite: Azurite, file: Path) -> None:
    malformed = own_accounts(azurite.connection_string.replace(KEY, "not-base64"))
    with pytest.raises(Refused, match="malformed") as caught:
        upload_model(WEB, parse_destination(azurite.url("c-c"), malformed), file)
    assert "not-base64" not in str(caught.value)


def test_a_bucket_and_a_presigned_address(s3: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = boto3.client("s3")
    upload_model(WEB, parse_destination("s3://models/runs"), file)
    assert client.get_object(Bucket="models", Key="runs/model.tgz")["Body"].read() == file.read_bytes()
    signed = client.generate_presigned_url("put_object", Params={"Bucket": "models", "Key": "signed.tgz"})
    upload_model(WEB, parse_destination(signed), file)
    assert client.head_object(Bucket="models", Key="signed.tgz")["ContentLength"] == file.stat().st_size
    with pytest.raises(Refused, match=r"s3://nothing/model\.tgz: HTTP 404"):
        upload_model(WEB, parse_destination("s3://nothing"), file)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(Unavailable, match="s3://models"):
        upload_model(WEB, parse_destination("s3://models"), file)
