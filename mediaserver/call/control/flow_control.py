"""Control of a call whose VoIPBIN flow asks the server what comes next, such as a hang-up or a transfer."""

import asyncio
from collections.abc import Callable, Sequence

from mediaserver.call.control.peer_control import PeerControl
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.wire.voipbin import actions
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination


class FlowControl(PeerControl):
    """Keeps what the handler decides, as the answer to the flow's next `fetch`.

    `source` is the number that a transferred call shows. `on_decision` is called once, with the decision.
    """

    def __init__(
        self, source: str = "", on_decision: Callable[[Sequence[Action]], None] = lambda actions: None
    ) -> None:
        self.exhausted = self._exhausted = asyncio.Event()
        self.decision: Sequence[Action] | None = None  # the handler's decision; None while there is none
        self._source, self._on_decision = source, on_decision
        self._keypad: Keypad | None = None
        self._changed = asyncio.Event()  # set when a decision is there, or the handler begins to wait for a digit

    def decide(self, decision: Sequence[Action]) -> None:
        """Take actions as the answer to the flow's next `fetch`. Only the first decision has an effect."""
        if self.decision is None:
            self.decision = decision
            self._changed.set()
            on_decision, self._on_decision = self._on_decision, lambda actions: None  # prevents a reference cycle
            on_decision(decision)

    def hang_up(self) -> None:
        """Have the flow hang up the call."""
        self.decide([actions.HANG_UP])

    def require(self, destination: Destination | Sequence[Action]) -> None:
        """Accept any destination and any actions: a flow can do all of them."""

    def lead_to(self, destination: Destination | Sequence[Action]) -> None:
        """Have the flow transfer the call to a destination, or execute actions."""
        self.decide(destination.actions(self._source) if isinstance(destination, Destination) else destination)

    def warn_of_exhaustion(self) -> None:
        """Tell the handler that the actions that the flow still has are enough for some seconds only."""
        self._exhausted.set()

    def on_keypad(self, keypad: Keypad) -> None:
        """Observe from now on when the handler waits for a digit, and for how long."""
        self._keypad = keypad
        keypad.on_waiting = self._changed.set

    @property
    def patience(self) -> float:
        """Seconds for which the handler only waits for a digit; 0.0 where it may decide at any time."""
        return self._keypad.patience if self._keypad is not None else 0.0

    async def settle(self, timeout: float) -> None:
        """Wait until the handler has decided, or waits for a digit, for `timeout` seconds at most."""
        try:
            async with asyncio.timeout(timeout):
                while self.decision is None and not (self._keypad is not None and self._keypad.is_waiting):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return
