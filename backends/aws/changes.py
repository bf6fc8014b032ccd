"""The few changes to AWS: adding security group rules, read back before they count (cloud-network §5.1)."""

import asyncio
from collections.abc import Sequence

from backends.aws.balancers import AwsBalancers
from backends.aws.rules import permission
from backends.aws.session import AwsSession
from mesh.errors import Refused, StepFailed
from mesh.model.context import ContextRef
from mesh.model.network import FirewallRule
from mesh.ports import Outcome, Output
from mesh.reading import NotRead


class AwsChanges:
    """The ``CloudGateway`` of an EKS cluster."""

    def __init__(self, ref: ContextRef) -> None:
        self.session = AwsSession(ref)

    async def open_rules(self, group: str, resource_id: str, rules: Sequence[FirewallRule], output: Output) -> Outcome:
        """One permission per call, as a duplicate fails a whole batch; only ids that we created are kept for undo."""
        created: list[str] = []
        for rule in rules:
            created += await asyncio.to_thread(self._authorize, group, rule, output)
        return Outcome(
            tuple(f"{rule} on {group}" for rule in created), {"group": group, "rules": created} if created else {}
        )

    def _authorize(self, group: str, rule: FirewallRule, output: Output) -> list[str]:
        from botocore.exceptions import BotoCoreError, ClientError

        words = f"{rule.protocol} {rule.from_port}-{rule.to_port} from {', '.join(rule.sources or rule.destinations)}"
        action = "authorize_security_group_egress" if rule.direction == "out" else "authorize_security_group_ingress"
        try:
            answer = getattr(self.session.client("ec2"), action)(GroupId=group, IpPermissions=[permission(rule)])
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvalidPermission.Duplicate":
                output(f"{group}: {words} is there already")
                return []
            raise self._failed(error, action) from error
        except (BotoCoreError, NotRead) as error:
            raise self._failed(error, action) from error
        ids = [str(item["SecurityGroupRuleId"]) for item in answer.get("SecurityGroupRules", [])]
        self._read_back(ids, group)
        output(f"{group}: {words} created ({', '.join(ids)})")
        return ids

    def _read_back(self, ids: list[str], group: str) -> None:
        try:
            rows = self.session.pages(
                "ec2", "describe_security_group_rules", "SecurityGroupRules", SecurityGroupRuleIds=ids
            )
        except NotRead as error:
            raise StepFailed(
                f"The new rules on {group} cannot be read back", error.unknown.detail, error.unknown.lift
            ) from error
        missing = set(ids) - {row["SecurityGroupRuleId"] for row in rows}
        if missing:
            raise StepFailed(f"AWS accepted rules on {group} and does not show them: {', '.join(sorted(missing))}")

    def _failed(self, error: Exception, action: str) -> StepFailed:
        right = "ec2:" + "".join(part.capitalize() for part in action.split("_"))
        unknown = error.unknown if isinstance(error, NotRead) else self.session.not_read(error, right).unknown
        return StepFailed("AWS refused the rule", unknown.detail, unknown.lift)

    async def disable_kube_proxy(self, resource_id: str, output: Output) -> Outcome:
        """EKS has no such switch."""
        raise Refused("kube-proxy of an EKS cluster is parked in the cluster, not through the EKS API")

    async def resolve(self, hostname: str) -> tuple[str, ...]:
        """Private addresses behind a load balancer's host name; empty when AWS does not tell."""
        try:
            return await asyncio.to_thread(AwsBalancers(self.session, lambda _: ()).addresses, hostname)
        except NotRead:
            return ()
