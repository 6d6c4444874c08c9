"""What each worker of the server runs."""

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
    if settings.storage == "memory":
        # Nobody else can put anything into this process's memory.
        return create_app(use_cases, on_startup=[partial(make_demo, use_cases, settings)])
    return create_app(use_cases, on_shutdown=[engine.dispose for engine in container.engines()])
