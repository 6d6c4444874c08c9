"""The page on which owners and admins connect their numbers and accounts.

Forms are sent, answered with a redirect, and shown again: nothing needs a script.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from litestar import Controller, Response, get, post
from litestar.di import Provide
from litestar.params import FromPath, FromQuery

from application.connections.remove_connection import RemoveConnection
from application.connections.upsert_connection import UpsertConnection
from domain.errors import FieldError, InvalidInput, NumberConnectedElsewhere
from interfaces.web.connection_form import ConnectionForm
from interfaces.web.dependencies import Given
from interfaces.web.errors import AnyRequest
from interfaces.web.rendering import page, redirect
from interfaces.web.settings_context import Desk, open_desk


class SettingsPage(Controller):
    """`/settings/channels?org_id=`, and what its forms do."""

    path = "/settings/channels"
    dependencies: ClassVar[Mapping[str, Provide]] = {"desk": Provide(open_desk)}  # type: ignore[misc]

    @get()
    async def show(
        self, request: AnyRequest, desk: Given[Desk], edit: FromQuery[UUID | None] = None
    ) -> Response[Any]:
        """Show the connections, and a form to add one, or to change the one in `edit`."""
        form = ConnectionForm.stored(desk.connection(edit)) if edit else ConnectionForm()
        return _shown(request, desk, form)

    @post()
    async def save(
        self,
        request: AnyRequest,
        desk: Given[Desk],
        upsert_connection: Given[UpsertConnection],
        edit: FromQuery[UUID | None] = None,
    ) -> Response[Any]:
        """Add or change a connection."""
        form = await ConnectionForm.typed(request, desk.connection(edit) if edit else None)
        try:
            _, is_new = await upsert_connection(
                desk.organization.id,
                form.check(),
                form.external_id,
                person=desk.person,
                **form.changes,
            )
        except InvalidInput as error:
            return _shown(request, desk, form.refused(error.errors), 422)
        except NumberConnectedElsewhere as error:
            culprit = "is_enabled" if form.changing else "external_id"
            form = form.refused([FieldError(culprit, str(error))])
            return _shown(request, desk, form, 409)
        return redirect(desk.path, notice="added" if is_new else "changed")

    @post("/{id:uuid}/enable")
    async def enable(
        self,
        request: AnyRequest,
        desk: Given[Desk],
        upsert_connection: Given[UpsertConnection],
        id: FromPath[UUID],
    ) -> Response[Any]:
        """Take messages again."""
        connection = desk.connection(id)
        try:
            await upsert_connection(
                desk.organization.id, *connection.address, person=desk.person, is_enabled=True
            )
        except NumberConnectedElsewhere as error:
            context = {"desk": desk, "form": ConnectionForm(), "refusal": (connection, str(error))}
            return page(request, "settings.html.j2", context, 409)
        return redirect(desk.path, notice="enabled")

    @post("/{id:uuid}/disable")
    async def disable(
        self, desk: Given[Desk], upsert_connection: Given[UpsertConnection], id: FromPath[UUID]
    ) -> Response[Any]:
        """Skip messages from now on."""
        address = desk.connection(id).address
        await upsert_connection(
            desk.organization.id, *address, person=desk.person, is_enabled=False
        )
        return redirect(desk.path, notice="disabled")

    @get(["/{id:uuid}/enable", "/{id:uuid}/disable"])
    async def asked_to_switch(self, desk: Given[Desk]) -> Response[Any]:
        """Whoever reloads an answer to one of those forms sees the page."""
        return redirect(desk.path)

    @get("/{id:uuid}/remove")
    async def ask_to_remove(
        self, request: AnyRequest, desk: Given[Desk], id: FromPath[UUID]
    ) -> Response[Any]:
        """Say what goes and what stays, and ask again."""
        connection = desk.connection(id)
        return page(request, "remove.html.j2", {"desk": desk, "connection": connection})

    @post("/{id:uuid}/remove")
    async def remove(
        self, desk: Given[Desk], remove_connection: Given[RemoveConnection], id: FromPath[UUID]
    ) -> Response[Any]:
        """Disconnect it."""
        await remove_connection(desk.connection(id).id, person=desk.person)
        return redirect(desk.path, notice="removed")


def _shown(
    request: AnyRequest, desk: Desk, form: ConnectionForm, status_code: int = 200
) -> Response[Any]:
    context = {"desk": desk, "form": form, "refusal": None}
    return page(request, "settings.html.j2", context, status_code)
