"""Blocking calls beside an event loop, for which nobody has to wait: what Redis is told of how a call went."""

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")


def in_background(function: Callable[..., T], *args: Any, **kwargs: Any) -> asyncio.Future[T]:
    """Run it on a thread of the running loop, from now on, whether anybody awaits it or not.

    Unlike `asyncio.to_thread` it has begun when this returns, so that whoever is cancelled at their next await has
    said it all the same.
    """
    work = partial(contextvars.copy_context().run, function, *args, **kwargs)
    return asyncio.get_running_loop().run_in_executor(None, work)
