"""The web application: its doors, and the use cases behind them."""

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
from interfaces.web.errors import HANDLERS
from interfaces.web.health import HealthController
from interfaces.web.metrics import metrics
from interfaces.web.pages import pages_router, static_router
from interfaces.web.rendering import template_config
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
    """Open the doors; each handler names the use cases it needs.

    `public_url` is where Meta and people find the service, `form_secret` signs the tokens that
    forms carry: every worker needs the same. `parser` is the one that the use cases have, so that
    a delivery is parsed the same way at once, out of the spool and on a retry.
    """
    return Litestar(
        route_handlers=[
            WebhookController,
            ConnectionsController,
            HealthController,
            metrics,
            pages_router(public_url, form_secret),
            static_router(),
        ],
        template_config=template_config(public_url),
        dependencies={
            "webhook_dependencies": _provide(
                WebhookDependencies(
                    webhook_verifier, use_cases.receive_delivery, parser, use_cases.clock
                )
            ),
            **{f.name: _provide(getattr(use_cases, f.name)) for f in fields(use_cases)},
        },
        exception_handlers=HANDLERS,  # type: ignore[arg-type]  # handlers of narrower errors
        on_startup=list(on_startup),
        on_shutdown=list(on_shutdown),
        openapi_config=OpenAPIConfig(
            title="Leadport",
            version="1",
            path="/schema",
            # As JSON alone: the viewers would load scripts from somebody else's server.
            render_plugins=[JsonRenderPlugin()],
            components=Components(
                security_schemes={
                    "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT")
                }
            ),
        ),
        logging_config=None,  # the process sets logging up
    )


def _provide(given: object) -> Provide:
    return Provide(lambda: given, sync_to_thread=False)
