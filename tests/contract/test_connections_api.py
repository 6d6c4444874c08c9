"""The connections API, with each storage behind it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from application.use_cases import UseCases
from domain.organization import Role
from leadport.container import Container
from tests.support.app import run_in_app
from tests.support.builders import SHOP_NUMBER, new_id

API = "/api/integrations/meta/connections"
CANARY = "EAAGcanary0123456789"


@dataclass
class World:
    """Two organisations, and a token of everybody in them."""

    client: TestClient[Litestar]
    shop: UUID
    other: UUID
    tokens: Mapping[str, str]

    def call(self, method: str, who: str, path: str = "", **request: Any) -> tuple[int, Any]:
        """The answer's status and JSON."""
        headers = {"Authorization": f"Bearer {self.tokens[who]}"} if who in self.tokens else {}
        answer = self.client.request(method, API + path, headers=headers, **request)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["status"] == answer.status_code
        return answer.status_code, answer.json() if answer.content else None

    def save(self, who: str = "owner", **body: Any) -> tuple[int, Any]:
        given = {"org_id": str(self.shop), "channel": "whatsapp", "external_id": SHOP_NUMBER}
        return self.call("POST", who, json=given | body)

    def listed(self, who: str = "owner") -> tuple[int, Any]:
        return self.call("GET", who, params={"org_id": str(self.shop)})


@pytest.fixture
def world(client: TestClient[Litestar], operator_container: Container) -> World:
    async def make() -> World:
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
        return World(client, shop.org_id, other.org_id, tokens)

    return run_in_app(client, make)


def test_a_connection_is_made_changed_listed_and_removed(world: World) -> None:
    status, made = world.save(display_name="Ventas", access_token=CANARY)
    assert status == 201
    assert made.keys() == {
        *("id", "org_id", "provider", "channel", "external_id", "display_name", "is_enabled"),
        *("has_access_token", "access_token_hint", "last_message_at", "created_at", "updated_at"),
    }
    assert made["org_id"] == str(world.shop)
    assert (made["provider"], made["channel"], made["external_id"]) == (
        "meta",
        "whatsapp",
        SHOP_NUMBER,
    )
    assert (made["has_access_token"], made["access_token_hint"]) == (True, "6789")

    status, changed = world.save("admin", is_enabled=False)
    assert status == 200
    assert changed == made | {"is_enabled": False, "updated_at": changed["updated_at"]}
    assert world.listed("admin") == (200, {"connections": [changed]})

    assert world.save(access_token=None)[1]["has_access_token"] is False
    assert world.call("DELETE", "admin", f"/{made['id']}") == (204, None)
    assert world.call("DELETE", "owner", f"/{made['id']}")[0] == 404
    assert world.listed() == (200, {"connections": []})


def test_a_token_is_in_no_answer(world: World) -> None:
    answers = [world.save(access_token=CANARY), world.save(), world.listed()]
    answers += [world.save(access_token=CANARY, external_id="+1"), world.save("member")]

    assert CANARY not in json.dumps(answers)


@pytest.mark.parametrize("who", ["nobody", "forged"])
def test_who_is_not_signed_in_is_told_so(world: World, who: str) -> None:
    world.tokens = {**world.tokens, "forged": world.tokens["owner"][:-4] + "AAAA"}

    assert world.listed(who)[0] == 401
    assert world.save(who)[0] == 401
    assert world.call("DELETE", who, f"/{new_id()}")[0] == 401


@pytest.mark.parametrize("who", ["member", "stranger"])
def test_who_is_not_owner_or_admin_is_refused(world: World, who: str) -> None:
    _, made = world.save()

    assert world.listed(who)[0] == 403
    assert world.save(who, display_name="Mine")[0] == 403
    assert world.call("DELETE", who, f"/{made['id']}")[0] == 404
    assert world.listed() == (200, {"connections": [made]})


def test_a_number_in_use_elsewhere_is_a_conflict_that_names_nobody(world: World) -> None:
    world.save()

    status, problem = world.save("stranger", org_id=str(world.other))

    assert status == 409
    assert not {"Shop", str(world.shop)} & set(json.dumps(problem).split('"'))
    assert world.save("stranger", org_id=str(world.other), is_enabled=False)[0] == 201


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
def test_a_wrong_field_is_named(world: World, body: dict[str, Any], field: str) -> None:
    status, problem = world.save(**body)

    assert status == 422
    assert [error["field"] for error in problem["errors"]] == [field]
    assert world.listed() == (200, {"connections": []})


@pytest.mark.parametrize(
    "body",
    [b"", b"nonsense", b"[]", b"{}", b'{"display_name":"\xff"}', b'{"x":' + b"[" * 100_000],
    ids=["empty", "nonsense", "list", "object", "broken UTF-8", "nested without end"],
)
def test_a_body_of_another_shape_is_refused(world: World, body: bytes) -> None:
    assert world.call("POST", "owner", content=body)[0] in (400, 422)


def test_a_list_needs_an_organisation(world: World) -> None:
    for params in ({}, {"org_id": "1"}):
        status, problem = world.call("GET", "owner", params=params)
        assert (status, [error["field"] for error in problem["errors"]]) == (422, ["org_id"])


def test_ids_are_trimmed(world: World) -> None:
    assert world.save(external_id=f" {SHOP_NUMBER} ")[1]["external_id"] == SHOP_NUMBER


def test_the_doors_are_described(client: TestClient[Litestar]) -> None:
    described = client.get("/schema/openapi.json").json()

    paths = {path: set(operations) for path, operations in described["paths"].items()}
    assert paths[API] == {"get", "post"}
    assert paths[f"{API}/{{connection_id}}"] == {"delete"}
    assert paths["/api/webhooks/meta"] == {"get", "post"}
    responses = described["paths"][API]["post"]["responses"]
    assert responses.keys() >= {"200", "201", "401", "403", "409", "422", "503"}
