"""Tokens of the group member: one request per token's life, and a sentence when there is none."""

from __future__ import annotations

import json
import threading
from base64 import b64decode
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from engine.broker.oauth import ClientCredentialsTokens, NoToken
from engine.broker.security import faust_credentials


class Endpoint(HTTPServer):
    """A token endpoint that counts; `answer` is what it says next."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: object = {"access_token": "t", "expires_in": 300}
        self.asked: list[tuple[str, str]] = []

    @property
    def settings(self) -> dict[str, str]:
        return {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "OAUTHBEARER",
            "sasl.oauthbearer.method": "oidc",
            "sasl.oauthbearer.token.endpoint.url": f"http://127.0.0.1:{self.server_port}/token",
            "sasl.oauthbearer.client.id": "payments",
            "sasl.oauthbearer.client.secret": "s3cret",
            "sasl.oauthbearer.scope": "kafka",
        }


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.asked.append((self.headers["Authorization"], body))
        content = json.dumps(self.server.answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    found = Endpoint()
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    yield found
    found.shutdown()
    thread.join()
    found.server_close()


async def test_one_token_serves_until_most_of_its_life_is_over(endpoint: Endpoint) -> None:
    tokens = ClientCredentialsTokens(endpoint.settings)
    assert [await tokens.token(), await tokens.token()] == ["t", "t"]
    [(authorization, body)] = endpoint.asked
    assert b64decode(authorization.removeprefix("Basic ")) == b"payments:s3cret"
    assert body == "grant_type=client_credentials&scope=kafka"


async def test_a_short_token_is_renewed(endpoint: Endpoint) -> None:
    endpoint.answer = {"access_token": "short", "expires_in": 0}
    tokens = ClientCredentialsTokens(endpoint.settings)
    await tokens.token()
    await tokens.token()
    assert len(endpoint.asked) == 2


@pytest.mark.parametrize("answer", [{"error": "invalid_client"}, [], {"access_token": "t"}])
async def test_an_answer_without_a_token_is_a_sentence(endpoint: Endpoint, answer: object) -> None:
    endpoint.answer = answer
    with pytest.raises(NoToken, match="gave no token") as caught:
        await ClientCredentialsTokens(endpoint.settings).token()
    assert "s3cret" not in str(caught.value)


def test_the_group_member_gets_the_provider(endpoint: Endpoint) -> None:
    member = credentials_to_aiokafka_auth(faust_credentials(endpoint.settings))
    assert (member["security_protocol"], member["sasl_mechanism"]) == ("SASL_SSL", "OAUTHBEARER")
    assert isinstance(member["sasl_oauth_token_provider"], ClientCredentialsTokens)
    with pytest.raises(ValueError, match=r"client\.secret must be set"):
        faust_credentials(endpoint.settings | {"sasl.oauthbearer.client.secret": ""})
