"""The manifests for Kubernetes and Compose against the server's settings, the Dockerfile and each other."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediaserver import config
from mediaserver.cli import terminal
from mediaserver.config.environment import ENV_PREFIX
from mediaserver.config.settings import PromptSettings
from tests.deploy.plain_yaml import documents
from tests.deploy.proxies import DEPLOY
from tests.pages import blocks, page
from tests.server.preloaded import MEDIASERVER
from tests.sound import speechlike, write_wav
from tests.timing import UNIT

DOCKERFILE = (DEPLOY.parent / "Dockerfile").read_text()
OBJECTS = {thing["kind"]: thing for thing in documents((DEPLOY / "kubernetes.yaml").read_text())}
POD = OBJECTS["Deployment"]["spec"]["template"]
(CONTAINER,) = POD["spec"]["containers"]
(COMPOSE,) = documents((DEPLOY / "docker-compose.yaml").read_text())
SERVER, CADDY = COMPOSE["services"]["mediaserver"], COMPOSE["services"]["caddy"]
PROMETHEUS = COMPOSE["services"]["prometheus"]
(SCRAPING,) = documents((DEPLOY / "prometheus.yml").read_text())
(POD_MONITOR,) = documents((DEPLOY / "kubernetes-podmonitor.yaml").read_text())
(INIT,) = POD["spec"]["initContainers"]
UNIT_FILE = (DEPLOY / "mediaserver.service").read_text()
CLOSING = 10  # seconds after drain_timeout for what is closed in the end


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in [name for name in os.environ if name.upper().startswith(ENV_PREFIX)]:
        monkeypatch.delenv(variable)


def tokens_of(settings: Any) -> list[str]:
    """What all paths ask for."""
    return [token.get_secret_value() for token in settings.defaults.tokens]


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
    assert tokens_of(settings) == ["file:/run/secrets/mediaserver/media-token"]


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


def test_variables_of_a_service_are_not_taken_for_settings() -> None:
    assert POD["spec"]["enableServiceLinks"] is False


def test_every_file_of_a_secret_is_made_as_the_manifest_says() -> None:
    text = (DEPLOY / "kubernetes.yaml").read_text()
    made = set(re.findall(r"--from-literal=([\w-]+)=", text))
    assert made == set(re.findall(r"file:/run/secrets/mediaserver/([\w-]+)", text))


def test_the_ingress_leads_to_the_media_port_and_cuts_no_stream() -> None:
    ingress = OBJECTS["Ingress"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    assert path["backend"]["service"] == {
        "name": OBJECTS["Service"]["metadata"]["name"],
        "port": {"name": "media"},
    }
    (tls,) = ingress["spec"]["tls"]
    assert tls["hosts"] == [rule["host"]]
    noted = {
        key.removeprefix("nginx.ingress.kubernetes.io/"): value
        for key, value in ingress["metadata"]["annotations"].items()
    }
    assert noted == {
        "proxy-read-timeout": "3600",
        "proxy-send-timeout": "3600",
        "proxy-buffering": "off",
        "proxy-request-buffering": "off",
        "enable-access-log": "false",  # it would hold tokens
    }


def test_one_pod_at_a_time_is_drained() -> None:
    budget = OBJECTS["PodDisruptionBudget"]["spec"]
    assert budget == {"maxUnavailable": 1, "selector": {"matchLabels": POD["metadata"]["labels"]}}
    assert OBJECTS["Deployment"]["spec"]["replicas"] > budget["maxUnavailable"]


def test_the_pod_monitor_finds_the_pods_with_the_token_of_their_admin_port() -> None:
    spec = POD_MONITOR["spec"]
    labels = POD["metadata"]["labels"]
    assert spec["selector"]["matchLabels"] == labels
    assert labels[spec["jobLabel"]] == "mediaserver"  # the job of alerts and dashboard
    (endpoint,) = spec["podMetricsEndpoints"]
    assert endpoint["port"] in {port["name"] for port in CONTAINER["ports"]}
    assert endpoint["path"] == "/metrics"
    assert endpoint["authorization"]["credentials"] == {"name": "mediaserver", "key": "admin-token"}


@pytest.mark.parametrize("own", [None, "mine.wav"])
def test_a_fresh_volume_is_filled_and_another_left_alone(own: str | None, tmp_path: Path) -> None:
    """The command of the manifest, with folders of this machine."""
    assert INIT["image"] == CONTAINER["image"]
    (volume,) = INIT["volumeMounts"]
    assert (volume["name"], volume["mountPath"]) == ("prompts", "/volume")
    (tmp_path / "lost+found").mkdir()
    if own:
        (tmp_path / own).write_bytes(b"")
    *shell, command = INIT["command"]
    shipped = DEPLOY.parent / "prompts"
    command = command.replace("/prompts/.", f"{shipped}/.").replace("/volume", str(tmp_path))
    for _ in range(2):
        subprocess.run([*shell, command], check=True, timeout=10 * UNIT)
    found = {file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file()}
    everything = {file.relative_to(shipped) for file in shipped.rglob("*") if file.is_file()}
    assert found == ({Path(own)} if own else everything)


def test_the_pod_that_prompts_are_brought_by_is_the_servers_like() -> None:
    text = (DEPLOY.parent / "docs/operators/kubernetes.md").read_text()
    ((pod,),) = map(documents, re.findall(r"```yaml\n(.*?)```", text, re.DOTALL))
    (container,) = pod["spec"]["containers"]
    assert container["image"] == CONTAINER["image"]
    (volume,) = pod["spec"]["volumes"]
    assert volume == next(volume for volume in POD["spec"]["volumes"] if volume["name"] == "prompts")
    assert container["volumeMounts"] == [{"name": "prompts", "mountPath": "/prompts"}]
    asked = POD["spec"]["securityContext"]
    assert pod["spec"]["securityContext"] == {key: asked[key] for key in asked if key != "seccompProfile"}
    assert f"{pod['metadata']['name']}:/prompts" in text


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
    for container in (CONTAINER, INIT):
        assert container["securityContext"] == {
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
        for file in re.findall(r"file:([^\"]+)", variable["value"]):
            assert str(Path(file).parent) in found


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
    assert SERVER["secrets"] == list(COMPOSE["secrets"]) == ["admin-token", "media-token"]
    assert settings.admin.token.get_secret_value() == "file:/run/secrets/admin-token"
    assert tokens_of(settings) == ["file:/run/secrets/media-token"]
    assert settings.admin.host == "0.0.0.0"
    assert CADDY["environment"]["MEDIA_UPSTREAM"] == f"mediaserver:{settings.server.port}"


def test_only_caddy_can_be_reached() -> None:
    assert "ports" not in SERVER
    assert CADDY["ports"] == ["80:80", "443:443"]
    assert all(port.startswith("127.0.0.1:") for port in PROMETHEUS["ports"])


def test_prometheus_scrapes_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    assert PROMETHEUS["profiles"] == ["monitoring"]
    assert PROMETHEUS["networks"] == SERVER["networks"]
    mounted = dict(volume.split(":")[:2] for volume in PROMETHEUS["volumes"])
    assert mounted["./prometheus.yml"] == "/etc/prometheus/prometheus.yml"
    assert [mounted["./alerts.yaml"]] == SCRAPING["rule_files"]
    (job,) = SCRAPING["scrape_configs"]
    (secret,) = PROMETHEUS["secrets"]
    assert job["job_name"] == "mediaserver"  # as alerts and dashboard have it
    assert job["authorization"]["credentials_file"] == SERVER["environment"][
        "MEDIASERVER_ADMIN__TOKEN"
    ].removeprefix("file:")
    assert job["authorization"]["credentials_file"] == f"/run/secrets/{secret}"
    settings, _ = config.load(DEPLOY.parent / "config.example.toml")
    assert job["static_configs"] == [{"targets": [f"mediaserver:{settings.admin.port}"]}]


@pytest.mark.parametrize("service", [SERVER, CADDY, PROMETHEUS], ids=["mediaserver", "caddy", "prometheus"])
def test_services_may_do_nothing_they_need_not(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert set(service.get("cap_add", [])) <= {"NET_BIND_SERVICE"}  # Caddy's, for 80 and 443


def test_caddy_is_told_by_the_variables_that_its_config_reads() -> None:
    text = (DEPLOY / "Caddyfile").read_text()
    assert set(re.findall(r"\{\$(\w+):", text)) == set(CADDY["environment"])


@pytest.mark.parametrize("service", [SERVER, CADDY, PROMETHEUS], ids=["mediaserver", "caddy", "prometheus"])
def test_what_is_mounted_is_there(service: dict[str, Any]) -> None:
    for volume in service["volumes"]:
        source = volume.split(":")[0]
        assert (DEPLOY / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]


def unit(key: str) -> list[str]:
    """The values of a key of the systemd unit."""
    return re.findall(rf"^{key}=(.*)$", UNIT_FILE, re.MULTILINE)


def test_the_units_settings_are_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text('[paths."/a"]\nhandler = "silence"\n')
    for variable in [word for line in unit("Environment") for word in shlex.split(line)]:
        name, _, value = variable.partition("=")
        monkeypatch.setenv(name, value.replace("%d", "/run/credentials/mediaserver.service"))
    settings, problems = config.load(tmp_path / "config.toml")
    assert problems == []
    loaded = {line.partition(":")[0] for line in unit("LoadCredential")}
    asked = [settings.admin.token.get_secret_value(), *tokens_of(settings)]
    assert asked == [f"file:/run/credentials/mediaserver.service/{name}" for name in sorted(loaded)]
    assert unit("TimeoutStopSec") == [f"{settings.server.drain_timeout + CLOSING:.0f}"]
    assert unit("KillMode") == ["mixed"]  # engines in processes of their own go on while calls end
    assert int(unit("LimitNOFILE")[0]) > settings.server.max_streams
    assert unit("RestartPreventExitStatus") == [str(terminal.EXIT_BAD_CONFIG)]
    assert str(settings.prompts.cache_directory) == f"/var/cache/{unit('CacheDirectory')[0]}"


def test_check_finds_prompts_handlers_and_folders_where_the_unit_has_them(tmp_path: Path) -> None:
    """The command of the docs, with the layout that the unit's commands make, below a folder of this test."""
    shown = blocks(page("docs/operators/deploying.md"), "sh")
    (code,) = (block.replace("\\\n ", "") for block in shown if "mediaserver check" in block)
    sudo = shlex.split(code)[:3]
    assert sudo == ["sudo", "-u", "mediaserver"]
    (folder,), (serve,) = unit("WorkingDirectory"), unit("ExecStart")
    (prompts,) = (line for line in unit("Environment") if "PROMPTS" in line)
    assert f"--chdir={folder} {prompts} " in code
    binary, _, arguments = serve.partition(" serve ")
    assert code.rstrip().endswith(f"{binary} check {arguments}")

    configuration, state = tmp_path / "etc/mediaserver", tmp_path / folder[1:]
    configuration.mkdir(parents=True)
    (state / "prompts").mkdir(parents=True)
    write_wav(state / "prompts/hello.wav", speechlike(160))
    (state / "mine.py").write_text(
        "from mediaserver.handlers import Call, Handler\n"
        "class Mine(Handler):\n"
        "    async def run(self, call: Call) -> None: ...\n"
    )
    (configuration / "config.toml").write_text(
        '[paths."/hello"]\nhandler = "playback"\nprompt = "hello"\n'
        '[paths."/mine"]\nhandler = "mine:Mine"\n'
        '[paths."/record"]\nhandler = "record"\ndirectory = "recordings"\n'
    )
    command = [
        word.replace("/etc/", f"{tmp_path}/etc/").replace("/var/lib/", f"{tmp_path}/var/lib/")
        for word in shlex.split(code)[len(sudo) :]
    ]
    place = command.index(binary)
    command[place : place + 1] = MEDIASERVER
    done = subprocess.run(
        command,
        env=os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=60 * UNIT,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "hello" in done.stdout


def test_systemd_takes_the_unit_and_finds_it_closed(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd on this machine")
    (binary,) = re.findall(r"^ExecStart=(\S+)", UNIT_FILE, re.MULTILINE)
    file = tmp_path / "mediaserver.service"
    file.write_text(UNIT_FILE.replace(binary, sys.executable))  # it looks for the program
    for command in (["verify", "--man=no"], ["security", "--offline=true", "--threshold=20"]):
        done = subprocess.run(
            ["systemd-analyze", *command, file], capture_output=True, text=True, timeout=30 * UNIT, check=False
        )
        assert done.returncode == 0, done.stdout[-300:] + done.stderr
        assert done.stderr == ""


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
