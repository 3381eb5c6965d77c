"""What commands are given: options that several have, and values read from what people write."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar="MEDIASERVER_CONFIG", help="TOML file; default: ./config.toml if there is one."
    ),
]
SendOption = Annotated[
    Path | None,
    typer.Option(metavar="IN.wav", help="A sound file to speak, at once; the call goes on after it."),
]


class Kind(StrEnum):
    """What has a media stream."""

    CALL = "call"
    CONFERENCE = "conference"


def port(text: str) -> Any:
    """An option that is a port."""
    return typer.Option(metavar="PORT", min=0, max=65535, help=text)


def seconds(text: str) -> int:
    """A time such as 90s, 15m, 1h or 7d, in seconds."""
    found = re.fullmatch(r"([1-9]\d{0,8})([smhd]?)", text)
    if found is None:
        raise typer.BadParameter(f"{text} should be a time such as 90s, 15m, 1h or 7d", param_hint="--ttl")
    return int(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]]


def variable(text: str) -> tuple[str, str]:
    """NAME=VALUE, as a name and a value."""
    name, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text} should be NAME=VALUE", param_hint="--variable")
    return name, value
