"""What each worker of the server runs."""

import hmac
from functools import partial

from litestar import Litestar

from interfaces.web.app import create_app
from leadport import logs
from leadport.container import Container
from leadport.demo import make_demo
from leadport.settings import Settings


def create() -> Litestar:
    """Build the application from the settings of the process."""
    container = Container()
    settings: Settings = container.settings()
    logs.set_up(is_production=settings.is_production)
    use_cases = container.use_cases()
    open_doors = partial(
        create_app,
        use_cases,
        public_url=settings.public_url,
        language=settings.language,
        # One that every worker knows, without a setting of its own.
        form_secret=hmac.digest(settings.seal_keys[0].secret, b"forms", "sha256").hex(),
    )
    if settings.storage == "memory":
        # Nobody else can put anything into this process's memory.
        return open_doors(on_startup=[partial(make_demo, use_cases, settings)])
    return open_doors(on_shutdown=[engine.dispose for engine in container.engines()])
