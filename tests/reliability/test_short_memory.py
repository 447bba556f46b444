"""What is remembered, for how long, and what is not."""

import threading

import pytest

from apps.reliability import short_memory
from apps.reliability.short_memory import ShortMemory, forget_all


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    fake = Clock()
    monkeypatch.setattr(short_memory, "time", fake)
    monkeypatch.setattr(short_memory, "FRESH_SECONDS", 2.0)
    return fake


class Table:
    """What is true, and how often somebody asked."""

    def __init__(self, **rows: str) -> None:
        self.rows, self.asked = rows, []

    def find(self, key):
        self.asked.append(key)
        return self.rows.get(key)

    def find_many(self, keys):
        self.asked.append(keys)
        return {key: self.rows[key] for key in keys if key in self.rows}


def test_it_is_asked_once_in_two_seconds(clock):
    table, memory = Table(a="1"), ShortMemory()
    assert [memory.get("a", table.find) for _ in range(3)] == ["1"] * 3
    clock.now += 1.99
    table.rows["a"] = "2"
    assert memory.get("a", table.find) == "1"
    clock.now += 0.02
    assert memory.get("a", table.find) == "2"
    assert table.asked == ["a", "a"]


def test_the_two_seconds_begin_when_it_was_asked_not_when_it_was_told(clock):
    """What was switched off while a slow answer was under way is noticed in time all the same."""
    memory = ShortMemory()

    def slow(key):
        clock.now += 1.5
        return "1"

    memory.get("a", slow)
    clock.now += 0.6
    assert memory.known("a") is None
    memory.get_many(["a"], lambda keys: {key: slow(key) for key in keys})
    clock.now += 0.6
    assert memory.known("a") is None


def test_nothing_is_remembered_of_what_was_not_found(clock):
    table, memory = Table(), ShortMemory()
    assert memory.get("a", table.find) is None
    assert memory.get_many(["a"], table.find_many) == {}
    table.rows["a"] = "new"
    assert memory.get("a", table.find) == "new"


@pytest.mark.parametrize("many", [False, True])
def test_what_is_gone_does_not_stay(clock, many):
    table, memory = Table(a="secret"), ShortMemory()
    memory.get("a", table.find)
    clock.now += 3
    del table.rows["a"]
    assert not (memory.get_many(["a"], table.find_many) if many else memory.get("a", table.find))
    assert memory._known == {}


def test_many_ask_only_for_what_is_not_known(clock):
    table, memory = Table(a="1", b="2", c="3"), ShortMemory()
    memory.get("a", table.find)
    assert memory.get_many(["a", "b", "c", "c"], table.find_many) == {"a": "1", "b": "2", "c": "3"}
    assert memory.get_many(["b", "c"], table.find_many) == {"b": "2", "c": "3"}
    assert table.asked == ["a", {"b", "c"}]
    assert memory.get_many([], table.find_many) == {}


def test_who_only_wants_what_is_known_asks_nobody(clock):
    table, memory = Table(a="1"), ShortMemory()
    assert memory.known("a") is None
    memory.get("a", table.find)
    assert memory.known("a") == "1"
    clock.now += 2
    assert memory.known("a") is None
    assert table.asked == ["a"]


def test_it_does_not_grow_for_ever(clock, monkeypatch):
    monkeypatch.setattr(short_memory, "MOST_REMEMBERED", 10)
    memory = ShortMemory()
    for key in range(1000):
        memory.get(key, str)
        assert len(memory._known) <= 10
    assert memory.get_many(range(25), lambda keys: {key: str(key) for key in keys}).keys() == set(range(25))


def test_an_error_is_nothing_to_remember(clock):
    memory = ShortMemory()
    with pytest.raises(ZeroDivisionError):
        memory.get("a", lambda key: 1 / 0)
    assert memory.get("a", lambda key: "fine") == "fine"


def test_all_memories_can_be_emptied_at_once(clock):
    first, second = ShortMemory(), ShortMemory()
    first.get("a", str)
    second.get("b", str)
    forget_all()
    assert (first.known("a"), second.known("b")) == (None, None)


def test_threads_that_ask_and_forget_at_once_get_right_answers(clock, monkeypatch):
    monkeypatch.setattr(short_memory, "MOST_REMEMBERED", 3)  # so that it is emptied all the time
    memory, wrong, together = ShortMemory(), [], threading.Barrier(6)

    def work(seed):
        together.wait(10)
        for number in range(2000):
            key = (number * seed) % 7
            try:
                if memory.get(key, str) != str(key):
                    wrong.append(key)
                if number % 5 == 0:
                    memory.get_many({key, 1}, lambda keys: {one: str(one) for one in keys})
                if number % 97 == 0:
                    memory.forget()
            except Exception as error:
                wrong.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == []
