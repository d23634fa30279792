"""Going on after failures, waiting, and what is said at the end; on an account made of a set."""

import pytest
from botocore.exceptions import ClientError
from cleanup.plan import Found, Resource, plan
from cleanup.rounds import MAX_ROUNDS, clean, perform
from cleanup.stack_deletion import _Verdict
from cleanup.tell import outcome_lines, plan_lines
from cleanup.waiting import StillThere, Waiter

ENDPOINT = Resource("endpoint", "ethnicity-pred-dev-kmm", status="InService")
MODEL = Resource("model", "ethnicity-pred-kmm-1")
STREAM = Resource("log stream", "ethnicity-pred-kmm/algo-1")
STACK_1 = Resource("stack 1", "prep")
STACK_2 = Resource("stack 2", "pipeline")
DATA = Resource("kept bucket", "data", stack="pipeline")
KEY = Resource("key", "k", stack="pipeline")


def refusal(code="AccessDeniedException", message="no"):
    return ClientError({"Error": {"Code": code, "Message": message}}, "Operation")


class Account:
    """Holds resources; deletes what it is told to, but refuses what is named in `refuses`."""

    def __init__(self, *resources, refuses=()):
        self.resources = set(resources)
        self.refuses = set(refuses)
        self.done = []

    def look(self):
        return Found(tuple(sorted(self.resources)))

    def do(self, deed, resource):
        if deed in self.refuses:
            raise refusal()
        self.done.append((*deed, resource.name))
        if deed[0] == "delete" or deed[0].startswith("schedule"):
            self.resources.discard(resource)

    def clean(self):
        return clean(self.look(), self.look, self.do, lambda line: None)


def test_everything_goes_in_one_go():
    account = Account(ENDPOINT, MODEL, STACK_1, STACK_2, DATA, KEY)
    assert account.clean().is_clean
    assert [name for *_, name in account.done][-1] == "k"


def test_a_failure_keeps_what_leans_on_it_and_nothing_else():
    account = Account(ENDPOINT, MODEL, STREAM, STACK_1, STACK_2, DATA, KEY)
    account.refuses = {("delete", "endpoint")}
    outcome = account.clean()
    assert not outcome.is_clean
    assert set(outcome.left.to_delete) == {ENDPOINT, MODEL, STACK_1, STACK_2, DATA, KEY}
    assert STREAM not in account.resources
    reasons = {f.step.resource: f.reason for f in outcome.failures}
    assert "AccessDenied" in reasons[ENDPOINT]
    assert reasons[STACK_2] == "not tried, for this failed: delete endpoint"


def test_the_key_survives_any_bucket():
    account = Account(STACK_1, STACK_2, DATA, KEY, refuses={("delete", "kept bucket")})
    outcome = account.clean()
    assert set(outcome.left.to_delete) == {DATA, KEY}


def test_run_again_after_the_cause_is_gone_it_goes_on():
    account = Account(ENDPOINT, MODEL, STACK_1, STACK_2, KEY, refuses={("delete", "stack 2")})
    assert set(account.clean().left.to_delete) == {STACK_1, STACK_2, KEY}
    account.refuses.clear()
    account.done.clear()
    assert account.clean().is_clean
    assert [name for *_, name in account.done] == ["pipeline", "prep", "k"]


def test_what_comes_to_light_later_is_deleted_in_a_later_round():
    account = Account(STACK_2)
    late = Resource("log group", "/aws/lambda/late")
    do = account.do

    def do_and_leave_a_log(deed, resource):
        do(deed, resource)
        if resource == STACK_2:
            account.resources.add(late)

    account.do = do_and_leave_a_log
    assert account.clean().is_clean
    assert account.done[-1] == ("delete", "log group", "/aws/lambda/late")


def test_it_ends_although_somebody_makes_things_anew():
    account = Account(MODEL)
    do, number = account.do, iter(range(100))

    def do_and_make_another(deed, resource):
        do(deed, resource)
        account.resources.add(Resource("model", f"again-{next(number)}"))

    account.do = do_and_make_another
    assert not account.clean().is_clean
    assert len(account.done) == MAX_ROUNDS


def test_a_fault_of_our_own_is_not_taken_for_aws_refusing():
    with pytest.raises(KeyError):
        perform(plan([MODEL]), lambda deed, resource: {}["x"], lambda line: None)


def test_the_last_words_say_what_is_left_and_why():
    account = Account(ENDPOINT, STACK_2, refuses={("delete", "endpoint")})
    text = "\n".join(outcome_lines(account.clean()))
    assert "Left: 2" in text
    assert "endpoint ethnicity-pred-dev-kmm (InService)" in text
    assert "delete endpoint ethnicity-pred-dev-kmm: An error occurred (AccessDenied" in text
    assert "Run it again" in text


def test_what_could_not_be_seen_is_not_called_clean():
    account = Account()
    account.look = lambda: Found((), ("could not look for keys: no",))
    outcome = account.clean()
    assert not outcome.is_clean
    assert "could not look for keys: no" in "\n".join(outcome_lines(outcome))


def test_the_last_words_of_a_clean_account_are_nothing():
    stays = Resource("key", "k", stays="AWS deletes it on 2026-12-24")
    account = Account(MODEL, stays)
    outcome = account.clean()
    assert outcome.is_clean
    assert outcome_lines(outcome) == [
        "Left: nothing",
        "  stays: key k: AWS deletes it on 2026-12-24",
    ]


def test_the_plan_names_a_few_of_many():
    lines = plan_lines(plan([Resource("model", f"m{n}") for n in range(9)]))
    assert lines == ["  delete model".ljust(32) + "m0, m1, m2, m3, and 5 more"]


# -- waiting -----------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.now = 0.0

    def waiter(self):
        return Waiter(lambda: self.now, self.sleep, poll_s=10, timeout_s=600)

    def sleep(self, seconds):
        self.now += seconds


def statuses(*sequence):
    """Return each status in turn, the last for ever; None answers that there is no such thing."""
    turns = iter(sequence)
    last = sequence[-1]

    def look():
        status = next(turns, last)
        if status is None:
            raise refusal("ValidationException", "Could not find endpoint")
        return status

    return look


def test_waiting_ends_when_the_thing_is_gone():
    asked = []
    look = statuses("InService", "Deleting", "Deleting", None)
    Clock().waiter().drive("it", look, lambda: asked.append(1))
    assert asked == [1]


def test_nobody_is_asked_who_was_asked_already():
    asked = []
    look = statuses("Deleting", None)
    Clock().waiter().drive("it", look, lambda: asked.append(1), hold=lambda s: s == "Deleting")
    assert asked == []


def test_a_request_refused_for_a_passing_state_is_made_again():
    answers = iter([refusal("ValidationException", "cannot delete while Creating"), None])

    def ask():
        error = next(answers)
        if error:
            raise error

    Clock().waiter().drive("it", statuses("Creating", "InService", "Deleting", None), ask)
    assert next(answers, "all asked") == "all asked"


def test_any_other_refusal_is_told_at_once():
    def ask():
        raise refusal()

    clock = Clock()
    with pytest.raises(ClientError, match="AccessDenied"):
        clock.waiter().drive("it", statuses("InService"), ask)
    assert clock.now == 0


def test_waiting_ends_some_time_and_says_what_aws_said():
    def ask():
        raise refusal("ValidationException", "cannot delete while Creating")

    with pytest.raises(StillThere, match=r"it is Creating after 10 minutes; .*while Creating"):
        Clock().waiter().drive("it", statuses("Creating"), ask)


def test_an_old_failure_of_a_stack_is_not_taken_for_the_answer_to_this_deletion():
    verdict = _Verdict()
    assert not verdict.is_failed("DELETE_FAILED")
    verdict.asked = True
    assert not verdict.is_failed("DELETE_FAILED")
    assert not verdict.is_failed("DELETE_IN_PROGRESS")
    assert verdict.is_failed("DELETE_FAILED")


def test_a_stack_that_stays_failed_is_failed_even_if_nobody_saw_it_move():
    verdict = _Verdict(asked=True)
    assert [verdict.is_failed("DELETE_FAILED") for _ in range(4)] == [False, False, False, True]
