"""SIGTERM under load: what is being sent is finished, the rest is handed back, and nobody pays for it."""

from tests.survival.houses import on, pour
from tests.survival.outcomes import lost_nothing
from tests.waiting import wait_until

LONG_THOUGHT = "One word after the other, for as long as a minute."


def test_sigterm_under_load_is_out_in_time_and_costs_nothing(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("send", delay=1)
    with house.worker("leaving") as leaving:
        accepted = pour(house, run, conversations=20, each=5)
        wait_until(lambda: len(house.witness.sends(run)) >= 20, 60, "20 sends")
        wait_until(lambda: house.witness.open("send") >= 5, 10, "sends under way")
        seconds = leaving.process.terminate(25)
        assert leaving.process.returncode == 0
    (left,) = house.ledger.rows(
        "SELECT count(*) AS waiting, coalesce(sum(attempts), 0) AS attempts, coalesce(sum(crashes), 0) AS crashes"
        " FROM jobs_job WHERE id > %s AND status IN ('pending', 'retry')",
        since,
    )
    running = house.ledger.rows(
        "SELECT id, task FROM jobs_job WHERE id > %s AND status = 'processing'", since
    )
    assert running == []
    assert left["waiting"] > 0, "everything had ended before the SIGTERM: it proved nothing"
    assert (left["attempts"], left["crashes"]) == (0, 0)
    house.witness.behave("send", delay=0)
    with house.worker("next"):
        house.ledger.settled(60)
    verdict, unknown = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    assert not unknown
    figure(
        f"out {seconds:.1f} s after SIGTERM, {left['waiting']} jobs handed on, 0 attempts spent, 0 sent twice"
    )


def test_sigterm_gives_slow_turns_back_instead_of_waiting_for_them(house, run, figure):
    since = house.ledger.last_job()
    house.witness.behave("ai", hold=True)
    with house.worker("leaving") as leaving:
        accepted = pour(house, run, conversations=10, each=1)
        wait_until(lambda: house.witness.held("ai") == 10, 20, "ten turns under way")
        seconds = leaving.process.terminate(25)
    turns = house.ledger.jobs("pipeline.generate_reply", since=since)
    assert [(job["attempts"], job["crashes"]) for job in turns] == [(0, 0)] * 10
    assert {job["status"] for job in turns} <= {"pending", "retry"}
    house.witness.behave("ai", hold=False)
    with house.worker("next"):
        house.ledger.settled(60)
    verdict, _ = lost_nothing(house, run, accepted, faults=[], since=since)
    assert not verdict.repeated
    figure(
        f"out {seconds:.1f} s after SIGTERM with ten turns that never end; all given back and answered by the next"
    )


@on("embedded")
def test_sigterm_with_ai_answers_on_their_way_is_out_in_time_and_tells_the_next_worker(
    house, messenger, figure
):
    """Real clients of a real API: half of the answers come in one piece (Telegram), half stream to web pages."""
    since = house.ledger.last_job()
    people = [messenger.telegram.person() for _ in range(5)]
    pages = [messenger.page() for _ in range(5)]
    messenger.ai.behave(seconds=60, text=LONG_THOUGHT)
    with house.worker("leaving") as leaving:
        for person in people:
            messenger.writes("talk", person, "think about it")
        for page in pages:
            page.say("think about it")
        wait_until(lambda: messenger.ai.under_way() == 10, 20, "ten answers on their way")
        assert {call["stream"] for call in messenger.ai.calls("think about it")} == {True, False}
        seconds = leaving.process.terminate(25)
        assert leaving.process.returncode == 0
    wait_until(lambda: not messenger.ai.under_way(), 20, "the AI to see that nobody waits for it any more")
    turns = house.ledger.jobs("pipeline.generate_reply", since=since)
    assert [(job["attempts"], job["crashes"]) for job in turns] == [(0, 0)] * 10
    assert {job["status"] for job in turns} <= {"pending", "retry"}
    log = leaving.log.read_text()
    for complaint in ("Traceback", "Unclosed", "never retrieved", "was destroyed"):
        assert complaint not in log, log[-3000:]
    messenger.ai.behave_again()
    with house.worker("next"):
        for person in people:
            assert messenger.answers(person) == ["re: think about it"]
        for page in pages:
            wait_until(lambda page=page: page.answers() == ["re: think about it"], 20, "the page's answer")
        house.ledger.settled(30)
    figure(
        f"out {seconds:.1f} s after SIGTERM with ten AI answers on their way; all answered by the next worker"
    )
