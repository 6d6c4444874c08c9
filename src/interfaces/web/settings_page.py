"""The settings page, on which owners and admins manage the connections of an organisation.

It works without JavaScript: a form is answered with a redirect to the page, or with the page and
the errors.
"""

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery

from application.connections.remove_connection import RemoveConnection
from application.connections.upsert_connection import UpsertConnection
from domain.connection import Connection
from domain.errors import FieldError, InvalidInput, NumberConnectedElsewhere
from interfaces.web.connection_form import ConnectionForm
from interfaces.web.dependencies import Injected
from interfaces.web.errors import AnyRequest
from interfaces.web.rendering import redirect, render_page
from interfaces.web.settings_context import SettingsContext, load_settings_context


class RefusedConnection(NamedTuple):
    """A connection that could not be enabled, and the reason, a text of the domain's errors."""

    connection: Connection
    reason: str


class SettingsPage(Controller):
    """`/settings/channels?org_id=`, and the targets of its forms."""

    path = "/settings/channels"
    dependencies: ClassVar[Mapping[str, Provide]] = {  # type: ignore[misc]
        "settings_context": Provide(load_settings_context)
    }

    @get()
    async def show(
        self,
        request: AnyRequest,
        settings_context: Injected[SettingsContext],
        edit: FromQuery[UUID | None] = None,
    ) -> Response[Any]:
        """Show the connections and a form: to change the connection `edit`, or to add one."""
        form = (
            ConnectionForm.from_connection(settings_context.get_connection(edit))
            if edit
            else ConnectionForm()
        )
        return _render_settings(request, settings_context, form)

    @post()
    async def save(
        self,
        request: AnyRequest,
        settings_context: Injected[SettingsContext],
        upsert_connection: Injected[UpsertConnection],
        edit: FromQuery[UUID | None] = None,
    ) -> Response[Any]:
        """Add or change a connection."""
        form = await ConnectionForm.from_request(
            request, settings_context.get_connection(edit) if edit else None
        )
        try:
            _, is_new = await upsert_connection(
                settings_context.organization.id,
                form.validate(),
                form.external_id,
                actor=settings_context.actor,
                **form.to_update(),
            )
        except InvalidInput as error:
            return _render_settings(request, settings_context, form.with_errors(error.errors), 422)
        except NumberConnectedElsewhere as error:
            field = "is_enabled" if form.edited_connection else "external_id"
            form = form.with_errors([FieldError(field, str(error))])
            return _render_settings(request, settings_context, form, 409)
        return redirect(settings_context.path, notice="added" if is_new else "changed")

    @post("/{id:uuid}/enable")
    async def enable(
        self,
        request: AnyRequest,
        settings_context: Injected[SettingsContext],
        upsert_connection: Injected[UpsertConnection],
        id: FromPath[UUID],
    ) -> Response[Any]:
        """Enable a connection."""
        connection = settings_context.get_connection(id)
        try:
            await upsert_connection(
                settings_context.organization.id,
                *connection.address,
                actor=settings_context.actor,
                is_enabled=True,
            )
        except NumberConnectedElsewhere as error:
            refused = RefusedConnection(connection, str(error))
            return _render_settings(request, settings_context, ConnectionForm(), 409, refused)
        return redirect(settings_context.path, notice="enabled")

    @post("/{id:uuid}/disable")
    async def disable(
        self,
        settings_context: Injected[SettingsContext],
        upsert_connection: Injected[UpsertConnection],
        id: FromPath[UUID],
    ) -> Response[Any]:
        """Disable a connection; its messages are skipped from then on."""
        address = settings_context.get_connection(id).address
        await upsert_connection(
            settings_context.organization.id,
            *address,
            actor=settings_context.actor,
            is_enabled=False,
        )
        return redirect(settings_context.path, notice="disabled")

    @get(["/{id:uuid}/enable", "/{id:uuid}/disable"])
    async def redirect_reload(self, settings_context: Injected[SettingsContext]) -> Response[Any]:
        """Redirect to the page when a browser reloads the response to one of these forms."""
        return redirect(settings_context.path)

    @get("/{id:uuid}/remove")
    async def confirm_removal(
        self, request: AnyRequest, settings_context: Injected[SettingsContext], id: FromPath[UUID]
    ) -> Response[Any]:
        """Show what is removed and what stays, and ask for confirmation."""
        connection = settings_context.get_connection(id)
        return render_page(
            request,
            "remove.html.j2",
            {"settings_context": settings_context, "connection": connection},
        )

    @post("/{id:uuid}/remove")
    async def remove(
        self,
        settings_context: Injected[SettingsContext],
        remove_connection: Injected[RemoveConnection],
        id: FromPath[UUID],
    ) -> Response[Any]:
        """Remove a connection."""
        await remove_connection(
            settings_context.get_connection(id).id, actor=settings_context.actor
        )
        return redirect(settings_context.path, notice="removed")


def _render_settings(
    request: AnyRequest,
    settings_context: SettingsContext,
    form: ConnectionForm,
    status_code: int = 200,
    refused_connection: RefusedConnection | None = None,
) -> Response[Any]:
    """Return the page. A refused connection is shown with the reason."""
    context = {
        "settings_context": settings_context,
        "form": form,
        "refused_connection": refused_connection,
    }
    return render_page(request, "settings.html.j2", context, status_code)
