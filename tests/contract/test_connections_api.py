"""Contract tests of the connections API, with each storage."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import jwt
import pytest
from dependency_injector.providers import Object
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from domain.organization import Role
from infrastructure.clock import SystemClock
from infrastructure.session_tokens import JwtSessionTokens
from leadport.container import Container
from tests.support.app import run_in_app
from tests.support.builders import SHOP_NUMBER, new_id

pytestmark = pytest.mark.slow

API_PATH = "/api/integrations/meta/connections"
SECRET_TOKEN = "EAAGcanary0123456789"


@dataclass
class ApiClient:
    """A client of the API with the ids of two organisations and a token for each of their people."""

    client: TestClient[Litestar]
    shop: UUID
    other: UUID
    tokens: Mapping[str, str]

    def call(self, method: str, who: str, path: str = "", **request: Any) -> tuple[int, Any]:
        """Send a request; return the status and JSON of the response. An unknown `who` has no token."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        response = self.client.request(method, API_PATH + path, headers=headers, **request)
        if response.status_code >= 400:
            assert response.headers["content-type"] == "application/problem+json"
            assert response.json()["status"] == response.status_code
        return response.status_code, response.json() if response.content else None

    def save(self, who: str = "owner", **body: Any) -> tuple[int, Any]:
        fields = {"org_id": str(self.shop), "channel": "whatsapp", "external_id": SHOP_NUMBER}
        return self.call("POST", who, json=fields | body)

    def list_connections(self, who: str = "owner") -> tuple[int, Any]:
        return self.call("GET", who, params={"org_id": str(self.shop)})


@pytest.fixture
def api(client: TestClient[Litestar], operator_container: Container) -> ApiClient:
    async def create_organizations() -> ApiClient:
        operator_use_cases: UseCases = operator_container.use_cases()
        shop = await operator_use_cases.create_organization("Shop", "owner@shop.example")
        other = await operator_use_cases.create_organization("Other", "stranger@other.example")
        await operator_use_cases.add_member(shop.org_id, "admin@shop.example", Role.ADMIN)
        await operator_use_cases.add_member(shop.org_id, "member@shop.example", Role.MEMBER)
        tokens = {
            who: await operator_use_cases.issue_token(f"{who}@{org}.example")
            for who, org in {
                "owner": "shop",
                "admin": "shop",
                "member": "shop",
                "stranger": "other",
            }.items()
        }
        return ApiClient(client, shop.org_id, other.org_id, tokens)

    return run_in_app(client, create_organizations)


@pytest.fixture
def unreachable_provider(container: Container) -> None:
    """An identity provider whose key set cannot be fetched; it must be requested before `client`."""
    tokens = JwtSessionTokens.create(SystemClock(), None, "http://127.0.0.1:1/jwks.json")
    container.tokens.override(Object(tokens))


def test_connection_is_added_changed_listed_and_removed(api: ApiClient) -> None:
    status, created = api.save(display_name="Ventas", access_token=SECRET_TOKEN)
    assert status == 201
    assert created.keys() == {
        *("id", "org_id", "provider", "channel", "external_id", "display_name", "is_enabled"),
        *("has_access_token", "access_token_hint", "last_message_at", "created_at", "updated_at"),
    }
    assert created["org_id"] == str(api.shop)
    assert (created["provider"], created["channel"], created["external_id"]) == (
        "meta",
        "whatsapp",
        SHOP_NUMBER,
    )
    assert (created["has_access_token"], created["access_token_hint"]) == (True, "6789")

    status, changed = api.save("admin", is_enabled=False)
    assert status == 200
    assert changed == created | {"is_enabled": False, "updated_at": changed["updated_at"]}
    assert api.list_connections("admin") == (200, {"connections": [changed]})

    assert api.save(access_token=None)[1]["has_access_token"] is False
    assert api.call("DELETE", "admin", f"/{created['id']}") == (204, None)
    assert api.call("DELETE", "owner", f"/{created['id']}")[0] == 404
    assert api.list_connections() == (200, {"connections": []})


def test_access_token_is_in_no_response(api: ApiClient) -> None:
    responses = [api.save(access_token=SECRET_TOKEN), api.save(), api.list_connections()]
    responses += [api.save(access_token=SECRET_TOKEN, external_id="+1"), api.save("member")]

    assert SECRET_TOKEN not in json.dumps(responses)


@pytest.mark.parametrize("who", ["anonymous", "forged"])
def test_requests_without_a_valid_token_are_refused(api: ApiClient, who: str) -> None:
    api.tokens = {**api.tokens, "forged": api.tokens["owner"][:-4] + "AAAA"}

    assert api.list_connections(who)[0] == 401
    assert api.save(who)[0] == 401
    assert api.call("DELETE", who, f"/{new_id()}")[0] == 401


@pytest.mark.usefixtures("unreachable_provider")
def test_identity_provider_that_does_not_answer_is_503_and_named(
    client: TestClient[Litestar], caplog: pytest.LogCaptureFixture
) -> None:
    token = jwt.encode({}, "s" * 32, headers={"kid": "key of the provider"})

    response = client.get(
        API_PATH, params={"org_id": str(new_id())}, headers={"Authorization": f"Bearer {token}"}
    )

    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json()["detail"] == (
        "the identity provider's keys cannot be fetched; please try again"
    )
    assert [record.message for record in caplog.records if record.levelno == logging.ERROR] == [
        "key_set_unavailable"
    ]


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_members_and_strangers_are_refused(api: ApiClient, who: str) -> None:
    _, created = api.save()

    assert api.list_connections(who)[0] == 403
    assert api.save(who, display_name="Mine")[0] == 403
    assert api.call("DELETE", who, f"/{created['id']}")[0] == 404
    assert api.list_connections() == (200, {"connections": [created]})


def test_number_enabled_elsewhere_is_a_conflict_that_names_no_organisation(api: ApiClient) -> None:
    api.save()

    status, problem = api.save("stranger", org_id=str(api.other))

    assert status == 409
    assert not {"Shop", str(api.shop)} & set(json.dumps(problem).split('"'))
    assert api.save("stranger", org_id=str(api.other), is_enabled=False)[0] == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"external_id": "+54 9 11 5555 0001"}, "external_id"),
        ({"external_id": ""}, "external_id"),
        ({"external_id": None}, "external_id"),
        ({"display_name": "x" * 81}, "display_name"),
        ({"display_name": None}, "display_name"),
        ({"access_token": "a b c d e f g"}, "access_token"),
        ({"channel": "telegram"}, "channel"),
        ({"org_id": "1"}, "org_id"),
        ({"is_enabled": "yes"}, "is_enabled"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_wrong_field_is_named(api: ApiClient, body: dict[str, Any], field: str) -> None:
    status, problem = api.save(**body)

    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]
    assert api.list_connections() == (200, {"connections": []})


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b"{}", b'{"display_name":"\xff"}', b'{"x":' + b"[" * 100_000],
    ids=["empty", "nonsense", "list", "object", "broken UTF-8", "nested without end"],
)
def test_body_of_another_shape_is_refused(api: ApiClient, body: bytes) -> None:
    assert api.call("POST", "owner", content=body)[0] in (400, 422)


def test_list_without_an_organisation_is_refused(api: ApiClient) -> None:
    for params in ({}, {"org_id": "1"}):
        status, problem = api.call("GET", "owner", params=params)
        assert (status, [error["field"] for error in problem["errors"]]) == (422, ["org_id"])


def test_external_ids_are_trimmed(api: ApiClient) -> None:
    assert api.save(external_id=f" {SHOP_NUMBER} ")[1]["external_id"] == SHOP_NUMBER


def test_openapi_describes_every_route_and_status(client: TestClient[Litestar]) -> None:
    schema = client.get("/schema/openapi.json").json()

    paths = {path: set(operations) for path, operations in schema["paths"].items()}
    assert paths[API_PATH] == {"get", "post"}
    assert paths[f"{API_PATH}/{{connection_id}}"] == {"delete"}
    assert paths["/api/webhooks/meta"] == {"get", "post"}
    # Litestar would generate random examples.
    assert "examples" not in json.dumps(schema["components"]["schemas"]["ProblemJson"])
    responses = schema["paths"][API_PATH]["post"]["responses"]
    assert responses.keys() >= {"200", "201", "401", "403", "409", "422", "503"}
