"""The messages API: `router` is mounted at /api/v1.

messages.py         a program posts what people wrote, and asks what became of it
conversations.py    a program reads a conversation
breakers.py         a program sees which of its accounts are failing, and resets their breakers
widget.py           the browser's side: start a conversation, post, read
(../events.py)      the browser's live stream, in a process of its own
"""

from ninja import Router

from apps.frontdoor.api import breakers, conversations, messages, widget

router = Router()
router.add_router("", messages.router, tags=["Messages"])
router.add_router("", conversations.router, tags=["Messages"])
router.add_router("", breakers.router, tags=["Breakers"])
router.add_router("/widget", widget.router, tags=["Widget"])

__all__ = ["router"]
