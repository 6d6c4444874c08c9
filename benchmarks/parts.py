"""What is measured, part by part, and what must hold."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import mean, median

import psycopg

from benchmarks.bench import Bench
from benchmarks.clients import TOLERATED, Measured, at_once, paced
from benchmarks.floor import seconds_a_message
from benchmarks.load import CountMismatch, Load, check
from benchmarks.report import Figure, Ratio
from benchmarks.servers import BASELINE, BIN_SERVE, NOOP, serving
from benchmarks.workload import number, request
from leadport.settings import ROOT

MANY = 64
CONNECTIONS = (1, 8, MANY, 256)
LARGEST = 1000
DELIVERIES = (10, 100, LARGEST)
PEOPLE, MESSAGES_EACH = 200_000, 5

RATE = 264
"""Messages a second. Meta asks for capacity for as much for a number at the default rate of 80 sent
a second: 24 answers and 240 statuses. Here all are messages that people sent, which is harder."""

PACED = 10
"""How many times as long as others the paced measurement takes."""

HOT = 500
ROUNDS = 3
AT_LEAST = {"baseline": 30, "noop": 0.35}
"""How many times as many messages a second as these with 64 connections."""

ALTERNATIONS = 2
LARGEST_WORKER = 160e6
LONGEST_START = 3.0


def start(bench: Bench) -> Iterator[Figure]:
    """From `bin/serve` to the first answer, with a data folder that is there already."""
    settings = bench.settings("start")
    took = []
    for _ in range(3):
        with serving(BIN_SERVE, bench.folder, workers=bench.workers, **settings) as server:
            took.append(server.started)
    _, *warm = took
    limit = Ratio(value=max(warm) / LONGEST_START, to=f"{LONGEST_START:g} s", at_most=1)
    yield Figure(part="start", what="warm", value=max(warm), unit="s", ratios=[limit])


def baseline(bench: Bench) -> Iterator[Figure]:
    """A straightforward service."""
    settings = bench.settings("data") | {
        "DATABASE_URL": bench.workload.database_url,
        "PYTHONPATH": str(ROOT / "var/baseline"),
    }
    server = bench.start_comparison_server("baseline", BASELINE, **settings)
    bench.workload.fill()
    for connections in (1, MANY):
        load = Load(bench.workload, server.port, connections)
        yield _single("baseline", connections, load.run(bench.seconds / 2))


def noop(bench: Bench) -> Iterator[Figure]:
    """The same server and framework without work."""
    server = bench.start_comparison_server("noop", NOOP)
    for connections in (1, MANY):
        load = Load(bench.workload, server.port, connections, is_idle=True)
        yield _single("noop", connections, load.run(bench.seconds / 2))


def floor(bench: Bench) -> Iterator[Figure]:
    """The same rows by SQL alone."""
    bench.workload.fill()
    cost = seconds_a_message(bench.workload, bench.seconds / 2)
    yield Figure(part="floor", what=f"{LARGEST} messages", value=cost * 1e6, unit="µs a message")


def singles(bench: Bench) -> Iterator[Figure]:
    """One message in each delivery: with 1 and 64 connections in turns with the rivals."""
    bench.workload.fill()
    for connections in CONNECTIONS:
        if connections in (1, MANY) and bench.rivals:
            yield _against_rivals(bench, connections)
        else:
            load = Load(bench.workload, bench.leadport.port, connections)
            yield _single("singles", connections, load.run(bench.seconds))


def _against_rivals(bench: Bench, connections: int) -> Figure:
    """The median of some rounds, and the medians of their ratios.

    A machine's speed drifts within a minute by more than what is to be shown.
    """
    servers = {**bench.rivals, "singles": bench.leadport}
    loads = {
        name: Load(bench.workload, server.port, connections, is_idle=name == "noop")
        for name, server in servers.items()
    }
    rounds = [
        {name: load.run(bench.seconds / 3) for name, load in loads.items()} for _ in range(ROUNDS)
    ]
    ours = sorted((each["singles"] for each in rounds), key=lambda measured: measured.rate)

    def compared(to: str, figure: Callable[[Measured], float]) -> float:
        return median(figure(each["singles"]) / figure(each[to]) for each in rounds)

    ratios = []
    for name in bench.rivals:
        at_least = AT_LEAST.get(name) if connections == MANY else None
        value = compared(name, lambda measured: measured.rate)
        ratios.append(Ratio(value=value, to=name, at_least=at_least))
    if connections == 1 and "baseline" in bench.rivals:
        value = compared("baseline", lambda measured: measured.p50)
        ratios.append(Ratio(value=value, to="baseline, p50", at_most=0.35))
    figure = _single("singles", connections, ours[ROUNDS // 2])
    return replace(figure, ratios=ratios)


def deliveries(bench: Bench) -> Iterator[Figure]:
    """Many messages in each delivery, over one connection: the largest in turns with the floor."""
    bench.workload.fill()
    for messages in DELIVERIES:
        load = Load(bench.workload, bench.leadport.port, 1, messages)
        if messages < LARGEST:
            yield _delivery("deliveries", messages, load.run(bench.seconds), [])
            continue
        rounds = [
            (seconds_a_message(bench.workload, bench.seconds / 6), load.run(bench.seconds / 2))
            for _ in range(ROUNDS)
        ]
        costs = [_cost(measured, messages) / least for least, measured in rounds]
        ratio = Ratio(value=median(costs), to="floor", at_most=3)
        yield _delivery("deliveries", messages, rounds[-1][1], [ratio])


def million(bench: Bench) -> Iterator[Figure]:
    """Both again where a million messages are stored, in turns with the small database."""
    bench.workload.fill()
    bench.large_workload.fill(PEOPLE, MESSAGES_EACH)
    for connections in CONNECTIONS:
        measured, ratio = _grown(bench, connections, 1)
        yield replace(_single("million", connections, measured), ratios=[ratio])
    for messages in DELIVERIES:
        measured, ratio = _grown(bench, 1, messages)
        yield _delivery("million", messages, measured, [ratio])


def _grown(bench: Bench, connections: int, messages: int) -> tuple[Measured, Ratio]:
    """What was measured in the city, and the cost of a message there by that in the town."""
    small = Load(bench.workload, bench.leadport.port, connections, messages)
    large = Load(bench.large_workload, bench.large_leadport.port, connections, messages)
    seconds = bench.seconds / (2 if messages > 1 else 3)
    rounds = [(small.run(seconds), large.run(seconds)) for _ in range(ALTERNATIONS)]
    costs = [_cost(there, messages) / _cost(here, messages) for here, there in rounds]
    return rounds[-1][1], Ratio(value=mean(costs), to="cost in a small one", at_most=1.25)


def _single(part: str, connections: int, measured: Measured) -> Figure:
    return Figure(
        part=part,
        what=f"{connections} connection{'s' * (connections > 1)}",
        value=measured.rate,
        unit="messages/s",
        details=_times(measured),
    )


def _delivery(part: str, messages: int, measured: Measured, ratios: Sequence[Ratio]) -> Figure:
    return Figure(
        part=part,
        what=f"{messages} messages",
        value=_cost(measured, messages) * 1e6,
        unit="µs a message",
        details=_times(measured),
        ratios=ratios,
    )


def _cost(measured: Measured, messages: int) -> float:
    """Seconds that a message takes, as the one who sends it sees it.

    Not by the rate: what is under way at the end would count for nothing, and it may be much.
    """
    return measured.mean / messages


def arrival(bench: Bench) -> Iterator[Figure]:
    """As many messages as Meta may send, each when it is due; one connection before and after."""
    bench.workload.fill()
    port, count = bench.leadport.port, int(bench.seconds * PACED * RATE)
    alone = Load(bench.workload, port, 1)
    before = alone.run(bench.seconds / 3)
    requests = [request(*bench.workload.samples(1)) for _ in range(count)]
    measured = paced(port, requests, RATE)
    check(measured, bench.workload.newly_stored(), 1)
    after = alone.run(bench.seconds / 3)
    p50 = mean((before.p50, after.p50))
    usual = Ratio(value=measured.p99 / p50, to="p50 of 1 connection", at_most=5)
    limit = f"{TOLERATED * 1000:g} ms"
    slowest = Ratio(value=measured.longest / TOLERATED, to=limit, at_most=1)
    yield Figure(
        part="paced",
        what=f"{RATE} messages/s",
        value=measured.p99 * 1000,
        unit="ms p99",
        details={**_times(measured), f"over {limit} %": measured.over * 100},
        ratios=[usual, slowest],
    )


def hot(bench: Bench) -> Iterator[Figure]:
    """A new sender, whose messages come all at once."""
    bench.workload.fill()
    sender = bench.workload.new_sender()
    requests = [request(0, [bench.workload.sample(sender)]) for _ in range(HOT)]
    measured = at_once(bench.leadport.port, requests)
    check(measured, bench.workload.newly_stored(), 1)
    with psycopg.connect(bench.workload.database_url) as db:
        theirs = "SELECT count(*) FROM conversation_threads WHERE external_id = %s"
        if db.execute(theirs, [f"wa:{number(0)}:{sender}"]).fetchone() != (1,):
            raise CountMismatch("one sender has not one thread")
    yield Figure(
        part="hot",
        what=f"{HOT} of one new sender",
        value=measured.rate,
        unit="messages/s",
        details=_times(measured),
    )


def row_security(bench: Bench) -> Iterator[Figure]:
    """What row-level security costs: with and without it, in turns."""
    bench.workload.fill()
    load = Load(bench.workload, bench.leadport.port, MANY)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ALTERNATIONS):
        with _without_row_security(bench.workload.database_url):
            measured = load.run(bench.seconds)
        rates[False].append(measured.rate)
        measured = load.run(bench.seconds)
        rates[True].append(measured.rate)
    secured, unsecured = mean(rates[True]), mean(rates[False])
    costs = Ratio(value=unsecured / secured, to="cost without", at_most=1.1)
    what = f"{MANY} connections"
    unit = "messages/s"
    yield Figure(part="rls", what=what, value=secured, unit=unit, ratios=[costs])
    yield Figure(part="rls", what=f"{what}, without", value=unsecured, unit=unit)


@contextmanager
def _without_row_security(database_url: str) -> Iterator[None]:
    secured = "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity"
    with psycopg.connect(database_url, autocommit=True) as db:
        tables = [name for (name,) in db.execute(secured)]
        for table in tables:
            db.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        try:
            yield
        finally:
            for table in tables:
                db.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def memory(bench: Bench) -> Iterator[Figure]:
    """The most that the worker has held until now."""
    peak = bench.leadport.peak_memory()
    if peak:
        limit = Ratio(value=peak / LARGEST_WORKER, to=f"{LARGEST_WORKER / 1e6:g} MB", at_most=1)
        yield Figure(part="memory", what="a worker", value=peak / 1e6, unit="MB", ratios=[limit])


def _times(measured: Measured) -> dict[str, float]:
    times = {"p50": measured.p50, "p99": measured.p99, "longest": measured.longest}
    return {f"{name} ms": seconds * 1000 for name, seconds in times.items()}


PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "start": start,
    "baseline": baseline,
    "noop": noop,
    "floor": floor,
    "singles": singles,
    "deliveries": deliveries,
    "paced": arrival,
    "hot": hot,
    "rls": row_security,
    "million": million,
    "memory": memory,
}
"""In order: later ones are compared with earlier ones."""
