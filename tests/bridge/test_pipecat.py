"""A bot made of pipecat's own Twilio serializer."""

from typing import Any

from aiohttp import WSMsgType
from pipecat.frames import frames
from pipecat.serializers.twilio import TwilioFrameSerializer

from tests.bridge.bots import Visit
from tests.bridge.test_bridge import MULAW, SPEECH, Lab, lab
from tests.call.caller import digits
from tests.timing import eventually

__all__ = ["lab"]


async def test_a_pipecat_bot_hears_and_is_heard_and_interrupts(lab: Lab) -> None:
    keys: list[str] = []

    async def bot(visit: Visit) -> None:
        _, start = await visit.websocket.receive_json(), (await visit.websocket.receive_json())["start"]
        params = TwilioFrameSerializer.InputParams(auto_hang_up=False, sample_rate=8000)
        serializer: Any = TwilioFrameSerializer(start["streamSid"], start["callSid"], params=params)
        await serializer.setup(None)
        async for message in visit.websocket:
            assert message.type == WSMsgType.TEXT
            frame = await serializer.deserialize(message.data)
            if isinstance(frame, frames.InputDTMFFrame):
                keys.append(frame.button.value)
                answer: Any = frames.InterruptionFrame()
            elif isinstance(frame, frames.InputAudioRawFrame):
                answer = frames.OutputAudioRawFrame(frame.audio, frame.sample_rate, frame.num_channels)
            else:
                continue
            await visit.websocket.send_str(await serializer.serialize(answer))

    lab.bots.bots["echo"] = bot
    async with lab.call("/twilio/echo") as caller:
        await eventually(lambda: lab.events("bridge.connected"))
        await caller.say(SPEECH)
        await caller.until_heard(MULAW)
        await caller.say(digits("5") + SPEECH)
        await eventually(lambda: keys == ["5"])
        await caller.until_heard(MULAW[-320:])
    await eventually(lambda: lab.events("bridge.ended"))
    assert lab.events("bridge.ended")[0]["malformed"] == 0
