"""The whole way: a person writes to a bot, an AI answers, the person reads it. Two worker processes serve all stories
of a set-up; Telegram and the AI are servers in processes of their own (tests/survival/messenger.py)."""

import time

import pytest

from tests.servers.setups import NAMES
from tests.servers.telegram import SEND, TYPING
from tests.survival.messenger import FALLBACK, MAX_WAIT
from tests.waiting import wait_until

pytestmark = pytest.mark.parametrize("setup_name", NAMES, scope="module")

DELIVERY = "delivery.send_telegram"
HOLD = 3  # seconds for which Telegram wants to be left alone
PARAGRAPH = "A lane keeps the jobs of one conversation in order, and nobody waits for it. "


@pytest.fixture(scope="module")
def house(houses, setup_name):
    found = houses.get(setup_name)
    yield found
    houses.tidy(found)


@pytest.fixture(scope="module")
def workers(house, messengers):
    messengers.get(house)  # it adds to the environment of workers
    with house.worker("left", wait=False) as left, house.worker("right") as right:
        house.wait_for_worker(left)
        yield left, right


@pytest.fixture
def messenger(house, workers, messengers):
    found = messengers.get(house)
    before = found.telegram.number()
    yield found
    found.behave_again()
    house.ledger.settled(30)
    assert hanging(found.telegram, before) == []


def hanging(telegram, since):
    """Chats that see typing although their answer has come: no sign of typing may follow the last send."""
    last = {call["chat_id"]: call["begun"] for call in telegram.calls(SEND, since=since)}
    signs = telegram.calls(TYPING, since=since)
    return [sign for sign in signs if sign["begun"] > last.get(sign["chat_id"], sign["begun"])]


def test_a_question_comes_in_by_the_webhook_and_typing_is_seen_until_the_answer(messenger):
    telegram, ada = messenger.telegram, messenger.telegram.person()
    messenger.ai.behave(seconds=0.5)
    messenger.writes("talk", ada, "When do you open?")
    assert messenger.answers(ada) == ["re: When do you open?"]
    signs, (send,) = telegram.calls(TYPING, chat_id=ada), telegram.calls(SEND, chat_id=ada)
    assert signs  # more than one where the answer took longer than a sign is shown
    assert all(sign["begun"] < send["begun"] for sign in signs)


def test_several_messages_in_a_row_get_one_answer(messenger):
    ben = messenger.telegram.person()
    texts = ["I have a question", f"about parcel {ben}", "where is it?"]
    for text in texts:
        messenger.writes("talk", ben, text)
    assert messenger.answers(ben) == ["re: where is it?"]
    messenger.house.ledger.settled(20)
    assert messenger.telegram.texts(ben) == ["re: where is it?"]
    (asked,) = messenger.ai.calls(texts[1])
    assert asked["asked"].splitlines() == texts


def test_an_answer_of_5000_characters_comes_in_order_in_parts(messenger):
    cleo = messenger.telegram.person()
    paragraphs = [f"Paragraph {number}. " + (PARAGRAPH * 6).strip() for number in range(1, 12)]
    text = "\n\n".join(paragraphs)
    assert 5000 < len(text) < 2 * 4096
    messenger.ai.behave(text=text)
    messenger.writes("again", cleo, "Tell me all about lanes")
    parts = messenger.answers(cleo, 2)
    assert "\n\n".join(parts) == text
    assert all(len(part) <= 4096 for part in parts)
    messenger.house.ledger.settled(20)
    assert len(messenger.telegram.texts(cleo)) == len(parts)


def test_who_blocks_the_bot_is_not_written_to_until_they_write_again(messenger):
    house, since = messenger.house, messenger.house.ledger.last_job()
    dora = messenger.telegram.person()
    messenger.writes("again", dora, "hello")
    messenger.answers(dora)
    messenger.ai.behave(hold=True)
    messenger.writes("again", dora, "anybody there?")
    wait_until(lambda: messenger.ai.held(), 20, "the AI to be asked")
    # No update tells us; the send will.
    messenger.telegram.does("blocks", token=messenger.bots["again"].token, id=dora, quiet=True)
    messenger.ai.behave_again()

    def dead():
        return [job for job in house.ledger.jobs(DELIVERY, since=since) if job["status"] == "failed"]

    (letter,) = house.ledger.wait_until(dead, 20, "a dead letter")
    assert (letter["failure_reason"], letter["error_code"]) == ("permanent", "bot_blocked")
    assert "bot was blocked by the user" in letter["error"]
    contact = messenger.contact("again", dora)
    assert contact["closed_at"]
    assert contact["closed_reason"] == "bot_blocked"
    messenger.writes("again", dora, "here I am again")
    assert messenger.answers(dora, 2)[-1] == "re: here I am again"
    assert messenger.contact("again", dora)["closed_at"] is None


def test_a_group_that_becomes_a_supergroup_gets_its_answer_there_and_goes_on(messenger):
    telegram, bot = messenger.telegram, messenger.bots["again"]
    eve, group = telegram.person(), telegram.group()
    telegram.does("adds", token=bot.token, id=group, by=eve)
    messenger.writes("again", eve, "/ask what a lane is", to=group)
    messenger.answers(group)
    contact = messenger.contact("again", group)
    messenger.ai.behave(hold=True)
    messenger.writes("again", eve, "/ask once more", to=group)
    wait_until(lambda: messenger.ai.held(), 20, "the AI to be asked")
    # No update tells us; the send will, and follows the group.
    moved = telegram.does("upgrades", token=bot.token, id=group, quiet=True)["id"]
    messenger.ai.behave_again()
    assert messenger.answers(moved) == ["re: /ask once more"]
    messenger.house.ledger.settled(20)
    assert messenger.contact("again", moved)["id"] == contact["id"]
    messenger.writes("again", eve, "/ask and now?", to=moved)
    assert messenger.answers(moved, 2) == ["re: /ask once more", "re: /ask and now?"]
    assert len(telegram.texts(group)) == 1


def test_when_telegram_asks_to_wait_every_worker_waits(messenger, workers):
    telegram, ledger = messenger.telegram, messenger.house.ledger
    since, before = ledger.last_job(), telegram.number()
    first, *others = [telegram.person() for _ in range(11)]
    telegram.behave(SEND, hold=True)
    said = f"Too Many Requests: retry after {HOLD}"
    telegram.fault(SEND, chat_id=first, status=429, retry_after=HOLD, description=said)
    messenger.writes("again", first, "hello")
    wait_until(lambda: telegram.held(SEND) == 1, 20, "the send that will be refused")
    ((hurt, _),) = [
        (worker, job) for worker in workers for job in ledger.held_by(worker.pid) if job["task"] == DELIVERY
    ]
    telegram.behave(SEND, hold=False)

    def postponed():
        return [job for job in ledger.jobs(DELIVERY, since=since) if job["error_code"] == "rate_limited"]

    ledger.wait_until(postponed, 5, "the refused send to be put off")
    hurt.process.stop()  # whoever sends now has not heard the refusal itself
    try:
        while not ledger.is_writable():  # it was stopped in the middle of a write
            hurt.process.resume()
            hurt.process.stop()
        for person in others:
            messenger.writes("again", person, "hello")
        for person in others:
            assert messenger.answers(person) == ["re: hello"]
    finally:
        hurt.process.resume()
    assert messenger.answers(first) == ["re: hello"]
    refused, *sends = telegram.calls(SEND, since=before)
    assert refused["status"] == 429
    assert {send["status"] for send in sends} == {200}
    assert min(send["begun"] for send in sends) >= refused["ended"] + HOLD


def test_two_workers_together_stay_within_telegrams_limits(messenger, figure):
    """60 people, one who asks five times, and a group, all at once: whoever must wait is put off to its slot, without
    an attempt. A slot is reserved before the call begins, so a slow machine may stretch this but not shorten it."""
    telegram, ledger, bot = messenger.telegram, messenger.house.ledger, messenger.bots["again"]
    since, before = ledger.last_job(), telegram.number()
    people, eager, group = [telegram.person() for _ in range(60)], telegram.person(), telegram.group()
    telegram.does("adds", token=bot.token, id=group, by=eager)
    messenger.ai.behave(hold=True)
    for person in people:
        messenger.writes("again", person, "hello")
    for number in range(5):
        messenger.writes("again", eager, f"question {number}")
    for number in range(7):
        messenger.writes("again", eager, f"/ask {number}", to=group)
    wait_until(lambda: messenger.ai.held() >= 62, 60, "the AI to be asked by everybody")
    let_go = time.time()
    messenger.ai.behave_again()
    for person in people:
        messenger.answers(person, seconds=60)
    assert messenger.answers(eager, 5, seconds=60) == [f"re: question {number}" for number in range(5)]
    messenger.answers(group, 7, seconds=60)
    ledger.settled(30)
    sends = [call for call in telegram.calls(SEND, since=before) if call["status"] == 200]
    assert len(sends) == 72
    for chat, burst, rate in ((None, 5, 25.0), (eager, 3, 1.0), (group, 5, 0.25)):
        begun = [call["begun"] for call in sends if chat is None or call["chat_id"] == str(chat)]
        took = begun[-1] - let_go
        assert took >= (len(begun) - burst) / rate
        figure(f"{len(begun)} sends to {'one chat' if chat else 'all chats'} of the bot in {took:.2f} s")
    jobs = ledger.jobs(DELIVERY, since=since)
    assert {(job["status"], job["attempts"]) for job in jobs} == {("completed", 1)}


def test_an_ai_that_is_down_is_replaced_by_the_next_one_and_after_the_last_by_a_word_in_time(
    messenger, figure
):
    house, since = messenger.house, messenger.house.ledger.last_job()
    finn, gus = messenger.telegram.person(), messenger.telegram.person()
    messenger.writes("nobody", gus, "hello?")
    messenger.writes("standby", finn, f"who answers {finn}?")
    assert messenger.answers(finn) == [f"re: who answers {finn}?"]
    assert [call["api"] for call in messenger.ai.calls(f"answers {finn}")] == ["AnthropicApi"]
    assert messenger.answers(gus) == [FALLBACK]
    house.ledger.settled(20)
    (turn,) = [
        job for job in house.ledger.jobs("pipeline.generate_reply", since=since) if job["status"] == "failed"
    ]
    assert turn["failure_reason"] == "expired"
    (send,) = messenger.telegram.calls(SEND, chat_id=gus)
    signs = messenger.telegram.calls(TYPING, chat_id=gus)
    waited = send["begun"] - signs[0]["begun"]
    figure(f"fallback {waited:.1f} s after the first sign of typing, max_wait {MAX_WAIT} s")
