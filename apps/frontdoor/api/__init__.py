"""The messages API: `router` is mounted at /api/v1.

messages.py         a program posts what people wrote, and asks what became of it
conversations.py    a program reads a conversation
widget.py           the browser's side: start a conversation, post, read
(../events.py)      the browser's live stream, in a process of its own
"""

from ninja import Router

from apps.frontdoor.api import conversations, messages, widget

router = Router()
router.add_router("", messages.router, tags=["Messages"])
router.add_router("", conversations.router, tags=["Messages"])
router.add_router("/widget", widget.router, tags=["Widget"])

__all__ = ["router"]
