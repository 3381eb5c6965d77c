"""The AudioSocket endpoint: listens on its ports, admits connections, and runs one session on each."""

import secrets
import time
from functools import partial
from uuid import UUID

from mediaserver.call import Stream
from mediaserver.errors import ConfigError, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.routing.access import Access
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.runtime.engine import Engine
from mediaserver.server.audiosocket.connection import AudioSocketConnection
from mediaserver.server.audiosocket.streams import begin_stream
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.listener import AddressKeys, Listener


class AudioSocketEndpoint:
    """All AudioSocket ports. `connections` counts their connections together with those of the HTTP listener."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine = engine
        self.connections = connections
        self.listeners: list[Listener] = []
        self.bound: dict[int, int] = {}  # maps each port that is listened on to its number in the settings

    async def listen(self) -> None:
        """Listen on all ports; ConfigError names all ports that cannot be listened on."""
        configuration = self._engine.configuration
        settings = configuration.settings
        problems: list[str] = []
        for number in settings.audiosocket.ports:
            listener = Listener(partial(self._make_connection, number), has_room=lambda: self.connections.has_room)
            self.listeners.append(listener)
            host_by, port_by = (
                settings.source(configuration.where, ("audiosocket", key)) for key in ("host", "ports")
            )
            keys = AddressKeys(f"{host_by}: audiosocket.host", f"{port_by}: audiosocket.ports.{number}")
            try:
                port = await listener.open(
                    settings.audiosocket.host, number, keys, reuse_port=settings.server.reuse_port
                )
            except ConfigError as error:
                problems += error.problems
            else:
                self.bound[port] = number
        if problems:
            raise ConfigError(problems)

    @property
    def paths(self) -> dict[str, str]:
        """The URL that each port stands for. The keys are the numbers of the ports that are listened on."""
        return {str(port): str(self._port(number).url) for port, number in self.bound.items()}

    def _port(self, number: int) -> Port:
        return self._engine.configuration.ports[number]  # a reload may change a port's path, but not remove a port

    def _make_connection(self, number: int) -> AudioSocketConnection:
        connection = AudioSocketConnection(number, self)
        self.connections.on_accepted(connection)
        return connection

    # -- callbacks of connections ---------------------------------------------------------------------------------

    def on_connected(self, connection: AudioSocketConnection) -> None:
        """Refuse a peer whose network is not allowed, before it has sent its UUID."""
        port, allowed = self._port(connection.number), Access(self._engine.settings.audiosocket.allow)
        try:
            for access in (allowed, port.route.access):
                access.authorize(connection.peer.address, port.url, "", time.time())
        except RefusedError as error:
            connection.refuse(error, port.url.path)

    def on_uuid(self, connection: AudioSocketConnection, uuid: UUID) -> None:
        """Begin a stream for the UUID of a connection, or refuse the connection."""
        engine, port = self._engine, self._port(connection.number)
        try:
            self.connections.admit_handshake()
            handler = port.build_handler(uuid, engine.library.snapshot)
            engine.streams.admit(port.route, connection.peer.limit_key)
        except RefusedError as error:
            connection.refuse(error, port.url.path)
        else:
            self._begin(connection, port, uuid, handler)

    def _begin(self, connection: AudioSocketConnection, port: Port, uuid: UUID, handler: Handler) -> None:
        stream = Stream(
            id=secrets.token_hex(6),
            path=port.url.path,
            peer=connection.peer.name,
            query=dict(port.url.query),
            variables=port.route.stream_variables(port.url.query, port.call_variables(uuid)),
            route=port.route.pattern,
            call=str(uuid),
        )
        begin_stream(self._engine, self.connections, connection, port, stream, handler)
