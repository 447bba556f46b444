"""Who may pass: an API key with the scope that is asked for, or the token of one conversation.

Both come in a header, never in a URL, and are never written to a log.
"""

from typing import Any

from django.http import HttpRequest
from ninja.security import APIKeyHeader, HttpBearer

from apps.accounts.models import ApiKey
from apps.accounts.services import authenticate_api_key
from apps.frontdoor import lookups, problems
from apps.frontdoor.lookups import Visitor


def key_for(secret: str, scope: str) -> ApiKey:
    """The key behind `secret`. Raises Problem: 401 for a secret that opens nothing, 403 without the scope."""
    key = authenticate_api_key(secret)
    if key is None:
        detail = f"This API key is unknown, revoked or expired. {problems.UNAUTHORIZED}"
        raise problems.Problem(401, detail, {"WWW-Authenticate": "Bearer"})
    if not key.has_scope(scope):
        raise problems.Problem(403, f"This API key lacks the scope {scope}.")
    return key


def visitor_for(token: str) -> Visitor:
    """Whose conversation `token` opens. Raises Problem: 401 for one that opens nothing, 403 for a chat that is
    switched off."""
    visitor = lookups.visitor_by_token(token) if token else None
    if visitor is None:
        detail = "This conversation token opens nothing here. Start a new conversation."
        raise problems.Problem(401, detail, {"WWW-Authenticate": "Bearer"})
    if not visitor.account.is_open:
        raise problems.Problem(403, "This chat is switched off.")
    return visitor


def bearer(authorization: str) -> str:
    """The token of `Bearer …`, or "" where there is none."""
    scheme, _, token = authorization.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class BearerKey(HttpBearer):
    """`Authorization: Bearer sb_…`. Puts the ApiKey into `request.auth`."""

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    # Not the parent's: with DEBUG on it logs the header when the scheme is another.
    def __call__(self, request: HttpRequest) -> Any:
        token = bearer(request.headers.get("Authorization", ""))
        return self.authenticate(request, token) if token else None

    def authenticate(self, request: HttpRequest, token: str) -> ApiKey:
        return key_for(token, self.scope)


class HeaderKey(APIKeyHeader):
    """`X-API-Key: sb_…`. Puts the ApiKey into `request.auth`."""

    param_name = "X-API-Key"

    def __init__(self, scope: str) -> None:
        super().__init__()
        self.scope = scope

    def authenticate(self, request: HttpRequest, key: str | None) -> ApiKey | None:
        return key_for(key, self.scope) if key else None


def api_key(scope: str) -> list[Any]:
    """What an operation names as its `auth`: an API key in either header."""
    return [BearerKey(scope), HeaderKey(scope)]


class ConversationToken(HttpBearer):
    """`Authorization: Bearer <conversation token>`. Puts the Visitor into `request.auth`."""

    def __call__(self, request: HttpRequest) -> Any:
        return self.authenticate(request, bearer(request.headers.get("Authorization", "")))

    def authenticate(self, request: HttpRequest, token: str) -> Visitor:
        return visitor_for(token)


def key_of(request: HttpRequest) -> ApiKey:
    """The API key that let this request in."""
    key = getattr(request, "auth", None)
    if not isinstance(key, ApiKey):
        raise TypeError("this operation is not behind api_key()")
    return key


def visitor_of(request: HttpRequest) -> Visitor:
    """The visitor whose token let this request in."""
    visitor = getattr(request, "auth", None)
    if not isinstance(visitor, Visitor):
        raise TypeError("this operation is not behind ConversationToken()")
    return visitor
