"""Fair shares: where more waits than there are places, claims go round by customer, whatever each has waiting."""

from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.jobs import sharing
from apps.jobs.models import PARKED, Job
from apps.jobs.sharing import Ring, Turns, Waiting
from tests.factories.accounts import CustomerFactory, PlanFactory
from tests.factories.jobs import JobFactory

TASK = "test.script"


def waiting(customer, due, weight=1):
    return Waiting(customer, weight, due, 5)


def deal(waiting, places):
    return Turns().deal(waiting, places)


class TestDeal:
    def test_equal_weights_get_equal_shares(self):
        assert deal([waiting(1, 100), waiting(2, 100)], 10) == {1: 5, 2: 5}

    def test_by_weight(self):
        assert deal([waiting(1, 100), waiting(2, 100, weight=3)], 12) == {1: 3, 2: 9}

    def test_what_one_has_no_use_for_goes_to_the_others_evenly(self):
        assert deal([waiting(1, 2), waiting(2, 100), waiting(3, 100)], 12) == {1: 2, 2: 5, 3: 5}

    def test_with_too_few_places_the_first_of_the_list_come_first(self):
        assert deal([waiting(n, 9) for n in (7, 1, 4, 2)], 3) == {7: 1, 1: 1, 4: 1}

    def test_nobody_gets_more_than_it_has_due_and_nothing_goes_to_who_has_nothing_due(self):
        assert deal([waiting(1, 3), waiting(2, 0)], 10) == {1: 3}

    @pytest.mark.parametrize("nothing", [deal([], 5), deal([waiting(1, 5)], 0)])
    def test_nothing_to_deal(self, nothing):
        assert nothing == {}

    def test_what_each_got_before_counts(self):
        turns, got = Turns(), Counter()
        for _ in range(11):
            got += Counter(turns.deal([waiting(1, 9), waiting(2, 99, weight=10)], 1))
        assert got == {1: 1, 2: 10}

    def test_who_comes_anew_has_saved_nothing_up(self):
        turns = Turns()
        turns.deal([waiting(1, 99)], 50)
        assert turns.deal([waiting(1, 99), waiting(2, 99)], 10) in ({1: 5, 2: 5}, {1: 4, 2: 6})


def flood(customer, jobs, **columns):
    return [JobFactory(customer_id=customer, **columns) for _ in range(jobs)]


def claimed(ring, places=10):
    jobs, _ = ring.claim(TASK, places=places, worker=1)
    return Counter(job.customer_id for job in jobs)


@pytest.mark.django_db
class TestRing:
    def test_a_customer_who_came_late_gets_its_share_of_the_next_claim(self):
        flood(1, 40)
        flood(2, 3)
        assert claimed(Ring()) == {1: 7, 2: 3}

    def test_many_conversations_buy_no_larger_share(self):
        for n in range(40):
            JobFactory(customer_id=1, lane=f"conversation:{n}")
        flood(2, 40, lane=None)
        assert claimed(Ring()) == {1: 5, 2: 5}

    def test_within_a_customer_the_oldest_come_first(self):
        mine = flood(1, 8)
        flood(2, 8)
        jobs, _ = Ring().claim(TASK, places=6, worker=1)
        assert [job.id for job in jobs if job.customer_id == 1] == [job.pk for job in mine[:3]]

    def test_the_weight_of_the_plan_counts(self):
        large = CustomerFactory(plan=PlanFactory(weight=4))
        small = CustomerFactory(plan=PlanFactory(weight=1))
        flood(large.pk, 20)
        flood(small.pk, 20)
        assert claimed(Ring()) == {large.pk: 8, small.pk: 2}

    @pytest.mark.parametrize("places", [1, 3, 5])
    def test_a_heavy_plan_leaves_the_others_their_share_however_few_places_a_claim_has(self, places):
        large = CustomerFactory(plan=PlanFactory(weight=10))
        small = CustomerFactory(plan=PlanFactory(weight=1))
        flood(large.pk, 40)
        flood(small.pk, 40)
        ring, got = Ring(), Counter()
        while got.total() < 30:
            got += claimed(ring, places=places)
        assert 2 <= got[small.pk] <= 4

    def test_a_plan_of_no_weight_to_speak_of_is_not_put_off_by_newcomers(self):
        small = CustomerFactory(plan=PlanFactory(weight=1))
        flood(small.pk, 5)
        ring, got = Ring(), Counter()
        plan = PlanFactory(weight=3)
        for _ in range(5):
            flood(CustomerFactory(plan=plan).pk, 5)
            got += claimed(ring, places=2)
        assert got[small.pk] >= 1

    def test_jobs_of_nobody_share_as_one_customer(self):
        flood(None, 20)
        flood(1, 20)
        assert claimed(Ring()) == {None: 5, 1: 5}

    def test_a_better_priority_goes_first_whoever_waits_behind(self):
        flood(1, 20, priority=5)
        flood(2, 4, priority=1)
        flood(3, 4, priority=1)
        ring = Ring()
        assert claimed(ring) == {2: 4, 3: 4}
        assert claimed(ring) == {1: 10}

    def test_alone_a_customer_gets_every_place(self):
        flood(1, 20)
        assert claimed(Ring()) == {1: 10}

    def test_more_customers_than_places_go_round(self):
        for customer in range(1, 8):
            flood(customer, 3)
        ring, got = Ring(), Counter()
        for _ in range(7):
            got += claimed(ring, places=3)
        assert got == dict.fromkeys(range(1, 8), 3)

    def test_more_customers_than_one_list_holds_all_get_their_turn(self, monkeypatch):
        monkeypatch.setattr(sharing, "MOST_CUSTOMERS", 4)
        flood(1, 60)
        for customer in range(2, 12):
            flood(customer, 2)
        ring, got = Ring(), Counter()
        for _ in range(12):
            got += claimed(ring, places=4)
        assert all(got[customer] == 2 for customer in range(2, 12))
        assert sum(got.values()) == 48  # no place was left empty while somebody had something due

    def test_the_next_list_begins_behind_the_last_of_this_one(self, monkeypatch):
        monkeypatch.setattr(sharing, "MOST_CUSTOMERS", 4)
        for customer in range(1, 13):
            flood(customer, 9)
        ring, got = Ring(), Counter()
        for _ in range(3):
            got += claimed(ring, places=4)
        assert got == dict.fromkeys(range(1, 13), 1)

    def test_lists_of_those_who_only_wait_for_later_do_not_end_the_sharing(self, monkeypatch):
        monkeypatch.setattr(sharing, "MOST_CUSTOMERS", 4)
        for customer in range(1, 10):
            flood(customer, 1, run_at=timezone.now() + timedelta(hours=1))
        flood(50, 40)
        flood(51, 3)
        ring, got = Ring(), Counter()
        for _ in range(3):
            got += claimed(ring, places=4)
        assert got[51] >= 2

    def test_a_full_claim_says_that_more_may_wait_and_the_last_one_does_not(self):
        flood(1, 12)
        flood(2, 12)
        ring = Ring()
        assert [ring.claim(TASK, places=10, worker=1)[1] for _ in range(4)] == [10, 10, 4, 0]

    def test_a_bound_on_counting_leaves_nothing_behind(self):
        """One customer has a job each, the other thousands: the claim takes fewer than its places, and says so."""
        ring = Ring()
        ring._customers = 8  # it counts few of each
        flood(1, 30)
        for customer in range(2, 5):
            flood(customer, 1)
        jobs, seen = ring.claim(TASK, places=16, worker=1)
        assert len(jobs) < 16
        assert seen == 16  # look again
        got = len(jobs)
        while seen == 16:
            jobs, seen = ring.claim(TASK, places=16, worker=1)
            got += len(jobs)
        assert got == 33

    def test_what_is_behind_in_its_lane_is_parked_and_takes_nobody_elses_share(self):
        flood(1, 30, lane="deep")
        flood(2, 10)
        ring = Ring()
        assert claimed(ring) == {1: 1, 2: 5}
        assert Job.objects.filter(lane="deep", run_at=PARKED).count() == 4
        assert claimed(ring)[2] == 5

    def test_customers_who_only_wait_for_later_do_not_stop_the_others(self, monkeypatch):
        monkeypatch.setattr(sharing, "MOST_CUSTOMERS", 4)
        for customer in range(1, 10):
            flood(customer, 1, run_at=timezone.now() + timedelta(hours=1))
        flood(50, 3)
        assert claimed(Ring()) == {50: 3}

    def test_suspects_are_left_to_the_quarantine(self):
        flood(1, 3, crashes=2)
        flood(2, 3)
        flood(3, 3)
        assert claimed(Ring()) == {2: 3, 3: 3}

    def test_the_fence_goes_up_and_the_worker_is_named(self):
        flood(1, 5)
        flood(2, 5)
        jobs, _ = Ring().claim(TASK, places=4, worker=77)
        for job in jobs:
            row = Job.objects.get(pk=job.id)
            assert (row.status, row.fence, row.worker_id) == ("processing", job.fence, 77)
            assert job.fence == 1
