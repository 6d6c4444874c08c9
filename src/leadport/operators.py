"""Opens the container for operators' commands, with a pool that acts as the database's owner."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from leadport.container import Container


@asynccontextmanager
async def open_operator_container() -> AsyncIterator[Container]:
    """Yield a container whose transactions may have the actor `Operator`; close its pools at the end."""
    container = Container()
    container.pools.override(container.operator_pools)
    try:
        yield container
    finally:
        for pool in container.pools().values():
            await pool.dispose()
