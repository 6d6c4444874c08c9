"""Builds the Litestar application: routes, use cases as dependencies, and error handlers."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import fields
from typing import TypeAlias

from litestar import Litestar
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, SecurityScheme

from application.use_cases import UseCases
from interfaces.meta.delivery import MetaDeliveryParser
from interfaces.meta.signature import WebhookVerifier
from interfaces.web.connections_api import ConnectionsController
from interfaces.web.errors import EXCEPTION_HANDLERS
from interfaces.web.health import HealthController
from interfaces.web.metrics import render_metrics
from interfaces.web.pages import make_pages_router, make_static_router
from interfaces.web.rendering import make_template_config
from interfaces.web.webhook import WebhookController, WebhookDependencies

Hooks: TypeAlias = Sequence[Callable[[], Awaitable[None]]]


def create_app(
    use_cases: UseCases,
    *,
    webhook_verifier: WebhookVerifier,
    parser: MetaDeliveryParser,
    public_url: str,
    form_secret: str,
    on_startup: Hooks = (),
    on_shutdown: Hooks = (),
) -> Litestar:
    """Build the application. A handler gets the use case that has the name of its parameter.

    `public_url` is the base URL of the service for Meta and for browsers. `form_secret` signs the
    CSRF tokens in forms; every worker needs the same secret. `parser` must be the parser that the
    use cases have: a delivery is then parsed in the same way when it arrives, when it is read from
    the spool, and on a retry.
    """
    return Litestar(
        route_handlers=[
            WebhookController,
            ConnectionsController,
            HealthController,
            render_metrics,
            make_pages_router(public_url, form_secret),
            make_static_router(),
        ],
        template_config=make_template_config(public_url),
        dependencies={
            "webhook_dependencies": _provide(
                WebhookDependencies(
                    webhook_verifier, use_cases.receive_delivery, parser, use_cases.clock
                )
            ),
            **{field.name: _provide(getattr(use_cases, field.name)) for field in fields(use_cases)},
        },
        exception_handlers=EXCEPTION_HANDLERS,
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        openapi_config=OpenAPIConfig(
            title="Leadport",
            version="1",
            path="/schema",
            # Only as JSON: the viewers would load scripts from servers of third parties.
            render_plugins=[JsonRenderPlugin()],
            components=Components(
                security_schemes={
                    "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
                }
            ),
        ),
        logging_config=None,  # `leadport.logs` configures logging
    )


def _provide(dependency: object) -> Provide:
    return Provide(lambda: dependency, sync_to_thread=False)
