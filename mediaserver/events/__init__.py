"""Events of streams, and the webhooks that carry them to the operator's own backend as JSON over HTTP.

The modules `kinds` and `payloads` list all events. The package knows streams only by their ids.
"""

from mediaserver.errors import WebhookError
from mediaserver.events.sender import Webhooks, WebhookSettings
from mediaserver.events.webhook_client import signature

__all__ = ["WebhookError", "WebhookSettings", "Webhooks", "signature"]
