"""The clusters of the settings: kinds, credentials, what is common; each mistake told, no password ever."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from mitorch_service.cluster_settings.azureml_cluster import AzureMLCluster, CreateProfile
from mitorch_service.cluster_settings.local_cluster import LocalCluster
from mitorch_service.errors import SettingsError
from mitorch_service.settings import Settings, read_settings

AZURE: dict[str, Any] = {
    "name": "gpu-east",
    "kind": "azureml",
    "subscription_id": "5ub",
    "resource_group": "group",
    "workspace": "vision",
}
VARIABLES = {
    "MITORCH_AZURE_SUBSCRIPTION_ID": "5ub",
    "MITORCH_AML_WORKSPACE": "vision",
    "MITORCH_AML_COMPUTE": "gpu-east",
}
SECRET = "hunter2"
GUID = "22222222-2222-2222-2222-22222222222a"


def read(*clusters: Any, **environ: str) -> Settings:
    """The settings with these clusters."""
    return read_settings({"MITORCH_CLUSTERS": json.dumps(clusters), **environ})


def azure(**fields: Any) -> AzureMLCluster:
    """The one Azure ML cluster of settings with these fields."""
    (cluster,) = read({**AZURE, **fields}, AUTH=f"t3n:pr1n:{SECRET}").clusters
    assert isinstance(cluster, AzureMLCluster)
    return cluster


def problem(*clusters: Any, **environ: str) -> str:
    """Returns the error for clusters that cannot be used; never contains a password."""
    with pytest.raises(SettingsError) as caught:
        read(*clusters, **environ)
    assert SECRET not in "".join(map(repr, (caught.value, caught.value.__cause__))) + str(caught.value)
    return str(caught.value)


def test_an_azureml_cluster_needs_few_words() -> None:
    cluster = azure()
    assert (cluster.compute, cluster.sdk, cluster.experiment) == ("gpu-east", "v2", "mitorch")
    assert (cluster.price, cluster.low_priority, cluster.gpus, cluster.data) == (0.0, False, None, ())
    assert (cluster.auth, cluster.credential(), cluster.create) == (None, None, None)


def test_an_azureml_cluster_with_everything() -> None:
    profile = {"vm_size": "STANDARD_NC6S_V3", "max_nodes": 4}
    given = {"sdk": "v1", "compute": "gpu", "region": "westeurope", "environment": "acr.io/image:1", "price": 1}
    cluster = azure(**given, create=profile, low_priority=True, gpus=4, memory=112.5, data=["photos*", "acct"])
    assert cluster.create == CreateProfile(vm_size="STANDARD_NC6S_V3", min_nodes=0, max_nodes=4, idle_seconds=1800)
    assert {name: getattr(cluster, name) for name in given} == given
    assert (cluster.gpus, cluster.memory, cluster.data) == (4, 112.5, ("photos*", "acct"))


def test_kinds_may_be_mixed_and_keep_their_order() -> None:
    clusters = read({"name": "here", "price": 0.5, "gpus": 2}, AZURE).clusters
    assert [cluster.name for cluster in clusters] == ["here", "gpu-east"]
    assert clusters[0] == LocalCluster(name="here", price=0.5, gpus=2)


@pytest.mark.parametrize(
    ("auth", "tenant", "user", "password"),
    [
        (f"t3n:pr1n:{SECRET}", "t3n", "pr1n", SECRET),
        (f"t3n:pr1n:a:{SECRET}:", "t3n", "pr1n", f"a:{SECRET}:"),
        (f"me@home.org:{SECRET}", None, "me@home.org", SECRET),
        (f"me@home.org:a:{SECRET}", None, "me@home.org", f"a:{SECRET}"),
        (f"{GUID}:{SECRET}", None, GUID, SECRET),
        (f"{GUID}:a:{SECRET}", None, GUID, f"a:{SECRET}"),
        (f"{GUID}:{GUID}:a:{SECRET}", GUID, GUID, f"a:{SECRET}"),
    ],
)
@pytest.mark.parametrize("by_variable", [False, True])
def test_a_credential_is_taken_apart(
    auth: str, tenant: str | None, user: str, password: str, by_variable: bool
) -> None:
    entry = {**AZURE, "auth": {"env": "MY_AUTH"} if by_variable else auth}
    (cluster,) = read(entry, MY_AUTH=auth).clusters
    assert isinstance(cluster, AzureMLCluster)
    credential = cluster.credential()
    assert credential is not None
    assert (credential.tenant, credential.user, credential.password.get_secret_value()) == (tenant, user, password)


@pytest.mark.parametrize("first", ["pr1n", GUID])
@pytest.mark.parametrize("password", [SECRET, f"a:{SECRET}"])
def test_with_a_tenant_two_parts_are_a_service_principal(first: str, password: str) -> None:
    given = {**VARIABLES, "MITORCH_AML_TENANT_ID": "t3n"}
    for auth in (f"{first}:{password}", f"t3n:{first}:{password}"):
        (cluster,) = read_settings({**given, "MITORCH_AML_AUTH": auth}).clusters
        assert isinstance(cluster, AzureMLCluster)
        credential = cluster.credential()
        assert credential is not None
        assert (credential.principal, credential.tenant, credential.user) == (True, "t3n", first)
        assert credential.password.get_secret_value() == password


def test_a_password_is_in_no_text_of_the_settings() -> None:
    settings = read({**AZURE, "auth": f"t3n:pr1n:{SECRET}"})
    cluster = settings.clusters[0]
    assert isinstance(cluster, AzureMLCluster)
    texts = [repr(settings), str(settings), repr(cluster), repr(cluster.credential()), settings.model_dump_json()]
    assert not [text for text in texts if SECRET in text]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"workspace": ""}, "[0].workspace: must not be empty (it is '')"),
        ({"sdk": "v3"}, "[0].sdk: must be 'v1' or 'v2' (it is 'v3')"),
        ({"price": -0.5}, "[0].price: must be 0 or more (it is -0.5)"),
        ({"price": True}, "[0].price: must be a number (it is True)"),
        ({"low_priority": "yes"}, "[0].low_priority: must be true or false (it is 'yes')"),
        ({"max_silence": 1e308}, "[0].max_silence: must be 1e+09 or less"),  # no timedelta holds it
        ({"cancel_leaks_after": 1e308}, "[0].cancel_leaks_after: must be 1e+09 or less"),
        ({"gpus": -1}, "[0].gpus: "),
        ({"memory": 0}, "[0].memory: "),
        ({"data": "photos"}, "[0].data: "),
        ({"slots": 2}, "[0].slots: unknown key; known: auth, cancel_leaks_after, compute, "),
        ({"create": {"vm_size": "x"}}, "[0].create.max_nodes: is required"),
        ({"create": {"vm_size": "x", "max_nodes": 1, "nodes": 1}}, "[0].create.nodes: unknown key; known: idle_s"),
        ({"create": {"vm_size": "x", "max_nodes": 2, "min_nodes": 3}}, "min_nodes (3) is more than max_nodes (2)"),
        ({"auth": SECRET}, "[0].auth: must be TENANT:SERVICE PRINCIPAL ID:PASSWORD, SERVICE PRINCIPAL"),
        ({"auth": f":x:{SECRET}"}, "[0].auth: must be TENANT"),
        ({"auth": "user:"}, "[0].auth: must be TENANT"),
        ({"auth": [SECRET]}, "[0].auth: "),
        ({"auth": {"env": "MY_AUTH"}}, "[0].auth: the variable MY_AUTH is not set. Set MY_AUTH, or leave auth out"),
        ({"auth": {"password": SECRET}}, "[0].auth: must name one variable"),
        ({"auht": SECRET}, "[0].auht: unknown key"),
    ],
)
def test_each_mistake_is_told_with_its_field(fields: dict[str, Any], said: str) -> None:
    text = problem({**AZURE, **fields})
    assert text.startswith("MITORCH_CLUSTERS: [0].")
    assert said in text
    assert "Write " in text or "Set " in text  # the remedy


def test_not_even_the_model_repeats_a_password() -> None:
    with pytest.raises(ValidationError) as caught:
        AzureMLCluster.model_validate({"kind": "azureml", "auth": f"me:{SECRET}"})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("field", ["name", "subscription_id", "workspace"])
def test_what_is_missing_is_named(field: str) -> None:
    entry = {**AZURE, "auth": f"me:{SECRET}"}
    del entry[field]
    text = problem(entry)
    assert f"[0].{field}: is required" in text
    assert '"kind": "azureml"' in text  # an example of the right kind


def test_a_password_in_broken_json_is_not_repeated() -> None:
    for text in (f'[{{"auth": "{SECRET}"', f'"[{SECRET}]"'):
        with pytest.raises(SettingsError) as caught:
            read_settings({"MITORCH_CLUSTERS": text})
        assert SECRET not in f"{caught.value}{caught.value.__cause__!r}"


def test_the_variables_of_the_original_are_one_cluster_named_after_its_compute() -> None:
    more = {"MITORCH_AML_TENANT_ID": "t3n", "MITORCH_AML_AUTH": f"me@home.org:{SECRET}"}
    settings = read_settings({**VARIABLES, **more})
    found = azure(tenant_id="t3n", auth=f"me@home.org:{SECRET}").model_copy(update={"resource_group": None})
    assert settings.clusters == (found,)  # the group is looked for when Azure is asked for something
    assert settings.clusters_given
    assert read_settings({**VARIABLES, "MITORCH_AML_RESOURCE_GROUP": "group"}).clusters == (azure(),)


def test_a_list_of_clusters_goes_before_the_variables_of_one() -> None:
    clusters = read({"name": "here"}, MITORCH_AML_WORKSPACE="vision").clusters
    assert clusters == (LocalCluster(name="here"),)


@pytest.mark.parametrize("missing", VARIABLES)
def test_variables_that_are_set_in_part_are_told(missing: str) -> None:
    given = {name: value for name, value in VARIABLES.items() if name != missing}
    with pytest.raises(SettingsError) as caught:
        read_settings({**given, "MITORCH_AML_AUTH": f"me:{SECRET}"})
    assert str(caught.value).startswith(f"{missing}: not set, while ")
    assert SECRET not in str(caught.value)


def test_a_credential_alone_is_told() -> None:
    with pytest.raises(SettingsError, match="MITORCH_AML_WORKSPACE, MITORCH_AML_COMPUTE: not set, while MITORCH_AML_"):
        read_settings({"MITORCH_AML_AUTH": f"me:{SECRET}"})


def test_a_wrong_variable_is_told_with_its_field() -> None:
    with pytest.raises(SettingsError, match=r"MITORCH_AML_\*: auth: must be TENANT") as caught:
        read_settings({**VARIABLES, "MITORCH_AML_AUTH": SECRET})
    assert SECRET not in str(caught.value)
