"""What an API key may do. Word before the colon: the noun; after it: read or write."""

from django.core.exceptions import ValidationError

MESSAGES_WRITE = "messages:write"
MESSAGES_READ = "messages:read"
BREAKERS_READ = "breakers:read"
BREAKERS_WRITE = "breakers:write"

SCOPES = {
    MESSAGES_WRITE: "Send messages",
    MESSAGES_READ: "Read messages and conversations",
    BREAKERS_READ: "See which accounts and providers are failing",
    BREAKERS_WRITE: "Reset circuit breakers of your accounts",
}


def validate_scopes(value: object) -> None:
    """Refuse anything but a non-empty list of known scopes without repeats. Raises ValidationError."""
    if not isinstance(value, list) or not value:
        raise ValidationError("Choose at least one scope.", code="no_scopes")
    unknown = [scope for scope in value if not isinstance(scope, str) or scope not in SCOPES]
    if unknown:
        raise ValidationError(
            f"Unknown scope: {', '.join(map(str, unknown))}. Known: {', '.join(SCOPES)}.",
            code="unknown_scope",
        )
    if len(set(value)) != len(value):
        raise ValidationError("Name each scope once.", code="repeated_scope")
