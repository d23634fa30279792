"""From what was found to the steps that delete it, in order. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

Deed = tuple[str, str]  # verb and kind, ("delete", "endpoint")

ACTIVE_JOB = frozenset({"InProgress", "Stopping"})
STILL = frozenset({"Stopped", "Failed", "Deleting"})  # a notebook that needs no stop


@dataclass(frozen=True, order=True)
class Resource:
    """Something of this UniqueID that exists."""

    kind: str
    name: str
    id: str = ""  # what the API calls it by, where that is not its name
    status: str = ""  # in AWS's words
    stack: str = ""  # the stack that takes it along when it is deleted
    group: str = ""  # what it lies in: a log group
    stays: str = ""  # why it is left where it is on purpose

    @property
    def ref(self) -> str:
        """Return what the API calls it by."""
        return self.id or self.name


@dataclass(frozen=True)
class Rule:
    """One place in the order: what is done to all resources of a kind, and after what.

    A step waits for its `needs` to have succeeded; without any it is tried whatever came before.
    """

    verb: str
    kind: str
    needs: tuple[Deed, ...] = ()
    only: frozenset[str] = frozenset()  # statuses; empty for any
    unless: frozenset[str] = frozenset()
    with_stack: bool | None = (
        None  # True: only what a stack takes along, False: only what none does
    )

    def takes(self, resource: Resource) -> bool:
        """Say whether this rule applies to a resource."""
        return (
            resource.kind == self.kind
            and not resource.stays
            and (not self.only or resource.status in self.only)
            and resource.status not in self.unless
            and (self.with_stack is None or self.with_stack == bool(resource.stack))
        )


STACK_2 = ("delete", "stack 2")
STACKS = (STACK_2, ("delete", "stack 1"))
# What runs stops first: it costs, and it would make anew what is deleted below it. An endpoint and
# a training job run as a role of stack 2, so the stack waits for them. The key goes last.
RULES = (
    Rule("stop", "pipeline execution"),
    Rule("stop", "build"),
    Rule("delete", "endpoint"),
    Rule("stop", "training job", only=ACTIVE_JOB),
    Rule("delete", "endpoint config", needs=(("delete", "endpoint"),)),
    Rule("delete", "model", needs=(("delete", "endpoint"),)),
    Rule("delete", "model package"),
    Rule("delete", "model package group", needs=(("delete", "model package"),)),
    Rule("delete", "training job", needs=(("stop", "training job"),)),
    Rule("stop", "notebook", unless=STILL),
    Rule("empty", "working bucket", with_stack=True),
    Rule(
        "delete",
        "stack 2",
        needs=(
            ("delete", "endpoint"),
            ("stop", "training job"),
            ("empty", "working bucket"),
        ),
    ),
    Rule(
        "delete",
        "stack 1",
        needs=(STACK_2, ("stop", "notebook"), ("empty", "working bucket")),
    ),
    Rule("delete", "pipeline", with_stack=False),
    Rule("delete", "build project", with_stack=False),
    Rule("delete", "function", with_stack=False),
    Rule("delete", "api", with_stack=False),
    Rule("delete", "notebook", with_stack=False),
    Rule("delete", "repository", with_stack=False),
    Rule("delete", "image repository", with_stack=False),
    Rule("delete", "log role", needs=(STACK_2,)),
    Rule("delete", "working bucket", with_stack=False),
    Rule("delete", "kept bucket", needs=(STACK_2, ("stop", "training job"))),
    Rule("delete", "log group", with_stack=False),
    Rule("delete", "log stream"),
    Rule("delete", "key alias", with_stack=False),
    Rule(
        "schedule deletion of",
        "key",
        needs=(
            *STACKS,
            ("delete", "endpoint"),
            ("stop", "training job"),
            ("delete", "working bucket"),
            ("delete", "kept bucket"),
        ),
    ),
)
KINDS = frozenset(rule.kind for rule in RULES)


@dataclass(frozen=True)
class Step:
    """One thing to do to one resource."""

    rule: Rule
    resource: Resource

    @property
    def deed(self) -> Deed:
        return self.rule.verb, self.rule.kind

    def __str__(self) -> str:
        return f"{self.rule.verb} {self.rule.kind} {self.resource.name}"


@dataclass(frozen=True)
class Found:
    """All that one look around has shown."""

    resources: tuple[Resource, ...] = ()
    unseen: tuple[str, ...] = field(default=())  # what could not be looked at, and why

    @property
    def to_delete(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if not r.stays)

    @property
    def staying(self) -> tuple[Resource, ...]:
        return tuple(r for r in self.resources if r.stays)


def plan(resources: Iterable[Resource]) -> list[Step]:
    """Return every step in order; ValueError for a kind that no rule knows."""
    found = sorted(resources)
    if unknown := {r.kind for r in found} - KINDS:
        raise ValueError(f"no rule says how to delete a {' or a '.join(sorted(unknown))}")
    return [Step(rule, r) for rule in RULES for r in found if rule.takes(r)]
