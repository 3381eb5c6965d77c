"""A bot made of pipecat's own Twilio serializer."""

from typing import Any

from aiohttp import WSMsgType
from pipecat.frames import frames
from pipecat.serializers.twilio import TwilioFrameSerializer

from tests.bridge.bots import BotConnection
from tests.bridge.test_bridge import MULAW, SPEECH, Lab, lab
from tests.call.caller import digits
from tests.timing import eventually

__all__ = ["lab"]


async def test_a_pipecat_bot_hears_and_is_heard_and_interrupts(lab: Lab) -> None:
    keys: list[str] = []

    async def bot(connection: BotConnection) -> None:
        _, start = await connection.websocket.receive_json(), (await connection.websocket.receive_json())["start"]
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False, sample_rate=8000)
        serializer: Any = TwilioFrameSerializer(start["streamSid"], start["callSid"], params=params)
        await serializer.setup(None)
        async for message in connection.websocket:
            assert message.type == WSMsgType.TEXT
            frame = await serializer.deserialize(message.data)
            if isinstance(frame, frames.InputDTMFFrame):
                keys.append(frame.button.value)
                answer: Any = frames.InterruptionFrame()
            elif isinstance(frame, frames.InputAudioRawFrame):
                answer = frames.OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
            else:
                continue
            await connection.websocket.send_str(await serializer.serialize(answer))

    lab.bots.bots["echo"] = bot
    async with lab.call("/twilio/echo") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.send(SPEECH)
        await caller.wait_received(MULAW)
        await caller.send(digits("5") + SPEECH)
        await eventually(lambda: keys == ["5"])
        await caller.wait_received(MULAW[-320:])
    await eventually(lambda: lab.events("bridge.ended"))
    assert lab.events("bridge.ended")[0]["malformed"] == 0
