"""What each worker of the server runs."""

import asyncio
import gc
import hmac
import logging
import random
from dataclasses import dataclass
from functools import partial

from litestar import Litestar

from application.recovery.run_maintenance import RunMaintenance
from interfaces.web.app import create_app
from leadport import logs
from leadport.container import Container
from leadport.demo import make_demo
from leadport.settings import Settings

log = logging.getLogger(__name__)


def create() -> Litestar:
    """Build the application from the settings of the process."""
    container = Container()
    settings: Settings = container.settings()
    logs.set_up(is_production=settings.is_production)
    use_cases = container.use_cases()
    build_app = partial(
        create_app,
        use_cases,
        public_url=settings.public_url,
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        # One that every worker knows, without a setting of its own.
        form_secret=hmac.digest(settings.encryption_keys[0].secret, b"forms", "sha256").hex(),
    )
    run_maintenance = MaintenanceLoop(use_cases.run_maintenance)
    _collect_garbage_less_often()
    if settings.storage == "memory":
        # Nobody else can put anything into this process's memory.
        demo = partial(make_demo, use_cases, settings)
        return build_app(
            on_startup=[demo, run_maintenance.start], on_shutdown=[run_maintenance.stop]
        )
    disposals = [engine.dispose for engine in container.engines()]
    return build_app(
        on_startup=[run_maintenance.start], on_shutdown=[run_maintenance.stop, *disposals]
    )


def _collect_garbage_less_often() -> None:
    """What is there now stays, so nobody need look at it again; and little garbage has cycles.

    A look at everything took 0.2 s, in which no delivery was answered.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)


@dataclass(slots=True)
class MaintenanceLoop:
    """The upkeep about once a second, while the worker serves."""

    run_maintenance: RunMaintenance
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """End, wherever it is: it can be interrupted anywhere."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=1)

    async def _repeat(self) -> None:
        while True:
            # Not in step with the other workers.
            await asyncio.sleep(random.uniform(0.7, 1.3))  # noqa: S311 - no secret
            try:
                await self.run_maintenance()
            except Exception:
                log.exception("upkeep_failed")
