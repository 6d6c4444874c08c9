"""Configures logging: one JSON object a line in production, coloured lines in development.

Both go to standard error.
"""

import logging
import sys

import structlog

OWN_PACKAGES = ("leadport", "interfaces", "application", "infrastructure")


def configure_logging(*, is_production: bool, level: int = logging.INFO) -> None:
    """Format the records of all loggers with structlog (D41).

    `level` applies to Leadport's own packages. Libraries log from WARNING on.
    """
    processors: list[structlog.typing.Processor] = [
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
            foreign_pre_chain=processors,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    for package in OWN_PACKAGES:
        logging.getLogger(package).setLevel(level)
    # psycopg warns about each transaction that lost a race and was abandoned; these are retried.
    # It raises its errors besides logging them.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
