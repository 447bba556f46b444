"""Text as both databases can keep it."""

import re

# PostgreSQL refuses NUL in a text; a surrogate without its partner is no Unicode and can't be encoded.
_NUL = "\x00"
_SURROGATE = re.compile("[\ud800-\udfff]")


def storable(text: str) -> str:
    """The text without NUL characters and with lone surrogates replaced by U+FFFD."""
    return _SURROGATE.sub("�", text.replace(_NUL, ""))
