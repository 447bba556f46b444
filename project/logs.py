"""How log lines look: one processor chain for our own lines and for those of every library.

JSON lines in production, columns for a person in development (LOG_FORMAT). Every line, whoever wrote it, passes
`redact` before it is rendered, tracebacks included, so a secret that slipped into a message does not reach the log.
"""

import os
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger


def redact_line(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """The processor that masks secrets in a whole line."""
    # Imported at the first line and not with the settings, before which no room may load.
    from apps.reliability.redaction import redact

    masked: EventDict = redact(line)
    return masked


SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
    structlog.processors.UnicodeDecoder(),
]


def _renderer(log_format: str) -> list[Processor]:
    if log_format == "json":
        return [
            structlog.processors.format_exc_info,
            redact_line,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ]
    return [
        structlog.processors.format_exc_info,
        redact_line,
        structlog.dev.ConsoleRenderer(colors=log_format == "colour"),
    ]


def formatter(log_format: str = "") -> structlog.stdlib.ProcessorFormatter:
    """The one formatter. Without `log_format`, for a process that has no settings: what LOG_FORMAT says."""
    return structlog.stdlib.ProcessorFormatter(
        # Records that come from the standard library (Django, Celery, granian) get what ours have.
        foreign_pre_chain=[*SHARED, structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_renderer(log_format or os.environ.get("LOG_FORMAT", "json")),
        ],
    )


def configure(log_format: str, level: str) -> dict[str, Any]:
    """Configure structlog and return Django's LOGGING for `log_format` (json, console, colour) and `level`."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *SHARED,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    to_console = {"handlers": ["console"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        # granian's first process loads no settings: project/granian.json names the same formatter.
        "formatters": {"lines": {"()": formatter, "log_format": log_format}},
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "lines"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Django and granian bring handlers of their own; theirs would print every line in another shape.
            "django": {**to_console, "level": level},
            "django.server": {**to_console, "level": level},
            "_granian": {**to_console, "level": level},
            "granian.access": {**to_console, "level": level},
            # These write whole URLs, and a bot's token stands in its URL.
            "httpx": {"level": "WARNING"},
            "httpcore": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "telegram": {"level": "WARNING"},
            # One line per call, and at DEBUG what people wrote.
            "httpx2": {"level": "WARNING"},
            "httpcore2": {"level": "WARNING"},
            "openai": {"level": "WARNING"},
            "anthropic": {"level": "WARNING"},
            # One line per bell says nothing: the ledger logs what its jobs did.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
