"""Commands about workers: they work on the database, through which workers say that they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from quire.cli.exit_codes import UsageError
from quire.cli.output import JsonOption, console, print_json, print_table

if TYPE_CHECKING:
    from quire.database.workers import SeenWorker

app = typer.Typer(no_args_is_help=True, help="Workers, as the database hears of them (DATABASE_URL).")

# A worker that was not heard of for longer is gone, or its Postgres is.
_THERE_SECONDS = 300

Since = Annotated[float, typer.Option(min=0, help="Seconds: the workers heard of since then.")]


@app.command("list")
def list_(since: Since = _THERE_SECONDS, as_json: JsonOption = False) -> None:
    """Workers, the oldest first."""
    # Here, because every command imports this module and only these need a database.
    from quire.database import workers
    from quire.database.engine import transaction

    with transaction() as session:
        found = [_shown(worker) for worker in workers.seen_since(session, since)]
    if as_json:
        for worker in found:
            print_json(worker)
        return
    columns = ("name", "host", "queue", "pod_id", "processes", "state", "seen_seconds")
    print_table(columns, [[worker[column] for column in columns] for worker in found])


@app.command()
def drain(
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME...")] = None,
    pod: Annotated[list[str] | None, typer.Option(help="All workers of this pod, for good. Several times.")] = None,
) -> None:
    """Ask workers to take no more tasks. They finish what they hold, and stay until they are stopped."""
    from quire.database import workers
    from quire.database.engine import transaction

    if not names and not pod:
        raise UsageError("Name a worker, as `quire workers list` shows it, or a pod with --pod.")
    with transaction() as session:
        asked = workers.ask_workers_to_drain(session, names or [], seconds=_THERE_SECONDS)
        asked |= workers.ask_to_drain(session, pod or [])
    for name in sorted(asked):
        console.print(f"{name}  asked to drain", markup=False)
    if unknown := sorted({*(names or []), *(pod or [])} - asked):
        raise UsageError(f"There is no worker that could be asked: {', '.join(unknown)}.")


def _shown(worker: SeenWorker) -> dict[str, Any]:
    return {
        "name": worker.name,
        "host": worker.host,
        "queue": worker.queue,
        "pod_id": worker.pod_id,
        "processes": worker.processes,
        "state": _state(worker),
        "busy": worker.busy,
        "draining": worker.draining,
        "asked_to_drain": worker.asked_to_drain,
        "started_at": worker.started_at.isoformat(timespec="seconds"),
        "seen_seconds": round(worker.seen_seconds, 1),
    }


def _state(worker: SeenWorker) -> str:
    if worker.is_drained:
        return "drained"
    if worker.draining or worker.asked_to_drain:
        return "draining"
    return "busy" if worker.busy else "idle"
