"""JSON over HTTP to the operator's own backend."""

from mediaserver.errors import WebhookError
from mediaserver.events.post import signature
from mediaserver.events.sender import Webhooks, WebhookSettings

__all__ = ["WebhookError", "WebhookSettings", "Webhooks", "signature"]
