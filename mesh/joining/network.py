"""Before anything is installed: the VPN is up, and the nodes' rules let the peers' nodes in."""

from mesh import catalogue as fact
from mesh.facts import Known
from mesh.finding import Command, Opening, Risk, State
from mesh.joining.situation import Situation
from mesh.model.network import FirewallRule
from mesh.plan import Condition, OpenRules, Step, Verify
from mesh.subject import OfCluster

_BEFORE_INSTALL = ("CM0403", "CM0404")


def vpn_step(now: Situation, _: tuple[Step, ...]) -> list[Step]:
    """A look at the site-to-site connections, where a cloud was read that has any."""
    sites = tuple(c for c in now.clusters if now.store.value(fact.VPN, OfCluster(c)))
    if len(now.clusters) < 2 or not sites:
        return []
    networks = {cluster: now.store.value(fact.CLOUD_NETWORK, OfCluster(cluster)) for cluster in now.clusters}
    far = {cluster: list(network.prefixes) for cluster, network in networks.items() if network}
    return [
        Step(
            id="vpn",
            title="check the VPN between the sites",
            clusters=sites,
            why="Nodes reach each other by their private addresses; without a tunnel nothing later can work.",
            effects=(Verify(sites),),
            until=(Condition("vpn-up", sites, {"far": far}),),
            risk=Risk.NONE,
            does="waits for the tunnels to be up, as the clouds tell; nothing is changed",
            undo="nothing to undo",
            usual=5.0,
            deadline=60.0,
        )
    ]


def rule_steps(now: Situation, steps: tuple[Step, ...]) -> list[Step]:
    """One step per cluster whose groups lack rules for the tunnel, health and ICMP from the peers' nodes."""
    made = []
    for cluster in now.clusters:
        openings = openings_for(now, cluster, _BEFORE_INSTALL)
        if openings or (firewall_known(now, cluster) and len(now.clusters) > 1):
            made.append(_rules_step(now, cluster, openings, tuple(step.id for step in steps)))
    return made


def openings_for(now: Situation, cluster: str, codes: tuple[str, ...]) -> tuple[Opening, ...]:
    """Rules that the first fix of each failed finding of these codes adds in this cluster, each once."""
    found: dict[tuple[str, str], Opening] = {}
    for finding in sorted(now.findings, key=lambda finding: finding.code):
        if finding.code in codes and finding.state is State.FAIL and finding.fixes:
            for opening in finding.fixes[0].opens:
                if opening.cluster == cluster:
                    rule = opening.rule
                    key = f"{rule.direction} {rule.protocol} {rule.from_port} {rule.to_port} {rule.sources}"
                    found.setdefault((opening.group, key), opening)
    return tuple(found.values())


def _rules_step(now: Situation, cluster: str, openings: tuple[Opening, ...], needs: tuple[str, ...]) -> Step:
    groups = tuple(dict.fromkeys((opening.group, opening.resource_id) for opening in openings))
    effects = tuple(
        OpenRules(cluster, group, tuple(o.rule for o in openings if o.group == group), resource)
        for group, resource in groups
    )
    words = [port_words(opening.rule) for opening in openings]
    ports = tuple(dict.fromkeys(words)) or (f"{now.goal.tunnel_port}/udp", "4240/tcp", "ICMP")
    commands = tuple(
        command
        for finding in now.findings
        if finding.code in _BEFORE_INSTALL and finding.state is State.FAIL and finding.fixes
        for command in finding.fixes[0].commands
        if command.where in ("", cluster)
    )
    return Step(
        id=f"rules.{cluster}",
        title=f"open {', '.join(ports)}",
        clusters=(cluster,),
        why="VXLAN is two one-way flows: each side needs a rule of its own for the peers' nodes.",
        effects=effects,
        until=(rules_condition(cluster, openings),),
        needs=needs,
        codes=_BEFORE_INSTALL,
        undo="the added rules are removed by their own ids; others stay",
        commands=unique(commands),
        diff=tuple(
            f"+ {opening.group} {port_words(opening.rule)} from {', '.join(opening.rule.sources)}"
            for opening in openings
        ),
        usual=5.0,
        deadline=120.0,
    )


def rules_condition(cluster: str, openings: tuple[Opening, ...]) -> Condition:
    """True when every opening is covered by an allowing rule of its group."""
    wanted = [
        [o.group, o.rule.direction, o.rule.protocol, o.rule.from_port, o.rule.to_port, *o.rule.sources]
        for o in openings
    ]
    return Condition("rules-open", (cluster,), {"rules": wanted})


def unique(commands: tuple[Command, ...]) -> tuple[Command, ...]:
    """The commands without repetition, in order."""
    return tuple(dict.fromkeys(commands))


def port_words(rule: FirewallRule) -> str:
    """``8472/udp``, ``30000-30010/tcp``, ``ICMP``, ``all``."""
    if rule.protocol == "icmp":
        return "ICMP"
    if rule.protocol == "*":
        return "all"
    ports = str(rule.from_port) if rule.from_port == rule.to_port else f"{rule.from_port}-{rule.to_port}"
    return f"{ports}/{rule.protocol}"


def firewall_known(now: Situation, cluster: str) -> bool:
    """Whether the rules on this cluster's nodes were read, and there is a cloud that has any."""
    got = now.store.get(fact.FIREWALL, OfCluster(cluster))
    return isinstance(got, Known) and got.value is not None
