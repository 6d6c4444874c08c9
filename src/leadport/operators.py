"""The container as operators' commands have it: with a pool that acts as the database's owner."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from leadport.container import Container


@asynccontextmanager
async def open_operator_container() -> AsyncIterator[Container]:
    """Make a container in which transactions of an Operator are possible; close its pools."""
    container = Container()
    container.pools.override(container.operator_pools)
    try:
        yield container
    finally:
        for pool in container.pools().values():
            await pool.dispose()
