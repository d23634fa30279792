"""The order in which clean-up deletes, and that it forgets nothing."""

import itertools

import pytest
from cleanup.effects import Effects
from cleanup.plan import KINDS, RULES, Found, Resource, plan
from hypothesis import given
from hypothesis import strategies as st

STATUSES = ("", "InProgress", "Stopping", "Stopped", "Completed", "InService", "Deleting", "Failed")
resources = st.lists(
    st.builds(
        Resource,
        kind=st.sampled_from(sorted(KINDS)),
        name=st.sampled_from("abcd"),
        status=st.sampled_from(STATUSES),
        stack=st.sampled_from(["", "MLOps"]),
        stays=st.sampled_from(["", "shared"]),
    ),
    unique=True,
)


def everything(**more):
    return [Resource(kind, "x", **more) for kind in sorted(KINDS)]


def deeds(found):
    return [step.deed for step in plan(found)]


def before(order, first, second):
    return order.index(first) < order.index(second)


def test_nothing_found_is_nothing_to_do():
    assert plan([]) == []


def test_what_runs_is_stopped_before_what_it_uses_goes():
    order = deeds(everything(status="InProgress", stack="MLOps"))
    for first, second in itertools.pairwise(
        [
            ("stop", "pipeline execution"),
            ("delete", "endpoint"),
            ("delete", "endpoint config"),
            ("delete", "model"),
            ("empty", "working bucket"),
            ("delete", "stack 2"),
            ("delete", "stack 1"),
            ("delete", "kept bucket"),
            ("schedule deletion of", "key"),
        ]
    ):
        assert before(order, first, second), (first, second)


@given(resources)
def test_the_key_is_always_last_and_so_are_needs_always_first(found):
    order = deeds(found)
    for place, step in enumerate(plan(found)):
        assert not set(step.rule.needs) & set(order[place:])
        if step.resource.kind == "key":
            assert all(deed == step.deed for deed in order[place:])


@given(resources)
def test_everything_found_is_deleted_by_a_step_or_with_its_stack_or_stays(found):
    doomed = {(s.resource.kind, s.resource) for s in plan(found) if s.rule.verb != "empty"}
    for resource in found:
        if resource.stays:
            assert (resource.kind, resource) not in doomed
        elif not resource.stack:
            verbs = {s.rule.verb for s in plan(found) if s.resource == resource}
            ends = resource.kind in {"pipeline execution", "build"}
            assert verbs & ({"stop"} if ends else {"delete", "schedule deletion of"}), resource


@pytest.mark.parametrize("kind", ["kept bucket", "key", "log role"])
def test_what_the_template_retains_is_deleted_although_a_stack_holds_it(kind):
    assert [s.rule.verb for s in plan([Resource(kind, "x", stack="MLOps")])] != []


@pytest.mark.parametrize("kind", ["function", "api", "pipeline", "log group", "repository"])
def test_what_a_stack_takes_along_needs_no_step_of_its_own(kind):
    assert plan([Resource(kind, "x", stack="MLOps")]) == []
    assert deeds([Resource(kind, "x")]) == [("delete", kind)]


def test_a_notebook_of_a_stack_is_stopped_and_the_stack_deletes_it():
    assert deeds([Resource("notebook", "n", status="InService", stack="MLOps")]) == [
        ("stop", "notebook")
    ]
    assert deeds([Resource("notebook", "n", status="Stopped", stack="MLOps")]) == []
    assert deeds([Resource("notebook", "n", status="InService")]) == [
        ("stop", "notebook"),
        ("delete", "notebook"),
    ]


def test_a_finished_training_job_is_not_stopped():
    assert deeds([Resource("training job", "t", status="Completed")]) == [
        ("delete", "training job")
    ]
    assert deeds([Resource("training job", "t", status="InProgress")]) == [
        ("stop", "training job"),
        ("delete", "training job"),
    ]


def test_a_kind_that_nobody_knows_is_refused_not_forgotten():
    with pytest.raises(ValueError, match="no rule says how to delete a dashboard"):
        plan([Resource("dashboard", "x")])


def test_every_deed_that_a_plan_can_hold_has_an_effect():
    assert {(rule.verb, rule.kind) for rule in RULES} == Effects(aws=None).table().keys()


def test_needs_name_deeds_that_exist_and_come_earlier():
    known = []
    for rule in RULES:
        assert set(rule.needs) <= set(known), rule
        known.append((rule.verb, rule.kind))


def test_what_stays_is_counted_apart():
    found = Found((Resource("key", "k", stays="pending"), Resource("model", "m")))
    assert [r.kind for r in found.to_delete] == ["model"]
    assert [r.kind for r in found.staying] == ["key"]
