"""Processing of all that a stream sends, whichever source plays: background, overlays, gain, and observers.

The sequencer inherits these methods.
"""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterator

from mediaserver.playout.pacing.frame_writer import FlushObserver, FrameObserver, FrameWriter, ignore_flushed
from mediaserver.playout.sources.background import Background


class OutputMix(ABC):
    """Changes what the frame writer of one stream does to frames, from the next tick on."""

    _writer: FrameWriter

    @abstractmethod
    def _restart_messages(self) -> None:
        """Continue the current source by a new iterator of messages, in which the changes take effect."""

    def set_background(self, background: Background | None) -> None:
        """Play a background under all sources and in place of silence from the next tick on; None ends it."""
        self._writer.use_background(background)
        self._restart_messages()

    def set_gain(self, factor: float) -> None:
        """Multiply all that is sent by a factor from the next tick on: 1 sends it as it is, and 0 sends silence.

        Sources play on while silence is sent. Observers get the multiplied frames.
        """
        self._writer.gain.change(factor)
        self._restart_messages()

    @contextlib.contextmanager
    def observe(self, on_frame: FrameObserver, on_flushed: FlushObserver = ignore_flushed) -> Iterator[None]:
        """Within the context, call `on_frame` with each frame and its encoding just before the frame is sent.

        `on_frame` must return at once. `on_flushed` is called when the far end has dropped the last frames sent
        without playing them, with the number of these frames.
        """
        self._writer.add_observer(on_frame, on_flushed)
        self._restart_messages()
        try:
            yield
        finally:
            self._writer.remove_observer(on_frame)
            self._restart_messages()

    @contextlib.contextmanager
    def overlay(self, frames: Iterator[bytes]) -> Iterator[None]:
        """Within the context, add the PCM frames of an endless iterator to all frames that are sent."""
        self._writer.add_overlay(frames)
        self._restart_messages()
        try:
            yield
        finally:
            self._writer.remove_overlay(frames)
            self._restart_messages()
