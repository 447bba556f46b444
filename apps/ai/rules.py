"""The providers' words for their refusals, in the order in which they are tried (apps/ai/failures.py).

OpenAI's codes: platform.openai.com/docs/guides/error-codes, and for quota Microsoft's dev-proxy pages, which list the
codes that stand behind one 429. Texts of vLLM, llama.cpp and Ollama are from their sources and issue threads.
Anthropic's: platform.claude.com/docs/en/api/errors and the types that its client ships.
"""

from apps.ai.failures import Means, Rule

REDIRECTS = (301, 302, 303, 307, 308)
CLIENT_ERRORS = range(400, 500)
# 4xx that may well work later
LATER = (408, 409, 425)

OPENAI: tuple[Rule, ...] = (
    Rule(
        Means.QUOTA,
        words=frozenset(
            {
                "insufficient_quota",
                "credit_balance_exhausted",
                "organization_spend_limit_exceeded",
                "project_spend_limit_exceeded",
                "organization_usage_limit_exceeded",
                "billing_hard_limit_reached",
                "billing_not_active",
                "insufficient_balance",
            }
        ),
    ),
    Rule(Means.QUOTA, statuses=(402,)),
    Rule(
        Means.QUOTA,
        statuses=(0, 400, 403, 429),
        text=r"exceeded your current quota|credit balance|insufficient (credit|balance|funds)",
    ),
    Rule(Means.RATE_LIMIT, statuses=(429,)),
    Rule(Means.RATE_LIMIT, words=frozenset({"rate_limit_exceeded", "slow_down", "rate_limit_error"})),
    Rule(Means.REGION, words=frozenset({"unsupported_country_region_territory"})),
    Rule(
        Means.CONTENT,
        words=frozenset(
            {
                "content_filter",
                "content_policy_violation",
                "moderation_blocked",
                "ResponsibleAIPolicyViolation",
            }
        ),
    ),
    Rule(Means.MODEL, words=frozenset({"model_not_found", "DeploymentNotFound"})),
    Rule(Means.KEY, statuses=(401, 403)),
    Rule(Means.KEY, words=frozenset({"invalid_api_key", "authentication_error", "invalid_organization"})),
    Rule(
        Means.CONTEXT,
        words=frozenset({"context_length_exceeded", "exceed_context_size_error", "string_above_max_length"}),
    ),
    Rule(
        Means.CONTEXT,
        statuses=(0, 400, 413, 422, 500),
        text=r"maximum context length|maximum model length|context (length|window|size)"
        r"|(prompt|input|request) (is )?too (long|large)|too many (input )?tokens"
        # vLLM when the prompt leaves no room for an answer
        r"|max_(completion_)?tokens must be at least 1, got -",
    ),
    Rule(Means.TOO_LARGE, statuses=(413,)),
    Rule(
        Means.MODEL,
        statuses=(400, 404, 422),
        text=r"\bmodel\b.{0,200}(not found|not exist|not supported|not available|try pulling)"
        r"|(unknown|invalid|no such) model|no model (is )?loaded",
    ),
    Rule(Means.ADDRESS, statuses=(404, 405, 410, *REDIRECTS)),
    Rule(Means.NO_USAGE, statuses=(400, 422, 501), text=r"stream_options|include_usage"),
    Rule(Means.NO_USAGE, statuses=(400, 422, 501), words=frozenset({"stream_options"})),
    Rule(Means.NO_STREAM, statuses=(400, 422, 501), words=frozenset({"stream"})),
    Rule(
        Means.NO_STREAM,
        statuses=(400, 422, 501),
        text=r"\bstream(ing)?\b.{0,60}(not |n't |un)(be )?(support|implement|allow|enabl|avail)"
        r"|(not|n't) support(ed)?.{0,40}\bstream",
    ),
    Rule(Means.OVERLOADED, statuses=(503, 529)),
    Rule(Means.OVERLOADED, words=frozenset({"overloaded_error", "engine_overloaded", "server_overloaded"})),
    Rule(Means.TROUBLE, statuses=LATER),
    Rule(Means.BAD_REQUEST, statuses=CLIENT_ERRORS),
)

ANTHROPIC: tuple[Rule, ...] = (
    # Its spending limits come as 400, 402, 403 or 429; the message of the 400 is all that tells it apart.
    Rule(Means.QUOTA, words=frozenset({"billing_error"})),
    Rule(
        Means.QUOTA,
        words=frozenset(
            {
                "enforced_spend_limit_reached",
                "contract_spend_limit_reached",
                "linked_organization_spend_limit_reached",
                "linked_organization_billing_unavailable",
                "organization_on_hold",
            }
        ),
    ),
    Rule(Means.QUOTA, statuses=(402,)),
    Rule(
        Means.QUOTA,
        statuses=(0, 400, 403, 429),
        text=r"credit balance is too low|spend(ing)? limit|usage limit.{0,80}regain access|specified API usage limits",
    ),
    Rule(Means.RATE_LIMIT, statuses=(429,)),
    Rule(Means.RATE_LIMIT, words=frozenset({"rate_limit_error"})),
    Rule(Means.KEY, statuses=(401, 403)),
    Rule(Means.KEY, words=frozenset({"authentication_error", "permission_error"})),
    Rule(Means.OVERLOADED, statuses=(503, 529)),
    Rule(Means.OVERLOADED, words=frozenset({"overloaded_error"})),
    Rule(
        Means.CONTEXT,
        statuses=(0, 400, 413),
        text=r"prompt is too long|context (window|limit|length)|exceed.{0,40}context|too many (input )?tokens",
    ),
    Rule(Means.TOO_LARGE, statuses=(413,)),
    Rule(Means.TOO_LARGE, words=frozenset({"request_too_large"})),
    Rule(Means.CONTENT, statuses=(0, 400), text=r"content filtering policy|output blocked|usage policy"),
    # 404 not_found_error names what it did not find: "model: claude-…"; a path that is not there has another text.
    Rule(Means.MODEL, statuses=(0, 404), words=frozenset({"not_found_error"}), text=r"\bmodel\b"),
    Rule(
        Means.MODEL,
        statuses=(400, 410),
        text=r"\bmodel\b.{0,100}(retired|deprecated|not exist)|invalid model",
    ),
    Rule(Means.ADDRESS, statuses=(404, 405, 410, *REDIRECTS)),
    Rule(Means.TROUBLE, statuses=LATER),
    Rule(Means.BAD_REQUEST, statuses=CLIENT_ERRORS),
    Rule(Means.BAD_REQUEST, words=frozenset({"invalid_request_error"})),
)
