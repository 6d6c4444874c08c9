"""How a handler asks for a use case."""

from typing import TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")

Injected: TypeAlias = NamedDependency[SkipValidation[T]]
"""What stands in `UseCases` under the parameter's name. It is no input, so it is not validated:
that would cost each request time, and fail for ports, which are protocols."""
