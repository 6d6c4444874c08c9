"""The id factory of the application: every id is a UUID version 7, made before the row is written."""

from collections.abc import Callable
from typing import TypeAlias
from uuid import UUID

NewId: TypeAlias = Callable[[], UUID]
"""Makes a new id. Ids sort by the time of their making."""
