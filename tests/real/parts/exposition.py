"""A page of metrics that a test makes up, for a real Prometheus to scrape."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@contextlib.contextmanager
def exposition(page: Callable[[str | None], tuple[bytes, str]]) -> Iterator[str]:
    """Serves the body and content type that `page` gives for the Accept header of each scrape; gives its address."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body, content_type = page(self.headers.get("accept"))
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
