"""`mediaserver simulate`: simulates the whole VoIPBIN platform on this machine, to try a flow or an IVR."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, NamedTuple
from uuid import uuid4

import typer

from mediaserver.cli import options, terminal
from mediaserver.cli.simulation import keyboard, sound
from mediaserver.cli.simulation.tables import show_flow_report
from mediaserver.cli.simulation.view import SimulationView
from mediaserver.cli.terminal import EXIT_WRONG_STREAM, err, out
from mediaserver.client.flows.actions import Action, FlowError, parse_flow
from mediaserver.client.flows.call import FlowCall, FlowPlan, Observer
from mediaserver.client.flows.report import FlowReport
from mediaserver.errors import MediaServerError, error_text
from mediaserver.support import log


class _Devices(NamedTuple):
    """The programs for the speaker and the microphone; None if a device is not wanted, or has no program."""

    speaker: tuple[str, ...] | None
    microphone: tuple[str, ...] | None


def simulate(
    flow: Annotated[
        Path | None,
        typer.Argument(metavar="FLOW.json", help="The flow: a JSON list of actions, or an object that has one."),
    ] = None,
    fetch: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Execute one action fetch of this URL, in place of a file."),
    ] = None,
    seconds: Annotated[
        float | None, typer.Option(metavar="N", min=0.1, help="Hang up after this many seconds.")
    ] = None,
    send: options.SendOption = None,
    digits: options.DigitsOption = "",
    after: options.AfterOption = None,
    record: Annotated[
        Path | None, typer.Option(metavar="OUT.wav", help="Write what is heard into this WAV file.")
    ] = None,
    speaker: Annotated[bool, typer.Option("--speaker", help="Play what is heard on this machine.")] = False,
    microphone: Annotated[
        bool, typer.Option("--microphone", help="Speak with this machine's microphone.")
    ] = False,
    variable: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Set a variable of the flow, for ${NAME}. Repeatable."),
    ] = None,
    bridged: Annotated[
        float,
        typer.Option(metavar="N", min=0.0, help="Seconds that connect, queue_join and conference_join last."),
    ] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Simulate VoIPBIN with a call: execute a flow as it does, and report what was executed and heard.

    On a terminal, the digits that you type are the caller's keys. They reach the flow and not the media, as those
    of nearly every telephone. --digits presses keys as well, and --send speaks a file: both wait until the far end
    has been quiet for a second after its greeting, or has said nothing for two seconds.

    The flow's external media are dialled, by AudioSocket over TCP or by WebSocket. Talk, play, recordings and
    other parties are not simulated, but take as long as they would.
    """
    if (flow is None) == (fetch is None):
        raise typer.BadParameter("give a flow's file, or --fetch URL", param_hint="FLOW.json")
    if microphone and send is not None:
        raise typer.BadParameter("the caller speaks a file or by the microphone", param_hint="--send")
    variables = dict(options.variable(text) for text in variable or ())
    log.configure("error", "console")
    try:
        actions = _read_flow(flow) if flow is not None else [_fetch_action(fetch or "")]
        devices = _find_devices(speaker, microphone)
        plan = FlowPlan(
            actions, variables, seconds, digits, send, after, record, bridged, devices.microphone is not None
        )
        report = terminal.run(_simulate(plan, devices, live=err.is_terminal and not as_json))
    except (MediaServerError, OSError) as error:
        if as_json:
            typer.echo(json.dumps({"error": str(error)}))
        terminal.print_errors([str(error)])
        raise typer.Exit(EXIT_WRONG_STREAM) from error
    if as_json:
        typer.echo(json.dumps(report.as_dict()))
    else:
        show_flow_report(report, out)
    terminal.print_errors(report.problems)
    if report.problems:
        raise typer.Exit(EXIT_WRONG_STREAM)


def _read_flow(file: Path) -> list[Action]:
    try:
        return parse_flow(file.read_bytes())
    except FlowError as error:
        raise FlowError(f"{file} {error}") from error
    except OSError as error:
        raise FlowError(f"{file} cannot be read: {error_text(error)}") from error


def _fetch_action(url: str) -> Action:
    return Action("fetch", {"event_url": url, "event_method": "POST"}, uuid4())


def _find_devices(speaker: bool, microphone: bool) -> _Devices:
    """Find programs for the wanted devices. Prints a line for each device whose programs are not installed."""
    wanted = (
        (speaker, sound.SPEAKERS, "no sound is played"),
        (microphone, sound.MICROPHONES, "the caller is mute"),
    )
    found = [sound.find_program(programs) if asked else None for asked, programs, _ in wanted]
    for (asked, programs, what), program in zip(wanted, found, strict=True):
        if asked and program is None:
            typer.echo(f"{what}: {sound.missing(programs)}", err=True)
    return _Devices(*found)


async def _simulate(plan: FlowPlan, devices: _Devices, live: bool) -> FlowReport:
    """Make one call. If `live` is set, the terminal shows the call. Ctrl-C hangs up, and the report follows."""
    hang_up = terminal.hang_up_on_signals()
    view = SimulationView(err) if live else None
    async with contextlib.AsyncExitStack() as stack:
        play = None
        if devices.speaker is not None:
            play = await stack.enter_async_context(sound.open_speaker(devices.speaker))
        call = FlowCall(plan, _observer(view, play))
        if devices.microphone is not None:
            await stack.enter_async_context(sound.open_microphone(devices.microphone, call.speak))
        stack.enter_context(keyboard.read_keys(call.press))
        if view is None:
            return await call.run(hang_up)
        showing = asyncio.create_task(view.show(call.log))
        try:
            return await call.run(hang_up)
        finally:
            showing.cancel()
            await asyncio.wait([showing])


def _observer(view: SimulationView | None, play: Callable[[bytes], None] | None) -> Observer:
    """An observer that shows the call on `view`, and calls `play` with the sound that the caller hears."""
    shown = view.observer if view is not None else Observer()
    if play is None:
        return shown

    def hear(pcm: bytes, at: float) -> None:
        play(pcm)
        shown.on_frame(pcm, at)

    return Observer(shown.on_action, shown.on_key, hear)
