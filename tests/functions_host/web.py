"""The HTTP functions, on loopback below /api. The key of an app's functions is KEY."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from tests.functions_host.app import Function, FunctionApp

KEY = "the-function-key"


def serve(app: FunctionApp) -> str:
    """Serves in the background; returns the address."""
    by_route = {
        f"/api/{function.bindings[0].get('route') or function.name}": function
        for function in app.functions.values()
        if function.trigger == "httpTrigger"
    }
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(app, by_route))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def _handler(app: FunctionApp, by_route: dict[str, Function]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self._answer("POST")

        def log_message(self, format: str, *arguments: object) -> None:
            """Standard output is for lines of JSON."""

        def _answer(self, method: str) -> None:
            split = urlsplit(self.path)
            parameters = dict(parse_qsl(split.query))
            function = by_route.get(split.path)
            if function is None or method not in function.bindings[0]["methods"]:
                self._send(404, b"", "text/plain")
                return
            given = parameters.pop("code", self.headers.get("x-functions-key"))
            if function.bindings[0]["authLevel"] != "anonymous" and given != KEY:
                self._send(401, b"", "text/plain")
                return
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = func.HttpRequest(
                method=method, url=self.path, headers=dict(self.headers), params=parameters, body=body
            )
            response = app.invoke(function, request)
            if response is None:
                self._send(500, b"", "text/plain")
            else:
                self._send(response.status_code, response.get_body(), response.mimetype)

        def _send(self, status: int, body: bytes, kind: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    return Handler
