"""JSON over HTTP to the operator's own backend."""

from mediaserver.errors import WebhookError
from mediaserver.webhooks.post import signature
from mediaserver.webhooks.sender import Webhooks, WebhookSettings

__all__ = ["WebhookError", "WebhookSettings", "Webhooks", "signature"]
