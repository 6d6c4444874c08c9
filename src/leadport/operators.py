"""The use cases as an operator's command has them: acting as the owner of the database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dependency_injector.providers import Object

from leadport.container import Container


@asynccontextmanager
async def open_operator_container() -> AsyncIterator[Container]:
    """Make a container without a role, and close its pools."""
    container = Container()
    container.role.override(Object(None))
    try:
        yield container
    finally:
        for engine in container.engines():
            await engine.dispose()
