"""The provider that needs no key and no network: it answers by quoting the knowledge base.

It is honest about being simple: it names the title it quotes from, and says so when it found nothing.
"""

import math
import re

from apps.ai.base import Answer, OnText, Provider, Turn

NOTHING_FOUND = (
    "I'm sorry, I found nothing about that in my knowledge base. "
    "Could you ask it in other words, or about something else?"
)
HELLO = "Hello! What would you like to know?"
THANKS = "You're welcome! Is there anything else you would like to know?"

QUOTE_LENGTH = 700
CHARACTERS_PER_TOKEN = 4

_GREETINGS = frozenset(
    {"hi", "hello", "hey", "hiya", "greetings", "good morning", "good evening", "good day"}
)
_COURTESIES = frozenset({"thanks", "thank you", "thank you very much", "thanks a lot", "thx", "great thanks"})
_WORD = re.compile(r"[^\W_]{3,}")
_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"[.!?:…]['\"”)\]]?(?=\s|$)|\n")


class BuiltinProvider(Provider):
    """Quotes the best passage. Tokens are estimated at four characters each, the usual figure for English."""

    name = "builtin"
    uses_knowledge = True

    async def complete(self, turn: Turn, on_text: OnText | None = None) -> Answer:
        """Never fails: a question without a passage gets a plain "found nothing"."""
        read = [turn.system_prompt, *(line.text for line in turn.lines)]
        read += [passage.title + passage.text for passage in turn.passages]
        text = reply_to(turn)
        return Answer(
            text=text,
            model=self.name,
            tokens_in=sum(estimated_tokens(part) for part in read),
            tokens_out=estimated_tokens(text),
            estimated=True,
        )


def reply_to(turn: Turn) -> str:
    """The words of the answer."""
    question = turn.question
    said = " ".join(re.findall(r"[^\W_]+", question.lower()))
    if said in _GREETINGS:
        return HELLO
    if said in _COURTESIES:
        return THANKS
    best = max(turn.passages, key=lambda passage: passage.score, default=None)
    if best is None:
        return NOTHING_FOUND
    return f"{quote(best.text, question)}\n\n(From “{best.title}”)"


def quote(text: str, question: str, length: int = QUOTE_LENGTH) -> str:
    """The part of `text` that fits the question best: whole paragraphs where they fit into `length` characters,
    else up to the end of a sentence. An ellipsis shows where something was left out."""
    paragraphs = [part.strip() for part in _PARAGRAPH.split(text) if part.strip()]
    if not paragraphs:
        return text.strip()[:length]
    wanted = _stems(question)
    # The first of equals; what stands before it is kept when everything fits.
    start = max(range(len(paragraphs)), key=lambda place: (len(wanted & _stems(paragraphs[place])), -place))
    if sum(len(part) + 2 for part in paragraphs[: start + 1]) <= length:
        start = 0
    chosen = "\n\n".join(paragraphs[start:])
    return ("… " if start else "") + trimmed(chosen, length)


def trimmed(text: str, length: int) -> str:
    """At most about `length` characters, cut after a sentence, else between two words."""
    if len(text) <= length:
        return text
    cut = text[:length]
    ends = [match.end() for match in _SENTENCE_END.finditer(cut)]
    # The end of a sentence in the first third would throw away too much.
    if ends and ends[-1] > length // 3:
        return cut[: ends[-1]].rstrip() + " …"
    return (cut.rsplit(None, 1)[0] if re.search(r"\s", cut) else cut).rstrip() + " …"


def estimated_tokens(text: str) -> int:
    """About how many tokens a language model would count."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


def _stems(text: str) -> set[str]:
    """Words by their beginnings, so that "deliver" and "delivered" meet."""
    return {word[:6] for word in _WORD.findall(text.lower())}
