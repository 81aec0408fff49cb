"""The settings: from the environment alone, each mistake told with its variable and a remedy."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import quote

import pytest

from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.errors import SettingsError
from mitorch_service.known_secrets import mask_known
from mitorch_service.settings import read_settings


def test_without_any_variable_everything_lies_below_the_home(tmp_path: Path) -> None:
    settings = read_settings({})
    home = Path.home() / ".mitorch"
    assert settings.home == home
    assert settings.sqlite_path == home / "mitorch.db"
    assert settings.storage_url == str(home / "artifacts")
    assert settings.db_name == "mitorch"
    assert settings.clusters == (LocalCluster(name="local", kind="local", slots=None),)
    assert not settings.clusters_given


def test_another_home_moves_everything(tmp_path: Path) -> None:
    settings = read_settings({"MITORCH_HOME": str(tmp_path / "my 100%25 home")})
    assert settings.sqlite_path == tmp_path / "my 100%25 home" / "mitorch.db"
    assert settings.storage_url == str(tmp_path / "my 100%25 home" / "artifacts")


def test_an_empty_variable_is_an_unset_one() -> None:
    names = ("HOME", "DB_URI", "DB_NAME", "STORAGE_URL", "CLUSTERS")
    assert read_settings({f"MITORCH_{name}": "" for name in names}) == read_settings({})


def test_the_environment_goes_before_the_dotenv_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text('MITORCH_DB_NAME=from_file\nMITORCH_HOME="/somewhere else"\nEMPTY\n')
    assert read_settings().db_name == "from_file"
    monkeypatch.setenv("MITORCH_DB_NAME", "from_environment")
    settings = read_settings()
    assert (settings.db_name, settings.home) == ("from_environment", Path("/somewhere else"))


def test_a_dotenv_file_that_is_no_text_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"MITORCH_DB_NAME=\xff\xfe\n")
    with pytest.raises(SettingsError, match=r"^\.env: cannot be read"):
        read_settings()


@pytest.mark.parametrize("uri", ["mongodb://h", "mongodb://u:p%40[@h:1,h2:2/?x=y", "mongodb+srv://h", "MongoDB://h"])
def test_a_mongodb_uri_is_taken_as_it_is(uri: str) -> None:
    settings = read_settings({"MITORCH_DB_URI": uri})
    assert settings.db_uri == uri
    assert settings.sqlite_path is None


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:////data/my.db", "/data/my.db"),
        ("sqlite:////data/my%20own.db", "/data/my own.db"),
        ("SQLite:///~/my.db", "{home}/my.db"),
        ("sqlite:///my.db", "{here}/my.db"),
    ],
)
def test_a_database_file_is_named_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, uri: str, path: str
) -> None:
    """A run starts in a folder of its own: it must find the same file."""
    monkeypatch.chdir(tmp_path)
    settings = read_settings({"MITORCH_DB_URI": uri})
    monkeypatch.chdir("/")
    expected = Path(path.format(home=Path.home(), here=tmp_path))
    assert settings.sqlite_path == expected
    assert read_settings({"MITORCH_DB_URI": settings.db_uri}).sqlite_path == expected


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgres://u:hunter2@h/db", "the scheme 'postgres' is not known"),
        ("/data/my.db", "it is not a URI"),
        ("sqlite:my.db", "it is not a URI"),
        ("sqlite:///", "it names no file"),
        ("sqlite://my.db", "it names no file"),
    ],
)
def test_an_unusable_database_uri_is_told_without_its_password(uri: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=r"Write mongodb://|Write sqlite:///") as caught:
        read_settings({"MITORCH_DB_URI": uri})
    assert str(caught.value).startswith(f"MITORCH_DB_URI: {problem}. ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["a/b", "a b", "a.b", "a$b", "ä" * 32])
def test_a_name_that_no_database_can_have_is_told(name: str) -> None:
    with pytest.raises(SettingsError, match=r"MITORCH_DB_NAME: .* is not a valid name of a database"):
        read_settings({"MITORCH_DB_NAME": name})


@pytest.mark.parametrize(
    ("url", "folder"), [("/data", "/data"), ("file:///data", "/data"), ("~/x", "{home}/x"), ("x", "{here}/x")]
)
def test_the_storage_is_a_folder_named_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str, folder: str
) -> None:
    monkeypatch.chdir(tmp_path)
    expected = folder.format(home=Path.home(), here=tmp_path)
    assert read_settings({"MITORCH_STORAGE_URL": url}).storage_url == expected


@pytest.mark.parametrize(
    "url",
    [
        "https://me.blob.core.windows.net/c?sig=[",
        "https://me.blob.core.windows.net/c/folder",
        "http://127.0.0.1:10000/me/c",
        "AccountName=me;AccountKey=a2V5;Container=c",
    ],
)
def test_a_blob_container_is_taken_as_it_is(url: str) -> None:
    settings = read_settings({"MITORCH_STORAGE_URL": url})
    assert (settings.storage_url, settings.storage_folder) == (url, None)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("https://me.blob.core.windows.net/?sig=hunter2", "the URL names no container"),
        ("http://me.blob.core.windows.net/c?sig=hunter2", "http:// would send secrets to me.blob.core.windows.net"),
        ("AccountName=me;AccountKey=hunter2", "the connection string names no container"),
        ("s3://hunter2/c", "the scheme 's3' is not known"),
    ],
)
def test_an_unusable_storage_is_told_without_its_secrets(url: str, problem: str) -> None:
    with pytest.raises(SettingsError, match="MITORCH_STORAGE_URL: ") as caught:
        read_settings({"MITORCH_STORAGE_URL": url})
    assert problem in str(caught.value)
    assert "hunter2" not in str(caught.value)


def test_clusters_are_given_as_json_or_in_a_file(tmp_path: Path) -> None:
    text = json.dumps([{"name": "big", "kind": "local", "slots": 8}, {"name": "small"}])
    expected = (LocalCluster(name="big", slots=8), LocalCluster(name="small"))
    file = tmp_path / "clusters.json"
    file.write_text(text)
    assert read_settings({"MITORCH_CLUSTERS": text}).clusters == expected
    assert read_settings({"MITORCH_CLUSTERS": text}).clusters_given
    assert read_settings({"MITORCH_CLUSTERS": str(file)}).clusters == expected


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("{}", "must be a list"),
        ("[]", "one cluster or more"),
        ('[{"name": "a"}, {"name": "a"}]', "each with its own name"),
        ('[{"name": "a b"}]', "[0].name: "),
        ('[{"name": "a", "slot": 1}]', "[0].slot: "),
        ('[{"name": "a", "slots": -1}]', "[0].slots: "),
        ('[{"name": "a", "slots": true}]', "[0].slots: "),
        ('[{"name": "a", "kind": "pbs"}]', "[0].kind: "),
        ("no/such/file.json", "cannot read no/such/file.json"),
    ],
)
def test_unusable_clusters_are_told_with_an_example(text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match="Write a JSON list such as") as caught:
        read_settings({"MITORCH_CLUSTERS": text})
    assert str(caught.value).startswith("MITORCH_CLUSTERS: ")
    assert problem in str(caught.value)


def test_a_clusters_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "clusters.json").write_bytes(b"\xff\xfe[")
    with pytest.raises(SettingsError, match="MITORCH_CLUSTERS: is not JSON"):
        read_settings({"MITORCH_CLUSTERS": str(tmp_path / "clusters.json")})


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://me:p/w@h/",
        "mongodb://me:p?w@h/",
        "mongodb://me:p:w@h/",
        "mongodb://me:p@w@h/",
        "mongodb://me:100%@h/",
        "mongodb+srv://me:p/w@h",
    ],
)
def test_a_password_that_is_not_escaped_is_refused_without_showing_it(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"MITORCH_DB_URI: its user or password .* Write : as %3A") as raised:
        read_settings({"MITORCH_DB_URI": uri})
    assert "100" not in str(raised.value)


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://h/?w=0",
        "mongodb+srv://me:p@h/x?tls=true&W=0",
        "mongodb://h/?w=-1;tls=true",
        "mongodb://h/?w=%30",
        "mongodb://h/?w=+0",
    ],
)
def test_a_uri_without_acknowledged_writes_is_refused(uri: str) -> None:
    with pytest.raises(SettingsError, match=r"MITORCH_DB_URI: [wW]=.* w=majority"):
        read_settings({"MITORCH_DB_URI": uri})


@pytest.mark.parametrize("uri", ["mongodb://h/?w=1", "mongodb://h/?w=majority", "mongodb://h/?appName=@me@&ssl=true"])
def test_other_options_are_taken_as_they_are(uri: str) -> None:
    assert read_settings({"MITORCH_DB_URI": uri}).db_uri == uri


@pytest.mark.parametrize("option", ["tlsCAFile", "tlsCertificateKeyFile", "tlsCRLFile"])
def test_a_file_for_tls_is_looked_for_and_named_for_good(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str
) -> None:
    monkeypatch.chdir(tmp_path)
    uri = f"mongodb://h/?tls=true&{option}=my%20ca.pem&w=1"
    with pytest.raises(SettingsError, match=rf"MITORCH_DB_URI: {option}: there is no file .*my ca\.pem"):
        read_settings({"MITORCH_DB_URI": uri})
    with pytest.raises(SettingsError, match=rf"MITORCH_DB_URI: {option}: ~nobody_ is no home folder of this machine"):
        read_settings({"MITORCH_DB_URI": f"mongodb://h/?tls=true&{option}=~nobody_/ca.pem"})
    (tmp_path / "my ca.pem").write_text("")
    settings = read_settings({"MITORCH_DB_URI": uri})
    assert settings.db_uri == f"mongodb://h/?tls=true&{option}={quote(str(tmp_path))}/my%20ca.pem&w=1"


@pytest.mark.parametrize("name", ["HOME", "DB_URI", "DB_NAME", "STORAGE_URL", "CLUSTERS"])
def test_bytes_that_are_no_text_are_refused(name: str) -> None:
    value = {"DB_URI": "mongodb://me:\udcffsecret@h/", "CLUSTERS": "[\udcff]"}.get(name, "/srv/\udcff")
    with pytest.raises(SettingsError, match=rf"^MITORCH_{name}: is not UTF-8 text") as raised:
        read_settings({f"MITORCH_{name}": value})
    assert str(raised.value).encode()
    assert "secret" not in str(raised.value)


def test_a_home_folder_whose_name_is_no_text_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/\udcff")
    with pytest.raises(SettingsError, match=r"^HOME: is not UTF-8 text"):
        read_settings({})


def test_who_submits_is_the_user_unless_another_name_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "maria")
    assert read_settings({}).user == "maria"
    assert read_settings({"MITORCH_USER": "team vision"}).user == "team vision"
    assert read_settings({"MITORCH_USER": "x" * 999}).user == "x" * 200


def test_the_annotations_database_of_obdb() -> None:
    """Named by its URI, or by the variables of obdb's containers; its password is never shown."""
    uri = "mongodb://ada:se%2Fcret-1@weeds:27018/?authSource=annotations"
    assert read_settings({"MITORCH_OBDB_URI": uri}).obdb_uri == uri
    original = {"MONGODB_USERNAME": "ada", "MONGODB_PASSWORD": "se/cret-1"}
    settings = read_settings({**original, "MONGODB_PORT": "27018"})
    assert settings.obdb_uri == "mongodb://ada:se%2Fcret-1@127.0.0.1:27018/?authSource=annotations"
    assert "cret-1" not in repr(settings)
    assert {"MITORCH_OBDB_URI", "MONGODB_PASSWORD"} <= {*settings.secret_variables}  # no script sees them
    assert mask_known(f"no user {settings.obdb_uri}, se/cret-1").count("cret-1") == 0
    assert read_settings(original).obdb_uri == "mongodb://ada:se%2Fcret-1@127.0.0.1:27017/?authSource=annotations"
    assert read_settings({"MONGODB_USERNAME": "ada"}).obdb_uri is None
    for wrong in ("postgres://ada:se/cret-1@weeds/x", "mongodb://ada:se/cret-1@weeds/x"):
        with pytest.raises(SettingsError, match=r"^MITORCH_OBDB_URI: ") as raised:
            read_settings({"MITORCH_OBDB_URI": wrong})
        assert "cret" not in str(raised.value)


@pytest.mark.parametrize("url", ["cvat.example.com", "ftp://cvat", "https://ann:pass-of-ann@cvat", "https://cvat?x=1"])
def test_the_address_of_a_cvat_server(url: str) -> None:
    with pytest.raises(SettingsError, match="MITORCH_CVAT_URL") as caught:
        read_settings({"MITORCH_CVAT_URL": url})
    assert "pass-of-ann" not in str(caught.value)
    found = read_settings(
        {"MITORCH_CVAT_URL": "https://cvat.example.com:8080/", "MITORCH_CVAT_AUTH": "ann:pass-of-ann"}
    )
    assert found.cvat_url == "https://cvat.example.com:8080"
    assert "pass-of-ann" not in repr(found)
    assert mask_known("with pass-of-ann") == "with ***"
    read_settings({"MITORCH_CVAT_AUTH": "token-of-ann"})
    assert mask_known("with token-of-ann") == "with ***"
