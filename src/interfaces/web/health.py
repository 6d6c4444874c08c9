"""The health endpoints for operators and load balancers: `/healthz` and `/readyz`."""

from typing import Any

from litestar import Controller, Response, get

from application.errors import StorageRefused, StorageUnavailable
from application.queries import CheckStorage
from interfaces.web.dependencies import Injected
from interfaces.web.errors import describe_problem, make_problem


class HealthController(Controller):
    """`/healthz` reports that the process lives, `/readyz` whether messages can be stored."""

    tags = ("Operators",)

    @get(
        "/healthz",
        sync_to_thread=False,
        operation_id="HealthzAlive",
        summary="Is the process alive?",
    )
    def check_liveness(self) -> dict[str, str]:
        """Answer 200 without any query to the database."""
        return {"status": "ok"}

    @get(
        "/readyz",
        operation_id="ReadyzReady",
        summary="Can messages be stored?",
        responses={
            503: describe_problem("Messages cannot be stored now; `detail` has the reason.")
        },
    )
    async def check_readiness(self, check_storage: Injected[CheckStorage]) -> Response[Any]:
        """Answer 200 if the storage answers and has this version's schema, else 503 with the reason."""
        try:
            await check_storage()
        except (StorageUnavailable, StorageRefused) as error:
            return make_problem(503, str(error))
        return Response({"status": "ok"})
