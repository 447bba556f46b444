"""Servers on the loopback that the doctor asks: one that answers as told, and one that lists AI models."""

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Answering:
    """Answers each (method, path) as told, 404 to everything else; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, dict[str, str], bytes]] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.url = ""

    def on(self, what: str, status: int = 200, body: Any = b"", **headers: str) -> None:
        """`what`: "GET /path". A body that is no bytes goes out as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.answers[what] = (status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)

    def answer(self, what: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        return self.answers.get(what, (404, {}, b"nothing here"))


class ModelServer(Answering):
    """Lists models to whoever has the key: in OpenAI's way, and in Anthropic's where that header comes."""

    def __init__(self, key: str, models: list[str]) -> None:
        super().__init__()
        self.key, self.models = key, models

    def answer(self, what: str, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        if not what.startswith("GET /v1/models"):
            return super().answer(what, headers)
        given = {name.lower(): value for name, value in headers.items()}
        if "anthropic-version" in given:
            is_right = given.get("x-api-key") == self.key
        else:
            is_right = given.get("authorization", "") == (f"Bearer {self.key}" if self.key else "")
        if not is_right:
            return 401, {}, json.dumps({"error": {"code": "invalid_api_key"}}).encode()
        listed = {"object": "list", "data": [{"id": model, "object": "model"} for model in self.models]}
        return 200, {}, json.dumps(listed).encode()


@contextmanager
def served(answering: Answering, tls: ssl.SSLContext | None = None) -> Iterator[Answering]:
    """`answering` behind a real HTTP server; its `url` is set."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            what, headers = f"{self.command} {self.path}", dict(self.headers.items())
            answering.asked.append((what, headers))
            status, more, body = answering.answer(what, headers)
            self.send_response(status)
            for name, value in more.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def date_time_string(self, timestamp: float | None = None) -> str:
            told = answering.answers.get("Date")
            return told[2].decode() if told else super().date_time_string(timestamp)

        def log_message(self, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    answering.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield answering
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def certificate(directory: Path, *, days: float) -> Path:
    """A file with key and certificate for 127.0.0.1 that holds for this many days more."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=30))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = directory / "certificate.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path
