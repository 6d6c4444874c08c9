"""The annotation of handler parameters that Litestar fills with a use case."""

from typing import TypeAlias, TypeVar

from litestar.di import NamedDependency
from litestar.params import SkipValidation

T = TypeVar("T")

Injected: TypeAlias = NamedDependency[SkipValidation[T]]
"""The dependency that is registered under the parameter's name.

`interfaces.web.app` registers each field of `UseCases` and `webhook_dependencies`; routers and
controllers register others, such as the session. Litestar does not validate the dependency:
validation would cost each request time, and would fail for ports, which are protocols.
"""
