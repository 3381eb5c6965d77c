"""`silence`: nothing to hear, on time."""

from mediaserver.call import Session
from mediaserver.handlers.base import Handler


class Silence(Handler):
    """Digital silence until the peer hangs up."""

    async def run(self, session: Session) -> None:
        """Wait; a stream without a source is silent."""
        await session.silence()
