"""Log lines: one JSON object each, whoever wrote them, and nothing secret in any of them."""

import io
import json
import logging
import os
import subprocess
import sys

import pytest
import structlog

from project import logs

TOKEN = "123456789:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw0"  # shaped like a Telegram bot's


@pytest.fixture
def lines():
    """What the given format writes, line by line."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logs.formatter("json"))
    logger = logging.getLogger("test.lines")
    logger.addHandler(handler)
    logger.setLevel("INFO")
    logger.propagate = False
    yield lambda: [json.loads(line) for line in written.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.propagate = True


def test_our_lines_carry_what_was_bound(lines):
    structlog.contextvars.bind_contextvars(job=7)
    structlog.get_logger("test.lines").info("job_finished", attempt=2)
    (line,) = lines()
    assert (line["event"], line["job"], line["attempt"], line["level"]) == ("job_finished", 7, 2, "info")
    assert line["timestamp"].endswith("Z")


def test_lines_of_libraries_have_the_same_shape(lines):
    logging.getLogger("test.lines").warning("%s went away", "Redis", extra={"port": 6379})
    (line,) = lines()
    assert (line["event"], line["level"], line["port"]) == ("Redis went away", "warning", 6379)


def test_a_traceback_is_one_field_of_one_line(lines):
    try:
        raise ValueError("broken")
    except ValueError:
        structlog.get_logger("test.lines").exception("call_failed")
    (line,) = lines()
    assert "ValueError: broken" in line["exception"]


def test_secrets_are_masked_wherever_they_stand(lines):
    log = structlog.get_logger("test.lines")
    log.warning("refused", token="very-secret-value", payload={"password": "very-secret-value"})
    log.warning(f"GET https://api.telegram.org/bot{TOKEN}/getMe")
    logging.getLogger("test.lines").warning("calling with %s", TOKEN)
    try:
        raise ValueError(f"bad token {TOKEN}")
    except ValueError:
        log.exception("call_failed")
    written = json.dumps(lines())
    assert len(lines()) == 4
    assert "very-secret-value" not in written
    assert TOKEN not in written


def test_libraries_that_log_whole_urls_are_quiet():
    for name in ("httpx", "urllib3", "telegram"):
        assert not logging.getLogger(name).isEnabledFor(logging.INFO)


@pytest.mark.parametrize("log_format", ["json", "console", "colour"])
def test_each_format_can_be_configured(log_format):
    record = logging.LogRecord("any", logging.INFO, __file__, 1, "hello %s", ("world",), None)
    assert "hello world" in logs.formatter(log_format).format(record)


def test_granians_own_process_writes_the_same_lines(settings):
    """Its configuration is a file; the server reads it before there are settings."""
    given = json.loads((settings.BASE_DIR / "project" / "granian.json").read_text())
    code = (
        "import json, logging, sys; from granian.log import configure_logging, LogLevels; "
        "configure_logging(LogLevels.info, json.load(open('project/granian.json'))); "
        "logging.getLogger('_granian').info('Listening at %s', 'somewhere')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=settings.BASE_DIR,
        env={**os.environ, "LOG_FORMAT": "json"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert json.loads(done.stderr)["event"] == "Listening at somewhere", done.stderr
    assert set(given["loggers"]) == {"_granian", "granian.access"}
