"""Looks for what stack 2 retains besides its buckets: the key, and API Gateway's log role."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from cleanup.aws import Aws, error_code, is_gone
from cleanup.find_stacks import Stacks
from cleanup.names import Names
from cleanup.plan import Resource


class Kept:
    """The key, its alias, and the role that one API Gateway setting of the account may name."""

    def __init__(self, aws: Aws, names: Names, stacks: Stacks) -> None:
        self.aws = aws
        self.names = names
        self.stacks = stacks

    def looks(self) -> dict[str, Callable[[], Iterator[Resource]]]:
        """Return a name for each look, and the look."""
        return {"keys": self._keys, "key aliases": self._alias, "the log role": self._log_roles}

    def _keys(self) -> Iterator[Resource]:
        """Yield the keys by their description: the alias goes with the stack, the key stays."""
        for item in self.aws.pages("kms", "list_keys", "Keys"):
            key = self._describe(item["KeyId"])
            if key is None or key.get("Description") != self.names.key_description:
                continue
            stays = ""
            if key["KeyState"] == "PendingDeletion":
                stays = f"AWS deletes it on {key['DeletionDate']:%Y-%m-%d}; until then it is free"
            yield Resource(
                "key",
                key["KeyId"],
                status=key["KeyState"],
                stack=self.stacks.owner(key["KeyId"]),
                stays=stays,
            )

    def _describe(self, key_id: str) -> dict[str, Any] | None:
        try:
            key: dict[str, Any] = self.aws.client("kms").describe_key(KeyId=key_id)["KeyMetadata"]
        except ClientError as error:
            if error_code(error) == "AccessDeniedException" and key_id not in self.stacks.keys:
                return None  # another's key, whose policy hides it
            raise
        return key

    def _alias(self) -> Iterator[Resource]:
        for alias in self.aws.pages("kms", "list_aliases", "Aliases"):
            if alias["AliasName"] == self.names.key_alias:
                name = alias["AliasName"]
                yield Resource("key alias", name, stack=self.stacks.owner(name))

    def _log_roles(self) -> Iterator[Resource]:
        """Yield the log role; it stays while the account's other APIs write logs as it."""
        for name in sorted(self.stacks.log_roles):
            try:
                role = self.aws.client("iam").get_role(RoleName=name)["Role"]
            except ClientError as error:
                if is_gone(error):
                    continue
                raise
            stays = ""
            if self._is_in_force(role["Arn"]) and self._other_apis():
                stays = "API Gateway writes the logs of this account's other APIs as it; it is free"
            yield Resource(
                "log role", name, role["Arn"], stack=self.stacks.owner(name), stays=stays
            )

    def _is_in_force(self, role_arn: str) -> bool:
        account = self.aws.client("apigateway").get_account()
        return bool(account.get("cloudwatchRoleArn") == role_arn)

    def _other_apis(self) -> bool:
        rest = self.aws.pages("apigateway", "get_rest_apis", "items")
        others = [a for a in rest if a["name"] != self.names.api]
        return bool(others or self.aws.pages("apigatewayv2", "get_apis", "Items"))
