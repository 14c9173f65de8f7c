"""A server whose answers the clients' programs ask for: /status/404 with this status, /length/text with this length."""

from __future__ import annotations

import http.server
import threading

from recorded import seen


class _Handler(http.server.BaseHTTPRequestHandler):
    def _answer(self) -> None:
        seen.append([self.command, self.path, sorted(name.lower() for name in self.headers)])
        self.rfile.read(int(self.headers.get("content-length", 0)))
        before, _, last = self.path.partition("?")[0].rpartition("/")
        code = int(last or 200) if before == "/status" else 200
        self.send_response(code)
        if code == 302:
            self.send_header("location", "/status/204")
        body = b"" if code == 204 else b"ok"
        self.send_header("content-length", last if before == "/length" else str(len(body)))
        # What a test has sent without its length is still to be read.
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_BREW = do_QUERY = do_get = do_Post = _answer

    def log_message(self, *_: object) -> None:
        pass


class _OldHandler(_Handler):
    protocol_version = "HTTP/1.0"


class _NewHandler(_Handler):
    protocol_version = "HTTP/1.1"


def serve(by_old_protocol: bool) -> int:
    """Serves until the process ends. Returns the port."""
    handler = _OldHandler if by_old_protocol else _NewHandler
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port
