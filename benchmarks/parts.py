"""What is measured, part by part, and what must hold."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import mean, median

import psycopg

from benchmarks.bench import Bench
from benchmarks.clients import META_MEDIAN_LIMIT_SECONDS, Measurement, send_at_once, send_paced
from benchmarks.floor import measure_seconds_per_message
from benchmarks.load import CountMismatch, Load, check_answers
from benchmarks.report import Figure, Ratio
from benchmarks.servers import BASELINE_COMMAND, BIN_SERVE_COMMAND, NOOP_COMMAND, run_server
from benchmarks.workload import encode_request, make_external_id
from leadport.settings import ROOT

COMPARISON_CONNECTIONS = 64
CONNECTION_COUNTS = (1, 8, COMPARISON_CONNECTIONS, 256)
MAX_DELIVERY_MESSAGES = 1000
DELIVERY_SIZES = (10, 100, MAX_DELIVERY_MESSAGES)
LARGE_SENDER_COUNT, LARGE_MESSAGES_PER_SENDER = 200_000, 5

PACED_MESSAGES_PER_SECOND = 264
"""Messages a second. Meta asks for capacity for as much for a number at the default rate of 80 sent
a second: 24 answers and 240 statuses. Here all are messages that people sent, which is harder."""

PACED_DURATION_FACTOR = 10
"""How many times as long as others the paced measurement takes."""

NEW_SENDER_MESSAGES = 500
COMPARISON_ROUNDS = 3
MIN_THROUGHPUT_RATIOS = {"baseline": 30, "noop": 0.35}
"""How many times as many messages a second as these with 64 connections."""

ALTERNATING_ROUNDS = 2
MAX_WORKER_BYTES = 160e6
MAX_START_SECONDS = 3.0


def measure_start(bench: Bench) -> Iterator[Figure]:
    """From `bin/serve` to the first answer, with a data folder that is there already."""
    settings = bench.settings("start")
    durations = []
    for _ in range(3):
        with run_server(
            BIN_SERVE_COMMAND, bench.folder, workers=bench.workers, **settings
        ) as server:
            durations.append(server.start_seconds)
    _, *warm = durations
    limit = Ratio(value=max(warm) / MAX_START_SECONDS, to=f"{MAX_START_SECONDS:g} s", at_most=1)
    yield Figure(part="start", what="warm", value=max(warm), unit="s", ratios=[limit])


def measure_baseline(bench: Bench) -> Iterator[Figure]:
    """A straightforward service."""
    settings = bench.settings("data") | {
        "DATABASE_URL": bench.workload.database_url,
        "PYTHONPATH": str(ROOT / "var/baseline"),
    }
    server = bench.start_comparison_server("baseline", BASELINE_COMMAND, **settings)
    bench.workload.fill()
    for connections in (1, COMPARISON_CONNECTIONS):
        load = Load(bench.workload, server.port, connections)
        yield _make_single_figure("baseline", connections, load.measure(bench.seconds / 2))


def measure_noop(bench: Bench) -> Iterator[Figure]:
    """The same server and framework without work."""
    server = bench.start_comparison_server("noop", NOOP_COMMAND)
    for connections in (1, COMPARISON_CONNECTIONS):
        load = Load(bench.workload, server.port, connections, is_idle=True)
        yield _make_single_figure("noop", connections, load.measure(bench.seconds / 2))


def measure_floor(bench: Bench) -> Iterator[Figure]:
    """The same rows by SQL alone."""
    bench.workload.fill()
    cost = measure_seconds_per_message(bench.workload, bench.seconds / 2)
    yield Figure(
        part="floor",
        what=f"{MAX_DELIVERY_MESSAGES} messages",
        value=cost * 1e6,
        unit="µs a message",
    )


def measure_singles(bench: Bench) -> Iterator[Figure]:
    """One message in each delivery: with 1 and 64 connections in turns with the comparison_servers."""
    bench.workload.fill()
    for connections in CONNECTION_COUNTS:
        if connections in (1, COMPARISON_CONNECTIONS) and bench.comparison_servers:
            yield _compare_singles(bench, connections)
        else:
            load = Load(bench.workload, bench.leadport.port, connections)
            yield _make_single_figure("singles", connections, load.measure(bench.seconds))


def _compare_singles(bench: Bench, connections: int) -> Figure:
    """The median of some rounds, and the medians of their ratios.

    A machine's speed drifts within a minute by more than what is to be shown.
    """
    servers = {**bench.comparison_servers, "singles": bench.leadport}
    loads = {
        name: Load(bench.workload, server.port, connections, is_idle=name == "noop")
        for name, server in servers.items()
    }
    rounds = [
        {name: load.measure(bench.seconds / 3) for name, load in loads.items()}
        for _ in range(COMPARISON_ROUNDS)
    ]
    ours = sorted((each["singles"] for each in rounds), key=lambda measured: measured.rate)

    def median_ratio(to: str, figure: Callable[[Measurement], float]) -> float:
        return median(figure(each["singles"]) / figure(each[to]) for each in rounds)

    ratios = []
    for name in bench.comparison_servers:
        at_least = (
            MIN_THROUGHPUT_RATIOS.get(name) if connections == COMPARISON_CONNECTIONS else None
        )
        value = median_ratio(name, lambda measured: measured.rate)
        ratios.append(Ratio(value=value, to=name, at_least=at_least))
    if connections == 1 and "baseline" in bench.comparison_servers:
        value = median_ratio("baseline", lambda measured: measured.p50)
        ratios.append(Ratio(value=value, to="baseline, p50", at_most=0.35))
    figure = _make_single_figure("singles", connections, ours[COMPARISON_ROUNDS // 2])
    return replace(figure, ratios=ratios)


def measure_deliveries(bench: Bench) -> Iterator[Figure]:
    """Many messages in each delivery, over one connection: the largest in turns with the floor."""
    bench.workload.fill()
    for messages in DELIVERY_SIZES:
        load = Load(bench.workload, bench.leadport.port, 1, messages)
        if messages < MAX_DELIVERY_MESSAGES:
            yield _make_delivery_figure("deliveries", messages, load.measure(bench.seconds), [])
            continue
        rounds = [
            (
                measure_seconds_per_message(bench.workload, bench.seconds / 6),
                load.measure(bench.seconds / 2),
            )
            for _ in range(COMPARISON_ROUNDS)
        ]
        costs = [_seconds_per_message(measured, messages) / least for least, measured in rounds]
        ratio = Ratio(value=median(costs), to="floor", at_most=3)
        yield _make_delivery_figure("deliveries", messages, rounds[-1][1], [ratio])


def measure_million(bench: Bench) -> Iterator[Figure]:
    """Both again where a million messages are stored, in turns with the small database."""
    bench.workload.fill()
    bench.large_workload.fill(LARGE_SENDER_COUNT, LARGE_MESSAGES_PER_SENDER)
    for connections in CONNECTION_COUNTS:
        measured, ratio = _compare_sizes(bench, connections, 1)
        yield replace(_make_single_figure("million", connections, measured), ratios=[ratio])
    for messages in DELIVERY_SIZES:
        measured, ratio = _compare_sizes(bench, 1, messages)
        yield _make_delivery_figure("million", messages, measured, [ratio])


def _compare_sizes(bench: Bench, connections: int, messages: int) -> tuple[Measurement, Ratio]:
    """What was measured in the city, and the cost of a message there by that in the town."""
    small = Load(bench.workload, bench.leadport.port, connections, messages)
    large = Load(bench.large_workload, bench.large_leadport.port, connections, messages)
    seconds = bench.seconds / (2 if messages > 1 else 3)
    rounds = [(small.measure(seconds), large.measure(seconds)) for _ in range(ALTERNATING_ROUNDS)]
    costs = [
        _seconds_per_message(there, messages) / _seconds_per_message(here, messages)
        for here, there in rounds
    ]
    return rounds[-1][1], Ratio(value=mean(costs), to="cost in a small one", at_most=1.25)


def _make_single_figure(part: str, connections: int, measured: Measurement) -> Figure:
    return Figure(
        part=part,
        what=f"{connections} connection{'s' * (connections > 1)}",
        value=measured.rate,
        unit="messages/s",
        details=_make_time_details(measured),
    )


def _make_delivery_figure(
    part: str, messages: int, measured: Measurement, ratios: Sequence[Ratio]
) -> Figure:
    return Figure(
        part=part,
        what=f"{messages} messages",
        value=_seconds_per_message(measured, messages) * 1e6,
        unit="µs a message",
        details=_make_time_details(measured),
        ratios=ratios,
    )


def _seconds_per_message(measured: Measurement, messages: int) -> float:
    """Seconds that a message takes, as the one who sends it sees it.

    Not by the rate: what is under way at the end would count for nothing, and it may be much.
    """
    return measured.mean / messages


def measure_paced(bench: Bench) -> Iterator[Figure]:
    """As many messages as Meta may send, each when it is due; one connection before and after."""
    bench.workload.fill()
    port, count = (
        bench.leadport.port,
        int(bench.seconds * PACED_DURATION_FACTOR * PACED_MESSAGES_PER_SECOND),
    )
    alone = Load(bench.workload, port, 1)
    before = alone.measure(bench.seconds / 3)
    requests = [encode_request(*bench.workload.make_samples(1)) for _ in range(count)]
    measured = send_paced(port, requests, PACED_MESSAGES_PER_SECOND)
    check_answers(measured, bench.workload.count_new_messages(), 1)
    after = alone.measure(bench.seconds / 3)
    p50 = mean((before.p50, after.p50))
    p99_ratio = Ratio(value=measured.p99 / p50, to="p50 of 1 connection", at_most=5)
    limit = f"{META_MEDIAN_LIMIT_SECONDS * 1000:g} ms"
    slowest = Ratio(value=measured.longest / META_MEDIAN_LIMIT_SECONDS, to=limit, at_most=1)
    yield Figure(
        part="paced",
        what=f"{PACED_MESSAGES_PER_SECOND} messages/s",
        value=measured.p99 * 1000,
        unit="ms p99",
        details={
            **_make_time_details(measured),
            f"over {limit} %": measured.over_limit_share * 100,
        },
        ratios=[p99_ratio, slowest],
    )


def measure_new_sender(bench: Bench) -> Iterator[Figure]:
    """A new sender, whose messages come all at once."""
    bench.workload.fill()
    sender = bench.workload.make_new_sender()
    requests = [
        encode_request(0, [bench.workload.make_sample(sender)]) for _ in range(NEW_SENDER_MESSAGES)
    ]
    measured = send_at_once(bench.leadport.port, requests)
    check_answers(measured, bench.workload.count_new_messages(), 1)
    with psycopg.connect(bench.workload.database_url) as db:
        theirs = "SELECT count(*) FROM conversation_threads WHERE external_id = %s"
        if db.execute(theirs, [f"wa:{make_external_id(0)}:{sender}"]).fetchone() != (1,):
            raise CountMismatch("one sender has not one thread")
    yield Figure(
        part="hot",
        what=f"{NEW_SENDER_MESSAGES} of one new sender",
        value=measured.rate,
        unit="messages/s",
        details=_make_time_details(measured),
    )


def measure_row_security(bench: Bench) -> Iterator[Figure]:
    """What row-level security costs: with and without it, in turns."""
    bench.workload.fill()
    load = Load(bench.workload, bench.leadport.port, COMPARISON_CONNECTIONS)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ALTERNATING_ROUNDS):
        with _disable_row_security(bench.workload.database_url):
            measured = load.measure(bench.seconds)
        rates[False].append(measured.rate)
        measured = load.measure(bench.seconds)
        rates[True].append(measured.rate)
    secured, unsecured = mean(rates[True]), mean(rates[False])
    costs = Ratio(value=unsecured / secured, to="cost without", at_most=1.1)
    what = f"{COMPARISON_CONNECTIONS} connections"
    unit = "messages/s"
    yield Figure(part="rls", what=what, value=secured, unit=unit, ratios=[costs])
    yield Figure(part="rls", what=f"{what}, without", value=unsecured, unit=unit)


@contextmanager
def _disable_row_security(database_url: str) -> Iterator[None]:
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


def measure_memory(bench: Bench) -> Iterator[Figure]:
    """The most that the worker has held until now."""
    peak = bench.leadport.read_peak_memory()
    if peak:
        limit = Ratio(value=peak / MAX_WORKER_BYTES, to=f"{MAX_WORKER_BYTES / 1e6:g} MB", at_most=1)
        yield Figure(part="memory", what="a worker", value=peak / 1e6, unit="MB", ratios=[limit])


def _make_time_details(measured: Measurement) -> dict[str, float]:
    times = {"p50": measured.p50, "p99": measured.p99, "longest": measured.longest}
    return {f"{name} ms": seconds * 1000 for name, seconds in times.items()}


PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "start": measure_start,
    "baseline": measure_baseline,
    "noop": measure_noop,
    "floor": measure_floor,
    "singles": measure_singles,
    "deliveries": measure_deliveries,
    "paced": measure_paced,
    "hot": measure_new_sender,
    "rls": measure_row_security,
    "million": measure_million,
    "memory": measure_memory,
}
"""In order: later ones are median_ratio with earlier ones."""
