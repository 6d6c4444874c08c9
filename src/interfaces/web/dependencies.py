"""The annotation of handler parameters that Litestar fills with a use case."""

from typing import TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")

Injected: TypeAlias = NamedDependency[SkipValidation[T]]
"""The use case, query or port that has the parameter's name in `UseCases`.

Litestar does not validate it: validation would cost each request time, and would fail for ports,
which are protocols.
"""
