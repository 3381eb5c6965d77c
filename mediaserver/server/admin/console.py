"""The console: pages for a browser at `/` of the admin port. They are files that are read once, at the start.

The pages hold no data, so they need no token. All that they show comes from the API, for which the user types a
token. The table of files is fixed, so that no request leads to another file.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

from aiohttp import web

FOLDER = Path(__file__).parent / "console"
_HOME = "index.html"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_FILES = (
    _HOME,
    "app.js",
    "console.css",
    "icon.svg",
    "lib/api.js",
    "lib/caller.js",
    "lib/dom.js",
    "lib/events.js",
    "lib/format.js",
    "lib/keypad.js",
    "lib/levels.js",
    "lib/microphone.js",
    "lib/microphone_worklet.js",
    "lib/outcome.js",
    "lib/overview.js",
    "lib/player.js",
    "lib/poll.js",
    "lib/problems.js",
    "lib/prometheus.js",
    "lib/socket.js",
    "lib/table.js",
    "pages/call_panel.js",
    "pages/controls.js",
    "pages/ended.js",
    "pages/health.js",
    "pages/listen_panel.js",
    "pages/live.js",
    "pages/menu_graph.js",
    "pages/paths.js",
    "pages/prompt_changes.js",
    "pages/prompt_folders.js",
    "pages/prompt_uploads.js",
    "pages/prompts.js",
    "pages/stream.js",
    "pages/stream_settings.js",
    "pages/strip.js",
    "pages/timeline.js",
    "pages/waveform.js",
)
# The files by the paths of their URLs. The pages name each other by relative URLs, so that a proxy may put all of
# the admin port under a prefix.
PATHS = {"/" if name == _HOME else f"/console/{name}": name for name in _FILES}
HEADERS = {
    # Nothing is loaded from elsewhere, and no text that comes from a caller can become a script or a style.
    # 'self' in connect-src includes WebSockets of the same host (Content Security Policy Level 3, 6.7.2.8).
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "media-src 'self'",
            "img-src 'self' data:",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class _Page(NamedTuple):
    body: bytes
    headers: dict[str, str]


def add_pages(router: web.UrlDispatcher) -> None:
    """Have a router answer all paths of the console."""
    pages = {path: _read(name) for path, name in PATHS.items()}

    async def serve(request: web.Request) -> web.Response:
        page = pages[request.path]
        if request.headers.get("If-None-Match") == page.headers["ETag"]:
            return web.Response(status=304, headers=page.headers)
        return web.Response(body=page.body, headers=page.headers)

    for path in pages:
        router.add_get(path, serve)


def _read(name: str) -> _Page:
    file = FOLDER / name
    body = file.read_bytes()
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return _Page(body, {"Content-Type": f"{_TYPES[file.suffix]}; charset=utf-8", "ETag": tag, **HEADERS})
