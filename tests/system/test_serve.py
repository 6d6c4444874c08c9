"""Tests of `bin/serve` and the commands as processes, with an embedded database."""

import json
import os
import re
import signal
import socket
import subprocess
from asyncio import gather
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from domain.connection import Channel
from interfaces.meta.samples import Sample, make_delivery
from interfaces.meta.signature import sign
from tests.support.service_process import (
    LEADPORT_COMMAND,
    ROOT,
    RunningService,
    make_service_environment,
    run_service,
)

pytestmark = pytest.mark.slow

NUMBER = "100000000000001"


@pytest.fixture(scope="module")
def four_workers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    with run_service(tmp_path_factory.mktemp("four"), "--workers", "4") as running:
        yield running


def make_text(id_: str, sender: str = "15550001111") -> Sample:
    return Sample(sender=sender, name="Ana", text="hola", message_id=id_, sent_at=datetime.now(UTC))


async def post_delivery(
    client: httpx.AsyncClient, url: str, samples: Sequence[Sample]
) -> dict[str, Any]:
    body = json.dumps(make_delivery(Channel.WHATSAPP, NUMBER, samples)).encode()
    headers = {"X-Hub-Signature-256": sign(body, "new secret")}
    answer = await client.post(f"{url}/api/webhooks/meta", content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    counters: dict[str, Any] = answer.json()
    return counters


def test_the_suggested_command_makes_a_lead_that_survives_a_restart(tmp_path: Path) -> None:
    with run_service(tmp_path) as running:
        (line,) = re.findall(r"leadport'? (simulate whatsapp .+)", running.banner)
        first = json.loads(running.run_command(*line.split(), "--message-id", "wamid.1"))
        repeated = json.loads(running.run_command(*line.split(), "--message-id", "wamid.1"))
        assert first == {"received": 1, "ingested": 1, "skipped": 0, "failed": 0}
        assert repeated == {"received": 1, "ingested": 0, "skipped": 1, "failed": 0}
        assert "Hola, ¿cuánto cuesta?" in running.run_command("leads")
        assert running.stop() == 0

    with run_service(tmp_path) as running:
        (lead,) = json.loads(running.run_command("leads", "--json"))
        assert (lead["organization"], lead["contact"], lead["deal_status"]) == (
            "Demo",
            "Ana Prueba",
            "open",
        )


def test_the_embedded_database_stops_with_the_service(tmp_path: Path) -> None:
    with run_service(tmp_path) as running:
        url = running.database_url
        psycopg.connect(url).close()
        running.stop()

    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


async def test_fifty_identical_posts_at_once_store_one_message(
    four_workers: RunningService,
) -> None:
    async with httpx.AsyncClient(timeout=30) as client:
        url, sample = four_workers.url, make_text("wamid.identical")
        results = await gather(*(post_delivery(client, url, [sample]) for _ in range(50)))

    assert Counter(result["ingested"] for result in results) == {0: 49, 1: 1}
    with psycopg.connect(four_workers.database_url) as db:
        query = "SELECT count(*) FROM conversation_messages WHERE external_id = 'wamid.identical'"
        assert db.execute(query).fetchone() == (1,)


async def test_a_hundred_first_messages_of_one_sender_make_one_contact_thread_and_deal(
    four_workers: RunningService,
) -> None:
    async with httpx.AsyncClient(timeout=30) as client:
        samples = [make_text(f"wamid.hot.{n}", sender="15550009999") for n in range(100)]
        results = await gather(*(post_delivery(client, four_workers.url, [s]) for s in samples))

    assert sum(result["ingested"] for result in results) == 100
    query = """
        SELECT count(DISTINCT c.id), count(DISTINCT t.id), count(DISTINCT m.id), count(DISTINCT d.id)
        FROM contacts c JOIN conversation_threads t ON t.contact_id = c.id
        JOIN conversation_messages m ON m.thread_id = t.id
        JOIN deals d ON d.contact_id = c.id AND d.status = 'open' WHERE c.phone = '15550009999'
    """
    with psycopg.connect(four_workers.database_url) as db:
        assert db.execute(query).fetchone() == (1, 1, 100, 1)


def test_simulate_sends_large_counts_and_both_channels(
    four_workers: RunningService,
) -> None:
    counters = four_workers.simulate("whatsapp", "--to", NUMBER, "--count", "1500")
    assert counters == {"received": 1500, "ingested": 1500, "skipped": 0, "failed": 0}

    counters = four_workers.simulate("instagram", "--to", "17840000000000001")
    assert counters == {"received": 1, "ingested": 1, "skipped": 0, "failed": 0}


def test_commands_create_an_organisation_and_manage_its_connections(
    four_workers: RunningService,
) -> None:
    run = four_workers.run_command
    org = json.loads(run("org", "create", "Zapatería", "--owner", "Eva@Z.example", "--json"))
    assert org["password"]
    member = json.loads(
        run("org", "add-member", org["org_id"], "eva@z.example", "--role", "admin", "--json")
    )
    assert (member["user_id"], member["password"]) == (org["user_id"], None)

    add = ["connection", "add", "--org", org["org_id"], "--channel", "whatsapp"]
    connection = json.loads(
        run(*add, "--external-id", " 777 ", "--display-name", "Ventas", "--json")
    )
    assert (connection["external_id"], connection["display_name"]) == ("777", "Ventas")
    assert four_workers.simulate("whatsapp", "--to", "777")["ingested"] == 1
    assert len(json.loads(run("leads", "--org", org["org_id"], "--json"))) == 1

    run(*add, "--external-id", "777", "--disabled")
    (listed,) = json.loads(run("connection", "list", "--org", org["org_id"], "--json"))
    assert (listed["id"], listed["is_enabled"]) == (connection["id"], False)
    assert listed["last_message_at"]
    assert four_workers.simulate("whatsapp", "--to", "777")["skipped"] == 1

    run("connection", "remove", connection["id"])
    assert json.loads(run("connection", "list", "--org", org["org_id"], "--json")) == []
    assert len(json.loads(run("leads", "--org", org["org_id"], "--json"))) == 1


def test_leads_follow_prints_a_lead_that_arrives_later(four_workers: RunningService) -> None:
    with subprocess.Popen(
        [str(LEADPORT_COMMAND), "leads", "--follow", "--json", "--limit", "1"],
        env=four_workers.environ,
        stdout=subprocess.PIPE,
        text=True,
    ) as follower:
        assert follower.stdout
        four_workers.simulate("whatsapp", "--to", NUMBER, "--text", "seen at once")
        bodies = (json.loads(line)["body"] for line in follower.stdout)
        assert "seen at once" in bodies
        follower.terminate()


def test_a_request_in_flight_is_answered_after_ctrl_c(tmp_path: Path) -> None:
    with run_service(tmp_path) as running, psycopg.connect(running.database_url) as blocker:
        blocker.execute("LOCK TABLE conversation_messages IN ACCESS EXCLUSIVE MODE")
        arguments = ["simulate", "whatsapp", "--to", NUMBER, "--url", running.url]
        with subprocess.Popen(
            [str(LEADPORT_COMMAND), *arguments],
            env=running.environ,
            stdout=subprocess.PIPE,
            text=True,
        ) as delivery_in_flight:
            wait_for_blocked_session(running.database_url)
            os.killpg(running.process.pid, signal.SIGINT)
            blocker.rollback()
            counters, _ = delivery_in_flight.communicate(timeout=20)
        blocker.close()

        assert json.loads(counters)["ingested"] == 1
        assert running.process.wait(timeout=20) == 0


def wait_for_blocked_session(url: str) -> None:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    with psycopg.connect(url, autocommit=True) as db:
        while db.execute(query).fetchone() == (0,):
            db.execute("SELECT pg_sleep(0.02)")


def test_without_its_database_the_service_spools_deliveries_and_is_not_ready(
    tmp_path: Path,
) -> None:
    with run_service(tmp_path) as running:
        data = Path(running.environ["LEADPORT_DATA_DIR"]) / "postgres/data"
        postmaster = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGINT)  # PostgreSQL's fast shutdown
        while (data / "postmaster.pid").exists():
            pass
        body = json.dumps(
            make_delivery(Channel.WHATSAPP, NUMBER, [make_text("wamid.down")])
        ).encode()
        headers = {"X-Hub-Signature-256": sign(body, "old secret")}

        answer = httpx.post(f"{running.url}/api/webhooks/meta", content=body, headers=headers)
        ready = httpx.get(f"{running.url}/readyz")
        alive = httpx.get(f"{running.url}/healthz")

    assert (answer.status_code, answer.json()["failed"]) == (200, 1)
    assert (ready.status_code, alive.status_code) == (503, 200)


@pytest.mark.parametrize(
    ("settings", "arguments", "code", "line"),
    [
        ({}, ["--port", "PORT_IN_USE"], 1, r"port \d+ on 127.0.0.1 is in use"),
        ({"LEADPORT_DATA_DIR": "/dev/null"}, [], 2, "cannot write to /dev/null"),
        ({"STORAGE": "memory"}, ["--workers", "2"], 2, "STORAGE=memory serves with --workers 1"),
        ({"STORAGE": "paper"}, [], 2, "STORAGE must be postgres or memory, not 'paper'"),
        ({"PYTHON": "/bin/false"}, [], 1, "/bin/false is not Python 3.11 or newer"),
        (
            {"LEADPORT_ENV": "production", "META_APP_SECRET": ""},
            [],
            2,
            (
                "production needs DATABASE_URL, META_WEBHOOK_VERIFY_TOKEN, META_APP_SECRET, "
                "AUTH_JWT_SECRET or AUTH_JWKS_URL, TOKEN_ENCRYPTION_KEYS, PUBLIC_URL"
            ),
        ),
    ],
    ids=["port", "folder", "memory", "choice", "python", "production"],
)
def test_a_start_that_cannot_work_prints_one_line_and_its_exit_code(
    tmp_path: Path, settings: dict[str, str], arguments: list[str], code: int, line: str
) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port_in_use = str(listener.getsockname()[1])
        arguments = [argument.replace("PORT_IN_USE", port_in_use) for argument in arguments]
        done = subprocess.run(
            [str(ROOT / "bin/serve"), *arguments],
            env=make_service_environment(tmp_path, **settings),
            check=False,
            capture_output=True,
            text=True,
        )

    assert (done.returncode, done.stdout) == (code, "")
    assert re.fullmatch(f"leadport: .*{line}.*\n", done.stderr)


def test_memory_storage_starts_no_database(tmp_path: Path) -> None:
    with run_service(tmp_path, STORAGE="memory") as running:
        assert running.simulate("whatsapp", "--to", NUMBER)["ingested"] == 1
        assert not (Path(running.environ["LEADPORT_DATA_DIR"]) / "postgres").exists()
