"""Commands about the API's keys: they work on the database itself, so that a first key can be made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

import typer

from quire.cli.exit_codes import UsageError
from quire.cli.output import JsonOption, console, messages, print_json, print_table

if TYPE_CHECKING:
    from quire.database.tables import ApiKey

app = typer.Typer(no_args_is_help=True, help="Keys of the API, directly in the database (DATABASE_URL).")


class Scope(StrEnum):
    """What a key may do."""

    READ = "documents:read"
    WRITE = "documents:write"
    WEBHOOKS = "webhooks"
    METRICS = "metrics"
    ADMIN = "admin"


@app.command()
def create(
    name: Annotated[str, typer.Option(help="What it is for.")],
    owner: Annotated[str, typer.Option(help="Whose documents it sees and makes; by default its name.")] = "",
    scope: Annotated[
        list[Scope] | None, typer.Option(help="May be given several times; by default documents and webhooks.")
    ] = None,
    requests_per_minute: Annotated[int | None, typer.Option(min=1)] = None,
    pages_per_day: Annotated[int | None, typer.Option(min=1)] = None,
    tokens_per_day: Annotated[int | None, typer.Option(min=1, help="That study aids may use.")] = None,
    expires_in_days: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key. Its secret is printed now and never again."""
    # Here, because every command imports this module and only these need a database.
    from quire import keys
    from quire.database.engine import transaction

    expires_at = None if expires_in_days is None else datetime.now(UTC) + timedelta(days=expires_in_days)
    with transaction() as session:
        key, secret = keys.create_key(
            session,
            name=name,
            owner=owner or name,
            scopes=[each.value for each in scope] if scope else keys.USUAL_SCOPES,
            requests_per_minute=requests_per_minute,
            pages_per_day=pages_per_day,
            tokens_per_day=tokens_per_day,
            expires_at=expires_at,
        )
    if as_json:
        print_json(_shown(key) | {"secret": secret})
        return
    console.print(secret)
    messages.print(f"Key {key.id} of {key.owner}. The line above is its secret: it is not shown again.")


@app.command("list")
def list_(
    owner: Annotated[str | None, typer.Option(help="Only those of this owner.")] = None, as_json: JsonOption = False
) -> None:
    """Keys, without their secrets."""
    from quire import keys
    from quire.database.engine import transaction

    with transaction() as session:
        found = [_shown(key) for key in keys.list_keys(session, owner=owner)]
    if as_json:
        for key in found:
            print_json(key)
        return
    columns = ("id", "name", "owner", "prefix", "scopes", "last_used_at", "state")
    print_table(columns, [[_cell(key[column]) for column in columns] for key in found])


@app.command()
def revoke(key_id: Annotated[UUID, typer.Argument(metavar="ID")], as_json: JsonOption = False) -> None:
    """Revoke a key: from now on it opens nothing."""
    from quire import keys
    from quire.database.engine import transaction

    with transaction() as session:
        if not keys.revoke_key(session, key_id):
            raise UsageError(f"There is no key {key_id} that could be revoked.")
    if as_json:
        print_json({"id": str(key_id), "revoked": True})
    else:
        console.print(f"{key_id}  revoked")


def _shown(key: ApiKey) -> dict[str, Any]:
    """A key without its digest."""
    return {
        "id": str(key.id),
        "name": key.name,
        "owner": key.owner,
        "prefix": key.prefix,
        "scopes": list(key.scopes),
        "requests_per_minute": key.requests_per_minute,
        "pages_per_day": key.pages_per_day,
        "tokens_per_day": key.tokens_per_day,
        "created_at": _time(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
        "state": _state(key),
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= datetime.now(UTC):
        return "expired"
    return "valid"


def _cell(value: object) -> object:
    return ", ".join(value) if isinstance(value, list) else value
