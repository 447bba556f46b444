"""Somebody else's web site: pages of another origin, which embed the widget."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Site:
    """Serves the pages that a test puts there. Use as a context manager."""

    def __init__(self, switchboard: str) -> None:
        self._switchboard = switchboard
        self._pages: dict[str, tuple[str, str]] = {}
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                html, policy = pages.get(self.path, ("", ""))
                body = html.encode()
                self.send_response(200 if html else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Content-Length", str(len(body)))
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Nothing on standard error."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> "Site":
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def embed(
        self,
        chatbot: str,
        path: str = "/",
        *,
        lang: str = "en",
        head: str = "",
        policy: str = "",
        **options: str,
    ) -> str:
        """Put a page there that embeds this chatbot, with these data- attributes; its address."""
        data = " ".join(f'data-{name}="{value}"' for name, value in options.items())
        script = (
            f'<script src="{self._switchboard}/widget.js" data-chatbot="{chatbot}" {data} defer></script>'
        )
        paragraphs = "<p>We sell kettles, and have done so since 1911.</p>" * 30
        self._pages[path] = (
            f'<!DOCTYPE html><html lang="{lang}"><head><meta charset="utf-8">'
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>Shop</title>{head}{script}'
            f'</head><body><main><h1>Kettles</h1><p><a href="#more">More</a></p>{paragraphs}</main></body></html>',
            policy,
        )
        return self.url + path
