"""A stand-in of an organisation's accounts (OpenID Connect): whoever is sent there comes back as the person set."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT = "studio"


class Accounts(ThreadingHTTPServer):
    """The service.

    Attributes:
        person: the claims about whoever signs in next.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.person: dict[str, Any] = {}
        self.nonces: dict[str, str] = {}

    def secrets_toml(self, studio: str) -> str:
        """What Streamlit's secrets of a studio at this address hold."""
        values = {
            "redirect_uri": f"{studio}/oauth2callback",
            "cookie_secret": secrets.token_hex(32),
            "client_id": CLIENT,
            "client_secret": secrets.token_hex(16),
            "server_metadata_url": f"{self.url}/.well-known/openid-configuration",
        }
        return "\n".join(["[auth]", *(f"{name} = {json.dumps(value)}" for name, value in values.items())]) + "\n"

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def token(self, code: str) -> dict[str, Any]:
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 3600, "nonce": self.nonces[code]}
        signed = jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, **self.person}, self.key)
        return {"access_token": secrets.token_hex(8), "token_type": "Bearer", "expires_in": 3600, "id_token": signed}


class _Handler(BaseHTTPRequestHandler):
    server: Accounts

    def do_GET(self) -> None:
        path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        if path == "/authorize":
            code = secrets.token_hex(8)
            self.server.nonces[code] = query["nonce"][0]
            answer = urlencode({"code": code, "state": query["state"][0]})
            self.send_response(302)
            self.send_header("Location", f"{query['redirect_uri'][0]}?{answer}")
            self.end_headers()
        elif path == "/keys":
            self._send({"keys": [self.server.key.as_dict(private=False)]})
        else:
            self._send(self.server.metadata())

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send(self.server.token(form["code"][0]))

    def _send(self, value: dict[str, Any]) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def accounts() -> Iterator[Accounts]:
    """The service, while it is needed."""
    with Accounts() as service:
        thread = threading.Thread(target=service.serve_forever)
        thread.start()
        yield service
        service.shutdown()
        thread.join(10)
