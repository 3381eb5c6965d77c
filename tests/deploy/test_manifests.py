"""The manifests for Kubernetes and Compose against the server's settings, the Dockerfile and each other."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from mediaserver import config
from mediaserver.config import ENV_PREFIX
from mediaserver.settings import PromptSettings
from tests.deploy.plain_yaml import documents
from tests.deploy.proxies import DEPLOY

DOCKERFILE = (DEPLOY.parent / "Dockerfile").read_text()
OBJECTS = {thing["kind"]: thing for thing in documents((DEPLOY / "kubernetes.yaml").read_text())}
POD = OBJECTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
(COMPOSE,) = documents((DEPLOY / "docker-compose.yaml").read_text())
SERVER, CADDY = COMPOSE["services"]["mediaserver"], COMPOSE["services"]["caddy"]
CLOSING = 10  # seconds after drain_timeout for what is closed in the end


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)


def in_kubernetes(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Any:
    """The settings of a pod, all of them right."""
    for variable in CONTAINER["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    file = folder / "config.toml"
    file.write_text(OBJECTS["ConfigMap"]["data"]["config.toml"])
    settings, problems = config.load(file)
    assert problems == []
    return settings


def mounts() -> dict[str, Any]:
    """The pod's volumes by where they are."""
    volumes = {volume["name"]: volume for volume in POD["spec"]["volumes"]}
    assert [mount["name"] for mount in CONTAINER["volumeMounts"] if not mount.get("readOnly")] == ["cache"]
    return {mount["mountPath"]: volumes[mount["name"]] for mount in CONTAINER["volumeMounts"]}


def test_the_pods_settings_are_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = in_kubernetes(monkeypatch, tmp_path)
    ports = {port["name"]: port["containerPort"] for port in CONTAINER["ports"]}
    assert ports == {"media": settings.server.port, "admin": settings.admin.port}
    assert POD["metadata"]["annotations"]["prometheus.io/port"] == str(settings.admin.port)
    assert settings.admin.host == "0.0.0.0"
    assert settings.admin.token.get_secret_value().startswith("file:/run/secrets/mediaserver/")
    assert settings.server.trusted_proxies


def test_the_pod_may_drain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drain = in_kubernetes(monkeypatch, tmp_path).server.drain_timeout
    command, seconds = CONTAINER["lifecycle"]["preStop"]["exec"]["command"]
    assert command == "sleep"
    assert POD["spec"]["terminationGracePeriodSeconds"] == int(seconds) + drain + CLOSING


def test_only_the_media_port_has_a_service() -> None:
    (port,) = OBJECTS["Service"]["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (8080, "media")


def test_labels_select_the_pod() -> None:
    labels = POD["metadata"]["labels"]
    assert OBJECTS["Service"]["spec"]["selector"] == labels
    assert OBJECTS["Deployment"]["spec"]["selector"]["matchLabels"] == labels


def test_probes_ask_what_they_are_for() -> None:
    probes = {name: CONTAINER[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
    assert probes == {
        "livenessProbe": {"path": "/healthz", "port": "admin"},
        "readinessProbe": {"path": "/readyz", "port": "admin"},
    }


def test_the_pod_may_do_nothing_it_need_not() -> None:
    pod = POD["spec"]["securityContext"]
    user, group = re.findall(r"^USER (\d+):(\d+)$", DOCKERFILE, re.MULTILINE)[0]
    assert (pod["runAsUser"], pod["runAsGroup"], pod["runAsNonRoot"]) == (int(user), int(group), True)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert POD["spec"]["automountServiceAccountToken"] is False


def test_volumes_are_where_the_image_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    found = mounts()
    (workdir,) = re.findall(r"^WORKDIR (/etc/.+)$", DOCKERFILE, re.MULTILINE)
    (prompts,) = re.findall(r"^VOLUME (.+)$", DOCKERFILE, re.MULTILINE)
    assert found[workdir]["configMap"]["name"] == OBJECTS["ConfigMap"]["metadata"]["name"]
    claim = found[prompts]["persistentVolumeClaim"]["claimName"]
    assert claim == OBJECTS["PersistentVolumeClaim"]["metadata"]["name"]
    (caches,) = re.findall(r"XDG_CACHE_HOME=(\S+)", DOCKERFILE)
    monkeypatch.setenv("XDG_CACHE_HOME", caches)
    cache = str(PromptSettings().cache_directory)
    assert "emptyDir" in found[cache]
    assert f"mediaserver-cache:{cache}" in SERVER["volumes"]
    for variable in CONTAINER["env"]:
        if variable["value"].startswith("file:"):
            assert str(Path(variable["value"].removeprefix("file:")).parent) in found


def test_the_compose_files_settings_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SERVER["environment"].items():
        monkeypatch.setenv(name, value)
    settings, problems = config.load(DEPLOY.parent / "config.example.toml")
    assert problems == []
    ((subnet,),) = [pool.values() for pool in COMPOSE["networks"]["media"]["ipam"]["config"]]
    assert [str(network) for network in settings.server.trusted_proxies] == [subnet]
    assert SERVER["stop_grace_period"] == f"{settings.server.drain_timeout + CLOSING:.0f}s"
    assert SERVER["ulimits"]["nofile"] > settings.server.max_streams
    assert CADDY["ulimits"]["nofile"] > 2 * settings.server.max_streams
    (secret,) = SERVER["secrets"]
    assert settings.admin.token.get_secret_value() == f"file:/run/secrets/{secret}"
    assert secret in COMPOSE["secrets"]
    assert CADDY["environment"]["MEDIA_UPSTREAM"] == f"mediaserver:{settings.server.port}"


def test_only_caddy_can_be_reached() -> None:
    assert "ports" not in SERVER
    assert CADDY["ports"] == ["80:80", "443:443"]


@pytest.mark.parametrize("service", [SERVER, CADDY], ids=["mediaserver", "caddy"])
def test_services_may_do_nothing_they_need_not(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("cap_add", [])) <= {"NET_BIND_SERVICE"}  # Caddy's, for 80 and 443


def test_caddy_is_told_by_the_variables_that_its_config_reads() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    assert set(re.findall(r"\{\$(\w+):", text)) == set(CADDY["environment"])


@pytest.mark.parametrize("service", [SERVER, CADDY], ids=["mediaserver", "caddy"])
def test_what_is_mounted_is_there(service: dict[str, Any]) -> None:
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: 1\nb:\n  - c: x y\n    d: true\n  - e\n", {"a": 1, "b": [{"c": "x y", "d": True}, "e"]}),
        ('# no\na: "x: y" # no\nb: ["c"]\n', {"a": "x: y", "b": ["c"]}),
        ("a: |\n  b: # yes\n\n    c\nd: e\n", {"a": "b: # yes\n\n  c\n", "d": "e"}),
        ("a: >-\n  b\n  c: d\ne: {}\n", {"a": "b c: d", "e": {}}),
    ],
)
def test_plain_yaml_is_read_right(text: str, value: Any) -> None:
    assert documents(text) == [value]


@pytest.mark.parametrize(
    "text", ["a: yes", "a: b: c", "a: &b c", "a:\n", "a: 1e3", "a: {b: c}", "a: 1\n  b: 2", "\ta: b"]
)
def test_yaml_that_is_not_plain_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        documents(text)
