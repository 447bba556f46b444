"""The words of a question that are worth searching for.

A question is any text a person typed. What is kept of it are runs of letters and digits, so nothing that any
query language could take for an operator ever reaches a database.
"""

import re

from apps.conversations.text import storable

# A person's question seldom has more words that matter; a pasted page is searched for by its beginning.
MOST_WORDS = 24
LONGEST_WORD = 64

_WORD = re.compile(r"[^\W_]+")

# What every question is made of. The first part is what PostgreSQL's English dictionary drops, so that both
# databases leave out the same; the last lines are what people add when they talk to a chatbot.
_COMMON = """
    i me my myself we our ours ourselves you your yours yourself yourselves he him his himself she her hers
    herself it its itself they them their theirs themselves what which who whom this that these those am is are
    was were be been being have has had having do does did doing a an the and but if or because as until while of
    at by for with about against between into through during before after above below to from up down in out on
    off over under again further then once here there when where why how all any both each few more most other
    some such no nor not only own same so than too very s t can will just don should now
    d ll m re ve o y couldn didn doesn hadn hasn haven isn ma mightn mustn needn shan shouldn wasn weren won wouldn
    could would may might must shall also please tell know let lets like want need get got give
    hello hi hey thanks thank ok okay yes well really actually
"""
STOP_WORDS = frozenset(_COMMON.split())


def words(question: str) -> list[str]:
    """The distinct words of `question` that say what it is about, in their order, in lower case."""
    found: dict[str, None] = {}
    for word in _WORD.findall(storable(question).lower()):
        if word not in STOP_WORDS and len(word) <= LONGEST_WORD:
            found[word] = None
            if len(found) == MOST_WORDS:
                break
    return list(found)


def enough(count: int) -> int:
    """How many of `count` words a text must have to be about the question: a long one must not match by chance."""
    return 1 if count <= 3 else 2
