"""Property tests of the API against its OpenAPI description, with and without a token."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from litestar import Litestar
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from application.use_cases import UseCases
from interfaces.web.app import create_app
from leadport.container import Container
from leadport.settings import Settings

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.fixture(scope="module")
def container(tmp_path_factory: pytest.TempPathFactory) -> Container:
    data_dir = str(tmp_path_factory.mktemp("data"))
    container = Container()
    container.settings.override(Settings.read({"STORAGE": "memory", "LEADPORT_DATA_DIR": data_dir}))
    return container


@pytest.fixture(scope="module")
def app(container: Container) -> Litestar:
    return create_app(
        container.use_cases(),
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        public_url="http://testserver.local",
        form_secret="form secret",
    )


@pytest.fixture(scope="module")
def api(app: Litestar) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_asgi("/schema/openapi.json", app)


@pytest.fixture(scope="module")
def headers(container: Container) -> Mapping[str, Mapping[str, str]]:
    async def issue_owner_token() -> str:
        use_cases: UseCases = container.use_cases()
        await use_cases.create_organization("Shop", "ana@shop.example")
        return await use_cases.issue_token("ana@shop.example")

    return {
        "owner": {"Authorization": f"Bearer {asyncio.run(issue_owner_token())}"},
        "anonymous": {},
    }


@pytest.mark.parametrize("who", ["owner", "anonymous"])
def test_every_response_conforms_to_the_description(
    api: schemathesis.schemas.BaseSchema, headers: Mapping[str, Mapping[str, str]], who: str
) -> None:
    for operation in api.get_all_operations():
        assert isinstance(operation, Ok)

        @given(case=operation.ok().as_strategy())
        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        def check_response(case: schemathesis.Case[Any]) -> None:
            case.call_and_validate(headers=dict(headers[who]), checks=CHECKS)

        check_response()
