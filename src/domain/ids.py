"""The id factory of the application. Ids of entities are UUIDs of version 7, made before the write."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

NewId: TypeAlias = Callable[[], UUID]
"""Makes a new id. Ids sort by the time of their making."""
