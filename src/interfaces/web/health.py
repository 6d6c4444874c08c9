"""What operators and load balancers ask."""

from typing import Any

from litestar import Controller, Response, get

from application.errors import StorageRefused, StorageUnavailable
from application.queries import CheckStorage
from interfaces.web.dependencies import Injected
from interfaces.web.errors import describe_problem, make_problem


class HealthController(Controller):
    """Liveness and readiness."""

    tags = ("Operators",)

    @get(
        "/healthz",
        sync_to_thread=False,
        operation_id="HealthzAlive",
        summary="Is the process alive?",
    )
    def check_liveness(self) -> dict[str, str]:
        """Answer as long as the process can; it needs no database."""
        return {"status": "ok"}

    @get(
        "/readyz",
        operation_id="ReadyzReady",
        summary="Can messages be stored?",
        responses={503: describe_problem("Not now; the detail says why.")},
    )
    async def check_readiness(self, check_storage: Injected[CheckStorage]) -> Response[Any]:
        """Answer 200 where the storage answers and has today's schema, else 503 and the reason."""
        try:
            await check_storage()
        except (StorageUnavailable, StorageRefused) as error:
            return make_problem(503, str(error))
        return Response({"status": "ok"})
