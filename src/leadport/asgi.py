"""The ASGI application of one worker process, and the maintenance that runs beside it."""

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
from leadport.container import Container
from leadport.demo import make_demo
from leadport.logs import configure_logging
from leadport.settings import Settings

log = logging.getLogger(__name__)

MAINTENANCE_INTERVAL_SECONDS = (0.7, 1.3)
"""The shortest and the longest pause between two runs."""

MAINTENANCE_STOP_TIMEOUT_SECONDS = 1

GARBAGE_COLLECTION_THRESHOLDS = (20_000, 50, 100)
"""Of the three generations, for `gc.set_threshold`."""


def create() -> Litestar:
    """Build the application; it reads the settings from the environment of its process."""
    container = Container()
    settings: Settings = container.settings()
    configure_logging(is_production=settings.is_production)
    use_cases = container.use_cases()
    build_app = partial(
        create_app,
        use_cases,
        public_url=settings.public_url,
        webhook_verifier=container.webhook_verifier(),
        parser=container.parser(),
        form_secret=_derive_form_secret(settings),
    )
    run_maintenance = MaintenanceLoop(use_cases.run_maintenance)
    _tune_garbage_collection()
    if settings.storage == "memory":
        # Memory belongs to this process, so `leadport serve` cannot create the demo beforehand.
        demo = partial(make_demo, use_cases, settings)
        return build_app(
            on_startup=[demo, run_maintenance.start], on_shutdown=[run_maintenance.stop]
        )
    disposals = [pool.dispose for pool in container.pools().values()]
    return build_app(
        on_startup=[run_maintenance.start], on_shutdown=[run_maintenance.stop, *disposals]
    )


def _derive_form_secret(settings: Settings) -> str:
    """Return the secret that signs the CSRF tokens in forms. Every worker derives the same one.

    It is derived from the newest key of TOKEN_ENCRYPTION_KEYS, and needs no setting (D36). After a
    new key is put first, a form that was opened before is refused as out of date, and nothing is
    changed. The form works once the page is loaded again.
    """
    return hmac.digest(settings.encryption_keys[0].secret, b"forms", "sha256").hex()


def _tune_garbage_collection() -> None:
    """Exclude the objects of the start-up from collections, and collect less often.

    A collection of all objects paused the worker for 0.2 s. Start-up objects live as long as the
    process, and few objects of a request are in reference cycles (D69).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GARBAGE_COLLECTION_THRESHOLDS)


@dataclass(slots=True)
class MaintenanceLoop:
    """Runs the maintenance about once a second while the worker serves."""

    run_maintenance: RunMaintenance
    _task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start the loop as a task."""
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Cancel the loop and wait for its end. Maintenance may be interrupted at any point."""
        if self._task:
            self._task.cancel()
            await asyncio.wait({self._task}, timeout=MAINTENANCE_STOP_TIMEOUT_SECONDS)

    async def _repeat(self) -> None:
        while True:
            # The random interval keeps the workers from running their maintenance in step.
            await asyncio.sleep(random.uniform(*MAINTENANCE_INTERVAL_SECONDS))  # noqa: S311 - no secret
            try:
                await self.run_maintenance()
            except Exception:
                log.exception("upkeep_failed")
