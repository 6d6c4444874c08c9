"""Logs: a JSON object a line in production, readable lines in development, all to stderr."""

import logging
import sys

import structlog


def set_up(*, is_production: bool, level: int = logging.INFO) -> None:
    """Send everything that logs through one formatter; what libraries say counts from WARNING."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if is_production
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for ours in ("leadport", "interfaces", "application", "infrastructure"):
        logging.getLogger(ours).setLevel(level)
    # It warns of each transaction that somebody else overtook; what is wrong it raises as well.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
