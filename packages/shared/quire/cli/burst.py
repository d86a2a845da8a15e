"""Commands about rented capacity: the controller, what it would do, what there is, and how to stop it."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from quire.cli.exit_codes import ExitCode, UsageError
from quire.cli.output import JsonOption, console, messages, print_error, print_json, print_table

if TYPE_CHECKING:
    from quire.settings import Settings

app = typer.Typer(invoke_without_command=True, help="Capacity that is rented while pages wait (QUIRE_BURST).")

_DRAIN_SECONDS = 600.0
_END_SECONDS = 300.0


@app.callback()
def burst(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what the controller would do now, and why. Nothing is done.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rent capacity while pages wait."""
    if context.invoked_subcommand is not None:
        if dry_run:
            raise UsageError("--dry-run stands alone: quire burst --dry-run.")
        return
    if not dry_run:
        console.print(context.get_help())
        raise typer.Exit(ExitCode.USAGE)
    _dry_run(as_json)


@app.command()
def run() -> None:
    """Run the controller until SIGTERM or Ctrl-C. What is rented then stays: `quire burst stop` gives it back."""
    from quire.burst import loop
    from quire.database.engine import get_engine
    from quire.telemetry.logs import configure_api

    settings, ended = _settings(), threading.Event()
    configure_api(settings)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    loop.run(settings, get_engine(), ended)


@app.command()
def status(as_json: JsonOption = False) -> None:
    """What is rented, what it has cost today, and what was decided last."""
    from quire.database import burst as ledger
    from quire.database import remote_jobs
    from quire.database.engine import transaction

    settings, now = _settings(), time.time()
    with transaction() as session:
        state = ledger.state(session)
        pods, jobs = ledger.pods_there(session), remote_jobs.count_open(session)
        found: dict[str, Any] = {
            "mode": settings.quire_burst,
            "stopped": state.stopped,
            "ticked_at": None if state.ticked_at is None else state.ticked_at.isoformat(timespec="seconds"),
            "decision": state.decision,
            "spent_today": round(ledger.spent_today(session, now), 4),
            "open_jobs": jobs,
            "pods": [
                {
                    "name": pod.name,
                    "id": pod.pod_id,
                    "price_per_hour": pod.price_per_hour,
                    "age_seconds": round(now - pod.created_at.timestamp()),
                    "draining": pod.draining_since is not None,
                    "listed": pod.listed_at is not None,
                }
                for pod in pods
            ],
        }
    if as_json:
        print_json(found)
        return
    console.print(f"mode      {found['mode']}{'  [red]stopped[/]' if found['stopped'] else ''}")
    console.print(f"last look {found['ticked_at'] or 'never'}")
    console.print(f"decision  {found['decision'] or 'none'}", markup=False)
    console.print(f"today     {found['spent_today']:.2f} USD for pods, {jobs} jobs open at the endpoint")
    columns = ("name", "id", "price_per_hour", "age_seconds", "draining", "listed")
    print_table(columns, [[pod[column] for column in columns] for pod in found["pods"]])


@app.command()
def stop(
    now: Annotated[
        bool, typer.Option("--now", help="End what is rented at once, whatever it works on. Works without a database.")
    ] = False,
) -> None:
    """Rent nothing from now on, and give back what is rented. Ends with 1 if something is left. `resume` undoes it."""
    from quire.errors import DatabaseUnreachable

    settings = _settings()
    has_database = True
    try:
        _set_stopped(True)
    except DatabaseUnreachable as error:
        if not now or settings.quire_burst == "serverless":
            raise
        has_database = False
        print_error(error)
        messages.print("Stop the controller, or it goes on when the database is back.")
    left = _give_back(settings, now=now, has_database=has_database)
    if left:
        messages.print(f"[red]Still there:[/] {', '.join(left)}")
        raise typer.Exit(ExitCode.FAILED)
    messages.print("Nothing is rented from now on, until `quire burst resume`.")


@app.command()
def resume() -> None:
    """Rent again."""
    _set_stopped(False)
    messages.print("The controller may rent again.")


def _give_back(settings: Settings, *, now: bool, has_database: bool) -> list[str]:
    """Give back what is rented of both kinds: it may be of a time when `QUIRE_BURST` said something else.

    Returns the names of what is left.
    """
    from quire.burst import loop
    from quire.burst.runpod_pods import RunpodPods
    from quire.database import burst as ledger
    from quire.database.engine import get_engine, transaction

    left: list[str] = []
    has_pods = settings.quire_burst != "serverless"
    if has_database:
        with transaction() as session:
            has_pods = has_pods or bool(ledger.pods_there(session))
    if has_pods and now:
        with RunpodPods.from_settings(settings) as client:
            left = loop.end_pods(client, seconds=_END_SECONDS)
    elif has_pods:
        left = loop.drain_pods(settings, get_engine(), seconds=_DRAIN_SECONDS)
    if now and has_database and settings.runpod_endpoint_id is not None:
        left += loop.cancel_jobs(settings, get_engine())
    return left


def _dry_run(as_json: bool) -> None:
    settings = _settings()
    if settings.quire_burst == "serverless":
        _dry_run_of_jobs(settings, as_json)
    else:
        _dry_run_of_pods(settings, as_json)


def _dry_run_of_jobs(settings: Settings, as_json: bool) -> None:
    from quire.burst.runpod_endpoint import RunpodEndpoint
    from quire.burst.serverless import ServerlessBurst
    from quire.database import burst as ledger
    from quire.database.engine import get_engine, transaction

    with RunpodEndpoint.from_settings(settings) as endpoint:
        choice = ServerlessBurst(settings, get_engine(), endpoint).look(time.time())
    with transaction() as session:
        stopped = ledger.state(session).stopped
    pages = [] if stopped else [each.pages for each in choice.assignments]
    reason = f"{choice.reason}; renting was stopped by hand" if stopped else choice.reason
    if as_json:
        print_json({"decision": {"jobs": len(pages), "pages": sum(pages)}, "reason": reason})
        return
    console.print(f"send {len(pages)} jobs for {sum(pages)} pages")
    console.print(reason, markup=False)


def _dry_run_of_pods(settings: Settings, as_json: bool) -> None:
    from quire.burst.controller import PodBurst
    from quire.burst.runpod_pods import RunpodPods
    from quire.database.engine import get_engine

    with RunpodPods.from_settings(settings) as client:
        report = PodBurst(settings, get_engine(), client).tick(time.time(), dry=True)
    if as_json:
        observation = None if report.observation is None else asdict(report.observation)
        print_json(
            {"decision": asdict(report.decision), "inputs": observation, "reason": report.reason}
            | {"trouble": report.trouble}
        )
        return
    decision = report.decision
    console.print(f"rent {decision.create}, drain {len(decision.drain)}, end {len(decision.terminate)}")
    console.print(report.reason, markup=False)
    for trouble in report.trouble:
        messages.print(trouble, markup=False)


def _set_stopped(stopped: bool) -> None:
    from quire.database import burst as ledger
    from quire.database.engine import transaction

    with transaction() as session:
        ledger.set_stopped(session, stopped)


def _settings() -> Settings:
    from quire.settings import get_settings

    return get_settings()
