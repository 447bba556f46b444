"""The collector leaves what was loaded at the start alone and still finds what became garbage later."""

import gc
import weakref

import pytest

from apps.reliability import garbage


@pytest.fixture
def _as_it_was():
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.me = self


@pytest.mark.usefixtures("_as_it_was")
def test_what_is_there_is_left_alone_and_the_young_may_be_more():
    loaded = [[] for _ in range(1000)]
    before = gc.get_freeze_count()
    garbage.settle()
    assert gc.get_freeze_count() >= before + len(loaded)
    assert gc.get_threshold() == (garbage.YOUNG, garbage.MIDDLE, garbage.OLD)
    assert gc.isenabled()
    assert not any(one is loaded for one in gc.get_objects())


@pytest.mark.usefixtures("_as_it_was")
def test_garbage_that_was_there_is_not_kept_for_ever():
    gone = weakref.ref(Knot())
    garbage.settle()
    assert gone() is None


@pytest.mark.usefixtures("_as_it_was")
def test_garbage_that_comes_later_is_found_by_itself():
    garbage.settle()
    gone = weakref.ref(Knot())
    kept = []
    while gone() is not None and len(kept) < 3 * garbage.YOUNG:
        kept.append([])
    assert gone() is None
