"""The tables of the providers' words, entry by entry, and what follows from each meaning."""

import json
from typing import Any

import pytest

from apps.ai import rules
from apps.ai.failures import (
    FOLLOWS,
    Means,
    Refusal,
    error_for,
    meaning,
    refusal_in,
    refusal_of,
)
from apps.reliability.errors import PermanentError, Postpone, TransientError
from apps.reliability.http import USUAL_PAUSE

# (status, type, code, message or whole body) -> meaning. Status 0: in a stream.
OPENAI: list[tuple[int, str | None, Any, Any, Means]] = [
    (429, "insufficient_quota", "insufficient_quota", "You exceeded your current quota", Means.QUOTA),
    (429, "insufficient_quota", "credit_balance_exhausted", "", Means.QUOTA),
    (429, "insufficient_quota", "organization_spend_limit_exceeded", "", Means.QUOTA),
    (429, "insufficient_quota", "project_spend_limit_exceeded", "", Means.QUOTA),
    (429, "insufficient_quota", "organization_usage_limit_exceeded", "", Means.QUOTA),
    (400, None, "billing_hard_limit_reached", "Billing hard limit has been reached", Means.QUOTA),
    (403, None, "billing_not_active", "Your account is not active", Means.QUOTA),
    (402, None, None, "Insufficient Balance", Means.QUOTA),
    (429, None, "insufficient_balance", "", Means.QUOTA),
    (403, None, None, "Insufficient credits. Add more to continue.", Means.QUOTA),
    (
        429,
        "requests",
        "rate_limit_exceeded",
        "Rate limit reached for gpt-x in organization org-1",
        Means.RATE_LIMIT,
    ),
    (429, None, None, "Too many requests", Means.RATE_LIMIT),
    (503, "server_error", "slow_down", "Slow down", Means.RATE_LIMIT),
    (0, None, "rate_limit_exceeded", "", Means.RATE_LIMIT),
    (
        403,
        None,
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
        Means.REGION,
    ),
    (400, None, "content_filter", "The response was filtered", Means.CONTENT),
    (400, None, "content_policy_violation", "Your request was rejected", Means.CONTENT),
    (400, None, "moderation_blocked", "", Means.CONTENT),
    (404, None, "DeploymentNotFound", "The API deployment for this resource does not exist.", Means.MODEL),
    (404, "invalid_request_error", "model_not_found", "The model `x` does not exist", Means.MODEL),
    (403, None, "model_not_found", "Project `p` does not have access to model `x`", Means.MODEL),
    (401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided: sk-a***", Means.KEY),
    (403, None, None, "Forbidden", Means.KEY),
    (0, None, "invalid_api_key", "", Means.KEY),
    (400, None, "context_length_exceeded", "", Means.CONTEXT),
    (400, "exceed_context_size_error", 400, "the request exceeds the available context size", Means.CONTEXT),
    (
        400,
        "BadRequestError",
        400,
        "This model's maximum context length is 6048 tokens. However, …",
        Means.CONTEXT,
    ),
    (400, "BadRequestError", 400, "max_tokens must be at least 1, got -186.", Means.CONTEXT),
    (400, None, None, "The prompt is too long: 9000 tokens", Means.CONTEXT),
    (413, None, None, "Request Entity Too Large", Means.TOO_LARGE),
    (404, "api_error", None, 'model "llama9" not found, try pulling it first', Means.MODEL),
    (400, None, None, "Invalid model name passed in model=x", Means.MODEL),
    (404, None, None, "404 page not found", Means.ADDRESS),
    (405, None, None, "Method Not Allowed", Means.ADDRESS),
    (308, None, None, "", Means.ADDRESS),
    (400, None, None, "Unrecognized request argument supplied: stream_options", Means.NO_USAGE),
    (422, None, None, "Extra inputs are not permitted: include_usage", Means.NO_USAGE),
    (400, None, None, "Streaming is not supported for this model", Means.NO_STREAM),
    (501, None, None, "not supported: stream", Means.NO_STREAM),
    (503, None, None, "The engine is currently overloaded, please try again later", Means.OVERLOADED),
    (529, None, None, "", Means.OVERLOADED),
    (0, "overloaded_error", None, "", Means.OVERLOADED),
    (408, None, None, "", Means.TROUBLE),
    (500, "server_error", None, "The server had an error", Means.TROUBLE),
    (502, None, None, "Bad gateway", Means.TROUBLE),
    (0, "server_error", None, "The server had an error", Means.TROUBLE),
    (
        400,
        "invalid_request_error",
        None,
        "Invalid 'temperature': decimal above maximum value.",
        Means.BAD_REQUEST,
    ),
    (422, None, None, "Unprocessable", Means.BAD_REQUEST),
]
ANTHROPIC: list[tuple[int, str | None, Any, Any, Means]] = [
    (402, "billing_error", None, "There's an issue with your billing", Means.QUOTA),
    (402, None, None, "", Means.QUOTA),
    (429, "rate_limit_error", "enforced_spend_limit_reached", "You have reached your limit", Means.QUOTA),
    (429, "rate_limit_error", "contract_spend_limit_reached", "", Means.QUOTA),
    (403, "permission_error", "organization_on_hold", "", Means.QUOTA),
    (
        400,
        "invalid_request_error",
        None,
        "Your credit balance is too low to access the Anthropic API.",
        Means.QUOTA,
    ),
    (
        *(400, "invalid_request_error", None),
        *(
            "You have reached your specified API usage limits. You will regain access on 2026-12-01.",
            Means.QUOTA,
        ),
    ),
    (0, "billing_error", None, "", Means.QUOTA),
    (
        429,
        "rate_limit_error",
        None,
        "This request would exceed your organization's rate limit",
        Means.RATE_LIMIT,
    ),
    (0, "rate_limit_error", None, "", Means.RATE_LIMIT),
    (401, "authentication_error", None, "invalid x-api-key", Means.KEY),
    (403, "permission_error", None, "Your API key does not have permission", Means.KEY),
    (0, "authentication_error", None, "", Means.KEY),
    (529, "overloaded_error", None, "Overloaded", Means.OVERLOADED),
    (503, None, None, "", Means.OVERLOADED),
    (0, "overloaded_error", None, "Overloaded", Means.OVERLOADED),
    (400, "invalid_request_error", None, "prompt is too long: 250000 tokens > 200000 maximum", Means.CONTEXT),
    (
        *(400, "invalid_request_error", None),
        *("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000", Means.CONTEXT),
    ),
    (413, "request_too_large", None, "Request exceeds the maximum size", Means.TOO_LARGE),
    (0, "request_too_large", None, "", Means.TOO_LARGE),
    (400, "invalid_request_error", None, "Output blocked by content filtering policy", Means.CONTENT),
    (404, "not_found_error", None, "model: claude-9", Means.MODEL),
    (410, "invalid_request_error", None, "model 'claude-4' has been retired", Means.MODEL),
    (404, "not_found_error", None, "Not found", Means.ADDRESS),
    (301, None, None, "", Means.ADDRESS),
    (409, "conflict_error", None, "", Means.TROUBLE),
    (500, "api_error", None, "Internal server error", Means.TROUBLE),
    (504, "timeout_error", None, "", Means.TROUBLE),
    (0, "api_error", None, "Internal server error", Means.TROUBLE),
    (400, "invalid_request_error", None, "temperature: Extra inputs are not permitted", Means.BAD_REQUEST),
    (0, "invalid_request_error", None, "no", Means.BAD_REQUEST),
]


def read(provider: str, status: int, kind: str | None, code: Any, message: str) -> Refusal:
    inner: dict[str, Any] = {"type": kind, "message": message}
    inner |= {"code": code, "param": None} if provider == "openai" else {"details": {"error_code": code}}
    body = {"error": inner}
    return refusal_of(status, {}, json.dumps(body)) if status else refusal_in(body)


@pytest.mark.parametrize(("status", "kind", "code", "message", "means"), OPENAI)
def test_openais_words(status, kind, code, message, means):
    assert meaning(rules.OPENAI, read("openai", status, kind, code, message)) is means


@pytest.mark.parametrize(("status", "kind", "code", "message", "means"), ANTHROPIC)
def test_anthropics_words(status, kind, code, message, means):
    assert meaning(rules.ANTHROPIC, read("anthropic", status, kind, code, message)) is means


@pytest.mark.parametrize(
    ("provider", "table", "entries"),
    [("openai", rules.OPENAI, OPENAI), ("anthropic", rules.ANTHROPIC, ANTHROPIC)],
)
def test_every_rule_decides_something(provider, table, entries):
    refusals = [read(provider, *entry[:4]) for entry in entries]
    deciding = {
        place
        for refusal in refusals
        for place in [next((n for n, rule in enumerate(table) if rule.fits(refusal)), None)]
    }
    # parameters are words too
    deciding |= {
        next(n for n, rule in enumerate(table) if rule.fits(Refusal(400, frozenset({param}))))
        for param in ("stream", "stream_options")
        if provider == "openai"
    }
    assert [table[place] for place in range(len(table)) if place not in deciding] == []


def test_every_meaning_has_its_error_and_what_is_permanent_its_advice():
    assert set(FOLLOWS) == set(Means)
    for means, follows in FOLLOWS.items():
        error = error_for(means, Refusal(418, message="said"), who="p (m)")
        assert type(error) is follows.kind
        assert error.code == means
        assert str(error).startswith("p (m): ")
        assert "418 said" in str(error)
        assert isinstance(error, PermanentError) == bool(follows.advice)


def test_how_long_to_wait():
    refusal = refusal_of(429, {"retry-after-ms": "1500", "retry-after": "2"}, "{}")
    assert refusal.retry_after == 1.5
    assert refusal_of(429, {"retry-after": "7"}, "{}").retry_after == 7
    assert refusal_of(429, {"retry-after-ms": "nan"}, "{}").retry_after is None
    assert refusal_of(429, {"retry-after": "soon"}, "").retry_after is None
    assert refusal_of(429, {"retry-after-ms": "-5"}, "").retry_after == 0
    postponed = error_for(Means.RATE_LIMIT, Refusal(429), who="p")
    assert isinstance(postponed, Postpone)
    assert postponed.seconds == USUAL_PAUSE
    waiting = error_for(Means.OVERLOADED, Refusal(529, retry_after=3), who="p")
    assert isinstance(waiting, TransientError)
    assert waiting.retry_after == 3


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"error": {"message": "a", "code": 404}}', "a"),
        ('{"error": "model not found"}', "model not found"),
        ('{"object": "error", "message": "b", "code": 400}', "b"),
        ('{"detail": "c"}', "c"),
        ('{"detail": [{"msg": "d"}]}', '[{"msg": "d"}]'),
        ("<html>no</html>", "<html>no</html>"),
        ("[1]", "[1]"),
        ("", ""),
        ("null", "None"),
    ],
)
def test_errors_of_any_shape(body, message):
    refusal = refusal_of(400, {}, body)
    assert (refusal.status, refusal.message) == (400, message)


def test_azures_own_reason():
    inner = {"code": "ResponsibleAIPolicyViolation"}
    refusal = refusal_in({"error": {"code": "other", "innererror": inner}}, 400)
    assert meaning(rules.OPENAI, refusal) is Means.CONTENT


def test_what_is_repeated_is_short_and_without_the_key():
    refusal = Refusal(401, message="your key\nsk-123 " + "x" * 500)
    text = str(error_for(Means.KEY, refusal, who="p", mask="sk-123"))
    assert "sk-123" not in text
    assert "your key ***" in text
    assert len(text) < 450
