"""What users' own handlers log is a line of the server's log, which names the stream."""

from pathlib import Path

from tests.server.preloaded import MEDIASERVER
from tests.server.process import listen, listening, start, write_config
from tests.timing import eventually

HANDLER = """
import asyncio, logging
from mediaserver.handlers import Handler, silence
log = logging.getLogger("boxes")
class Mine(Handler):
    async def run(self, call):
        log.warning("no box %d of %s", 7, call.stream.id)
        await asyncio.create_task(self.beside(call))
        await call.play(silence(20))
    async def beside(self, call):
        log.error("nor beside %s", call.stream.id)
"""


async def test_a_line_has_the_stream_and_the_logger(tmp_path: Path) -> None:
    config = write_config(tmp_path, '[paths."/mine"]\nhandler = "mine:Mine"\n')
    (tmp_path / "prompts").mkdir(exist_ok=True)
    (tmp_path / "mine.py").write_text(HANDLER)
    with listening(start([*MEDIASERVER, "serve", "--config", str(config)], tmp_path / "log", tmp_path)) as server:
        for _ in range(2):
            await listen(server.url("/mine"), frames=1)
        await eventually(lambda: len(server.events("stream ended")) == 2)
        ids = [line["stream"] for line in server.events("stream ended")]
        assert len(set(ids)) == 2
        for stream in ids:
            (warned,), (failed,) = server.events(f"no box 7 of {stream}"), server.events(f"nor beside {stream}")
            assert (warned["level"], warned["logger"], warned["stream"]) == ("warning", "boxes", stream)
            assert (failed["level"], failed["stream"]) == ("error", stream)
