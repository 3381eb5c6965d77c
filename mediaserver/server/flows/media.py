"""The media ports of flows: a connection to a leased port is the stream of the call that the port is leased to."""

import time
from dataclasses import replace
from functools import partial
from uuid import UUID

from mediaserver.errors import ConfigError, RefusalReason, RefusedError
from mediaserver.routing.access import Access
from mediaserver.runtime.engine import Engine
from mediaserver.server.audiosocket.connection import AudioSocketConnection
from mediaserver.server.audiosocket.streams import begin_stream
from mediaserver.server.flows.call import FlowCall
from mediaserver.server.flows.calls import FlowCalls
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.listener import AddressKeys, Listener

_FREE = "no call waits on this port"


class FlowMedia:
    """Accepts AudioSocket connections on all media ports. A port that is leased to no call refuses connections."""

    def __init__(self, engine: Engine, connections: Connections, calls: FlowCalls) -> None:
        self._engine, self.connections, self._calls = engine, connections, calls
        self.listeners: list[Listener] = []

    async def listen(self) -> None:
        """Listen on all media ports; ConfigError names all ports that cannot be listened on."""
        configuration = self._engine.configuration
        flows, source = configuration.settings.flows, configuration.settings.source
        by = {
            key: f"{source(configuration.where, ('flows', key))}: flows.{key}" for key in ("host", "media_ports")
        }
        problems: list[str] = []
        for number in flows.ports:
            listener = Listener(partial(self._make_connection, number), lambda: self.connections.has_room)
            self.listeners.append(listener)
            try:
                await listener.open(flows.host, number, AddressKeys(by["host"], by["media_ports"]))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(problems)

    def _make_connection(self, number: int) -> AudioSocketConnection:
        connection = AudioSocketConnection(number, self)
        self.connections.on_accepted(connection)
        return connection

    # -- callbacks of connections ---------------------------------------------------------------------------------

    def on_connected(self, connection: AudioSocketConnection) -> None:
        """Refuse a peer whose network is not allowed, or that dials a port that is not leased."""
        try:
            call = self._waiting(connection)
            for networks in (self._engine.settings.flows.allow, call.port.route.access.networks):
                Access(networks).authorize(connection.peer.address, call.port.url, "", time.time())
        except RefusedError as error:
            connection.refuse(error)

    def on_uuid(self, connection: AudioSocketConnection, uuid: UUID) -> None:
        """Begin the stream of the call to which the port is leased. The UUID is random, so it is not used."""
        try:
            call = self._waiting(connection)
        except RefusedError as error:
            connection.refuse(error)
            return
        try:
            self.connections.admit_handshake()
            self._engine.streams.admit(call.port.route, connection.peer.limit_key)
        except RefusedError as error:
            connection.refuse(error, call.port.url.path)
            call.refuse_media(str(error))
            return
        call.stream = replace(call.stream, peer=connection.peer.name)
        session = begin_stream(
            self._engine,
            self.connections,
            connection,
            call.port,
            call.stream,
            call.handler,
            call.control,
            call.on_stream_over,
        )
        call.on_stream_begun(session)

    def _waiting(self, connection: AudioSocketConnection) -> FlowCall:
        """The call whose media is awaited on the port of a connection; RefusedError if there is no such call."""
        call = self._calls.on_port(connection.number)
        if call is None or call.dialled:
            raise RefusedError(RefusalReason.UNKNOWN_PATH, _FREE)
        return call
