"""The parts of `bin/bench`: what each one measures, and the bounds of its ratios (D72)."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from statistics import mean, median

import psycopg

from benchmarks.bench import Bench
from benchmarks.clients import META_MEDIAN_LIMIT_SECONDS, Measurement, send_at_once, send_paced
from benchmarks.floor import measure_seconds_per_message
from benchmarks.load import InvalidMeasurement, Load, check_answers
from benchmarks.report import Figure, Ratio
from benchmarks.servers import BASELINE_COMMAND, BIN_SERVE_COMMAND, IDLE_SERVER_COMMAND, run_server
from benchmarks.workload import encode_request, make_external_id
from interfaces.meta.samples import MAX_MESSAGES_PER_DELIVERY
from leadport.settings import ROOT

COMPARISON_CONNECTIONS = 64
"""Connections of the runs whose throughput is compared with other servers or settings."""

CONNECTION_COUNTS = (1, 8, COMPARISON_CONNECTIONS, 256)
DELIVERY_SIZES = (10, 100, MAX_MESSAGES_PER_DELIVERY)
LARGE_SENDER_COUNT, LARGE_MESSAGES_PER_SENDER = 200_000, 5

PACED_MESSAGES_PER_SECOND = 264
"""The capacity that Meta asks for, for a number at the default rate of 80 messages per second.

Meta counts 24 answers and 240 statuses. Here all 264 are messages from people, which cost more
(D75).
"""

PACED_DURATION_FACTOR = 10
"""The paced run takes this many times `--seconds`."""

NEW_SENDER_MESSAGES = 500
COMPARISON_ROUNDS = 3
"""Rounds in which Leadport and the comparison servers are measured in turn."""

MIN_THROUGHPUT_RATIOS = {"baseline": 30, "noop": 0.35}
"""The minimum of Leadport's messages per second divided by a comparison server's.

The keys are the parts of the comparison servers: `noop` is the idle server. Both servers are
measured with 64 connections.
"""

MAX_LATENCY_RATIO_TO_BASELINE = 0.35
"""The maximum of Leadport's p50 divided by the baseline's, with one connection."""

MAX_COST_RATIO_TO_FLOOR = 3
"""The maximum of Leadport's time per message divided by plain SQL's, in the largest deliveries."""

MAX_COST_RATIO_OF_MILLION = 1.25
"""The maximum of a message's cost in the large database divided by its cost in the small one."""

MAX_P99_RATIO_OF_PACED = 5
"""The maximum of the paced run's p99 divided by the p50 of one connection."""

MAX_COST_RATIO_OF_ROW_SECURITY = 1.1
"""The maximum of a message's cost with row-level security divided by its cost without."""

ALTERNATING_ROUNDS = 2
"""Rounds in which one setting and the other are measured in turn."""

MAX_WORKER_BYTES = 160e6
"""Upper bound for the peak memory of a worker."""

MAX_START_SECONDS = 3.0
"""Upper bound for the time from `bin/serve` to the first answer."""


def measure_start(bench: Bench) -> Iterator[Figure]:
    """Measure the time from `bin/serve` to its first answer, with an existing data folder.

    The first of three starts creates the data folder and does not count.
    """
    settings = bench.make_settings("start")
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
    """Measure the straightforward service of `benchmarks/baseline.py`."""
    settings = bench.make_settings("data") | {
        "DATABASE_URL": bench.workload.database_url,
        "PYTHONPATH": str(ROOT / "var/baseline"),
    }
    server = bench.start_comparison_server("baseline", BASELINE_COMMAND, **settings)
    bench.workload.replace_conversations()
    for connections in (1, COMPARISON_CONNECTIONS):
        load = Load(bench.workload, server.port, connections)
        yield _make_single_figure("baseline", connections, load.measure(bench.seconds / 2))


def measure_idle_server(bench: Bench) -> Iterator[Figure]:
    """Measure the idle server: Leadport's HTTP server and framework without work."""
    server = bench.start_comparison_server("noop", IDLE_SERVER_COMMAND)
    for connections in (1, COMPARISON_CONNECTIONS):
        load = Load(bench.workload, server.port, connections, is_idle=True)
        yield _make_single_figure("noop", connections, load.measure(bench.seconds / 2))


def measure_floor(bench: Bench) -> Iterator[Figure]:
    """Measure plain SQL that writes the same rows from a temporary table."""
    bench.workload.replace_conversations()
    cost = measure_seconds_per_message(bench.workload, bench.seconds / 2)
    yield Figure(
        part="floor",
        what=f"{MAX_MESSAGES_PER_DELIVERY} messages",
        value=cost * 1e6,
        unit="µs a message",
    )


def measure_singles(bench: Bench) -> Iterator[Figure]:
    """Measure deliveries of one message.

    Runs with 1 and 64 connections alternate with the comparison servers, where these have run.
    """
    bench.workload.replace_conversations()
    for connections in CONNECTION_COUNTS:
        if connections in (1, COMPARISON_CONNECTIONS) and bench.comparison_servers:
            yield _compare_singles(bench, connections)
        else:
            load = Load(bench.workload, bench.leadport.port, connections)
            yield _make_single_figure("singles", connections, load.measure(bench.seconds))


def _compare_singles(bench: Bench, connections: int) -> Figure:
    """Measure Leadport and the comparison servers in turn; return medians of the rounds.

    They alternate because a machine's speed drifts within a minute by more than the differences
    that the ratios show.
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
    own_results = sorted((each["singles"] for each in rounds), key=lambda result: result.rate)

    def compute_median_ratio(to: str, read_value: Callable[[Measurement], float]) -> float:
        return median(read_value(each["singles"]) / read_value(each[to]) for each in rounds)

    ratios = []
    for name in bench.comparison_servers:
        at_least = (
            MIN_THROUGHPUT_RATIOS.get(name) if connections == COMPARISON_CONNECTIONS else None
        )
        value = compute_median_ratio(name, lambda result: result.rate)
        ratios.append(Ratio(value=value, to=name, at_least=at_least))
    if connections == 1 and "baseline" in bench.comparison_servers:
        value = compute_median_ratio("baseline", lambda result: result.p50)
        ratios.append(Ratio(value=value, to="baseline, p50", at_most=MAX_LATENCY_RATIO_TO_BASELINE))
    figure = _make_single_figure("singles", connections, own_results[COMPARISON_ROUNDS // 2])
    return replace(figure, ratios=ratios)


def measure_deliveries(bench: Bench) -> Iterator[Figure]:
    """Measure deliveries of many messages over one connection; the largest alternates with SQL."""
    bench.workload.replace_conversations()
    for messages in DELIVERY_SIZES:
        load = Load(bench.workload, bench.leadport.port, 1, messages)
        if messages < MAX_MESSAGES_PER_DELIVERY:
            yield _make_delivery_figure("deliveries", messages, load.measure(bench.seconds), [])
            continue
        rounds = [
            (
                measure_seconds_per_message(bench.workload, bench.seconds / 6),
                load.measure(bench.seconds / 2),
            )
            for _ in range(COMPARISON_ROUNDS)
        ]
        costs = [_compute_cost(result, messages) / floor_cost for floor_cost, result in rounds]
        ratio = Ratio(value=median(costs), to="floor", at_most=MAX_COST_RATIO_TO_FLOOR)
        yield _make_delivery_figure("deliveries", messages, rounds[-1][1], [ratio])


def measure_million(bench: Bench) -> Iterator[Figure]:
    """Measure both on a database of a million messages, alternating with the small database."""
    bench.workload.replace_conversations()
    bench.large_workload.replace_conversations(LARGE_SENDER_COUNT, LARGE_MESSAGES_PER_SENDER)
    for connections in CONNECTION_COUNTS:
        measurement, ratio = _compare_sizes(bench, connections, 1)
        yield replace(_make_single_figure("million", connections, measurement), ratios=[ratio])
    for messages in DELIVERY_SIZES:
        measurement, ratio = _compare_sizes(bench, 1, messages)
        yield _make_delivery_figure("million", messages, measurement, [ratio])


def _compare_sizes(bench: Bench, connections: int, messages: int) -> tuple[Measurement, Ratio]:
    """Return the large database's last measurement, and its cost per message by the small one's."""
    small = Load(bench.workload, bench.leadport.port, connections, messages)
    large = Load(bench.large_workload, bench.large_leadport.port, connections, messages)
    seconds = bench.seconds / (2 if messages > 1 else 3)
    rounds = [(small.measure(seconds), large.measure(seconds)) for _ in range(ALTERNATING_ROUNDS)]
    costs = [
        _compute_cost(in_large, messages) / _compute_cost(in_small, messages)
        for in_small, in_large in rounds
    ]
    return rounds[-1][1], Ratio(
        value=mean(costs), to="cost in a small one", at_most=MAX_COST_RATIO_OF_MILLION
    )


def _make_single_figure(part: str, connections: int, measurement: Measurement) -> Figure:
    return Figure(
        part=part,
        what=f"{connections} connection{'s' * (connections > 1)}",
        value=measurement.rate,
        unit="messages/s",
        details=_make_time_details(measurement),
    )


def _make_delivery_figure(
    part: str, messages: int, measurement: Measurement, ratios: Sequence[Ratio]
) -> Figure:
    return Figure(
        part=part,
        what=f"{messages} messages",
        value=_compute_cost(measurement, messages) * 1e6,
        unit="µs a message",
        details=_make_time_details(measurement),
        ratios=ratios,
    )


def _compute_cost(measurement: Measurement, messages: int) -> float:
    """Compute a message's share of its delivery's latency.

    The rate would not do: it ignores deliveries that are in flight when the run ends, which may be
    a large part of it.
    """
    return measurement.mean / messages


def measure_paced(bench: Bench) -> Iterator[Figure]:
    """Measure latency at the rate that Meta asks for, compared with the p50 of one connection.

    One connection is measured before and after the paced run, and their mean p50 is used.
    """
    bench.workload.replace_conversations()
    port = bench.leadport.port
    count = int(bench.seconds * PACED_DURATION_FACTOR * PACED_MESSAGES_PER_SECOND)
    alone = Load(bench.workload, port, 1)
    before = alone.measure(bench.seconds / 3)
    requests = [encode_request(*bench.workload.make_samples(1)) for _ in range(count)]
    measurement = send_paced(port, requests, PACED_MESSAGES_PER_SECOND)
    check_answers(measurement, bench.workload.count_new_messages(), 1)
    after = alone.measure(bench.seconds / 3)
    p50 = mean((before.p50, after.p50))
    p99_ratio = Ratio(
        value=measurement.p99 / p50, to="p50 of 1 connection", at_most=MAX_P99_RATIO_OF_PACED
    )
    limit = f"{META_MEDIAN_LIMIT_SECONDS * 1000:g} ms"
    longest_ratio = Ratio(
        value=measurement.longest / META_MEDIAN_LIMIT_SECONDS, to=limit, at_most=1
    )
    yield Figure(
        part="paced",
        what=f"{PACED_MESSAGES_PER_SECOND} messages/s",
        value=measurement.p99 * 1000,
        unit="ms p99",
        details={
            **_make_time_details(measurement),
            f"over {limit} %": measurement.over_limit_share * 100,
        },
        ratios=[p99_ratio, longest_ratio],
    )


def measure_new_sender(bench: Bench) -> Iterator[Figure]:
    """Measure a burst of messages from one new sender, who must get one thread.

    Raises InvalidMeasurement where the sender has another number of threads.
    """
    bench.workload.replace_conversations()
    sender = bench.workload.make_new_sender()
    requests = [
        encode_request(0, [bench.workload.make_sample(sender)]) for _ in range(NEW_SENDER_MESSAGES)
    ]
    measurement = send_at_once(bench.leadport.port, requests)
    check_answers(measurement, bench.workload.count_new_messages(), 1)
    with psycopg.connect(bench.workload.database_url) as db:
        query = "SELECT count(*) FROM conversation_threads WHERE external_id = %s"
        if db.execute(query, [f"wa:{make_external_id(0)}:{sender}"]).fetchone() != (1,):
            raise InvalidMeasurement("the new sender does not have exactly one thread")
    yield Figure(
        part="hot",
        what=f"{NEW_SENDER_MESSAGES} of one new sender",
        value=measurement.rate,
        unit="messages/s",
        details=_make_time_details(measurement),
    )


def measure_row_security(bench: Bench) -> Iterator[Figure]:
    """Measure throughput with and without row-level security, alternating."""
    bench.workload.replace_conversations()
    load = Load(bench.workload, bench.leadport.port, COMPARISON_CONNECTIONS)
    rates: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(ALTERNATING_ROUNDS):
        with _disable_row_security(bench.workload.database_url):
            measurement = load.measure(bench.seconds)
        rates[False].append(measurement.rate)
        measurement = load.measure(bench.seconds)
        rates[True].append(measurement.rate)
    secured, unsecured = mean(rates[True]), mean(rates[False])
    cost_ratio = Ratio(
        value=unsecured / secured, to="cost without", at_most=MAX_COST_RATIO_OF_ROW_SECURITY
    )
    what = f"{COMPARISON_CONNECTIONS} connections"
    unit = "messages/s"
    yield Figure(part="rls", what=what, value=secured, unit=unit, ratios=[cost_ratio])
    yield Figure(part="rls", what=f"{what}, without", value=unsecured, unit=unit)


@contextmanager
def _disable_row_security(database_url: str) -> Iterator[None]:
    query = "SELECT oid::regclass::text FROM pg_class WHERE relrowsecurity"
    with psycopg.connect(database_url, autocommit=True) as db:
        tables = [name for (name,) in db.execute(query)]
        for table in tables:
            db.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
        try:
            yield
        finally:
            for table in tables:
                db.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")


def measure_memory(bench: Bench) -> Iterator[Figure]:
    """Measure the peak memory of a worker over all parts that have run; nothing without /proc."""
    peak = bench.leadport.read_peak_memory()
    if peak:
        limit = Ratio(value=peak / MAX_WORKER_BYTES, to=f"{MAX_WORKER_BYTES / 1e6:g} MB", at_most=1)
        yield Figure(part="memory", what="a worker", value=peak / 1e6, unit="MB", ratios=[limit])


def _make_time_details(measurement: Measurement) -> dict[str, float]:
    times = {"p50": measurement.p50, "p99": measurement.p99, "longest": measurement.longest}
    return {f"{name} ms": seconds * 1000 for name, seconds in times.items()}


PARTS: dict[str, Callable[[Bench], Iterator[Figure]]] = {
    "start": measure_start,
    "baseline": measure_baseline,
    "noop": measure_idle_server,
    "floor": measure_floor,
    "singles": measure_singles,
    "deliveries": measure_deliveries,
    "paced": measure_paced,
    "hot": measure_new_sender,
    "rls": measure_row_security,
    "million": measure_million,
    "memory": measure_memory,
}
"""The parts by name, in the order in which they run: later ones are compared with earlier ones."""
