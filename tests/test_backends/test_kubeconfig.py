"""Kubeconfig files: which contexts there are, what they mean, what is wrong with files that cannot be used."""

import base64
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backends.credentials.login import shown
from backends.kubeconfig.cloudwords import place_of
from backends.kubeconfig.listing import Kubeconfig, unique_keys
from mesh.facts import Reason
from mesh.model.context import ContextRef, Provider
from mesh.reading import NotRead

TWO = """
clusters:
- {name: one, cluster: {server: "https://one:6443"}}
users:
- {name: someone, user: {token: abc}}
contexts:
- {name: first, context: {cluster: one, user: someone, namespace: shop}}
- {name: second, context: {cluster: one, user: someone}}
current-context: second
"""


def reader(*paths: Path, **environment: str) -> Kubeconfig:
    joined = os.pathsep.join(map(str, paths))
    return Kubeconfig(environment={"KUBECONFIG": joined, **environment}, home=Path("/nonexistent"))


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def one(path: Path, key: str = "") -> ContextRef:
    return next(ref for ref in reader(path).contexts().contexts if ref.key == (key or ref.key))


def test_contexts_of_one_file_in_its_order(tmp_path: Path) -> None:
    listed = reader(write(tmp_path, "a", TWO)).contexts()
    assert [(ref.key, ref.context, ref.namespace) for ref in listed.contexts] == [
        ("first", "first", "shop"),
        ("second", "second", ""),
    ]
    assert listed.contexts[0].server == "https://one:6443"
    assert listed.contexts[0].provider is Provider.OTHER
    assert listed.problems == ()
    assert reader(tmp_path / "a").current() == "second"


def test_the_default_path_and_files_that_are_not_there(tmp_path: Path) -> None:
    write(tmp_path, ".kube/config", TWO)
    listed = Kubeconfig(environment={}, home=tmp_path).contexts()
    assert len(listed.contexts) == 2
    assert listed.searched == (str(tmp_path / ".kube/config"),)
    nothing = reader(tmp_path / "gone", tmp_path / "gone2").contexts()
    assert not nothing.contexts
    assert not nothing.problems
    assert nothing.searched == (str(tmp_path / "gone"), str(tmp_path / "gone2"))
    named = Kubeconfig([str(tmp_path / "gone")], environment={}).contexts()
    assert named.problems[0].problem == "there is no such file"


def test_an_explicit_file_is_read_instead_of_the_others(tmp_path: Path) -> None:
    other = write(tmp_path, "b", TWO.replace("first", "third"))
    listed = Kubeconfig([str(other)], environment={"KUBECONFIG": str(write(tmp_path, "a", TWO))}).contexts()
    assert [ref.key for ref in listed.contexts] == ["third", "second"]


def test_first_file_wins_and_hidden_contexts_are_still_listed(tmp_path: Path) -> None:
    first = write(tmp_path, "a", TWO)
    second = write(tmp_path, "b", TWO.replace("https://one", "https://other").replace("abc", "def"))
    both = reader(first, second)
    listed = both.contexts().contexts
    assert [ref.key for ref in listed] == ["first (1)", "second (1)", "first (2)", "second (2)"]
    assert [both.connection(ref).cluster.server for ref in listed] == 2 * ["https://one:6443"] + 2 * [
        "https://other:6443"
    ]
    assert listed[0].files == (str(first), str(second))
    assert listed[2].files == (str(second), str(first))
    token = both.connection(listed[2]).user.token
    assert token is not None
    assert token.reveal() == "def"


def test_entries_of_other_files_are_used_as_kubectl_merges_them(tmp_path: Path) -> None:
    first = write(tmp_path, "a", "clusters: [{name: one, cluster: {server: 'https://one'}}]")
    second = write(
        tmp_path,
        "b",
        """
clusters: [{name: one, cluster: {server: "https://shadowed", tls-server-name: x}}]
users: [{name: u, user: {}}]
contexts: [{name: c, context: {cluster: one, user: u}}]""",
    )
    both = reader(first, second)
    connection = both.connection(both.contexts().contexts[0])
    assert (connection.cluster.server, connection.cluster.tls_server_name) == ("https://one", "")


def test_paths_are_relative_to_the_file_that_names_them(tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    write(folder, "ca.pem", "CA")
    write(folder, "me.pem", "CERT")
    write(folder, "me.key", "KEY")
    path = write(
        folder,
        "config",
        """
clusters: [{name: c, cluster: {server: "https://c", certificate-authority: ca.pem}}]
users:
- name: u
  user: {client-certificate: ../deep/me.pem, client-key: ./me.key, tokenFile: token}
- name: e
  user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: ./login}}
contexts:
- {name: c, context: {cluster: c, user: u}}
- {name: e, context: {cluster: c, user: e}}""",
    )
    config = reader(path)
    connection, plugged = (config.connection(ref) for ref in config.contexts().contexts)
    assert (connection.cluster.ca, connection.user.certificate) == (b"CA", b"CERT")
    assert connection.user.key is not None
    assert connection.user.key.reveal() == "KEY"
    assert connection.user.token_file == str(folder / "token")
    assert plugged.user.plugin is not None
    assert plugged.user.plugin.command == str(folder / "login")
    assert "KEY" not in repr(connection)


def test_every_field_of_user_and_cluster_arrives(tmp_path: Path) -> None:
    ca = base64.b64encode(b"PEM").decode()
    path = write(
        tmp_path,
        "a",
        f"""
clusters:
- name: c
  cluster:
    server: https://c:6443/k8s/clusters/x/
    certificate-authority-data: {ca}
    tls-server-name: inner
    proxy-url: http://proxy:3128
    disable-compression: true
    extensions: [{{name: client.authentication.k8s.io/exec, extension: {{audience: x}}}}]
users:
- name: u
  user:
    as: jane
    as-uid: "7"
    as-groups: [dev, ops]
    as-user-extra: {{reason: [why, not]}}
    exec:
      apiVersion: client.authentication.k8s.io/v1
      interactiveMode: Never
      provideClusterInfo: true
      command: login
      args: [a, b]
      env: [{{name: AWS_PROFILE, value: prod}}]
      installHint: get it
contexts: [{{name: c, context: {{cluster: c, user: u}}}}]""",
    )
    config = reader(path)
    connection = config.connection(config.contexts().contexts[0])
    cluster, user = connection.cluster, connection.user
    assert (cluster.server, cluster.ca, cluster.tls_server_name) == ("https://c:6443/k8s/clusters/x", b"PEM", "inner")
    assert (cluster.proxy_url, cluster.disable_compression) == ("http://proxy:3128", True)
    assert cluster.exec_config == {"audience": "x"}
    assert user.plugin is not None
    assert user.plugin.argv == ("login", "a", "b")
    assert user.plugin.env == {"AWS_PROFILE": "prod"}
    assert (user.plugin.provide_cluster_info, user.plugin.interactive_mode) == (True, "Never")
    assert user.plugin.install_hint == "get it"
    who = user.impersonation
    assert (who.user, who.uid, who.groups, who.extra) == ("jane", "7", ("dev", "ops"), {"reason": ("why", "not")})


@pytest.mark.parametrize(
    ("user", "cluster", "said"),
    [
        ("{token: a, username: b}", "", "token and username"),
        ("{client-certificate-data: YQ==}", "", "client-key is missing"),
        ("{client-certificate: x, client-certificate-data: YQ==, client-key: k}", "", "both client-certificate"),
        ("{as-groups: [x]}", "", "without as"),
        ("{exec: {command: x}}", "", "apiVersion (none)"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1, command: x}}", "", "interactiveMode (none)"),
        ("{exec: {apiVersion: client.authentication.k8s.io/v1beta1}}", "", "no command"),
        ("{client-certificate: gone.pem, client-key: gone.key}", "", "No such file"),
        ("{}", "{}", "no server"),
        ("{}", "{server: 'ftp://x'}", "no http(s) URL"),
        ("{}", "{server: 'https://x', certificate-authority-data: '???'}", "not base64"),
        ("{}", "{server: 'https://x', proxy-url: 'x:1'}", "proxy-url"),
        (
            "{}",
            "{server: 'https://x', insecure-skip-tls-verify: true, certificate-authority-data: YQ==}",
            "has a CA and",
        ),
    ],
)
def test_what_kubectl_refuses_is_refused_with_a_reason(tmp_path: Path, user: str, cluster: str, said: str) -> None:
    cluster = cluster or "{server: 'https://c'}"
    path = write(
        tmp_path,
        "a",
        f"clusters: [{{name: c, cluster: {cluster}}}]\nusers: [{{name: u, user: {user}}}]\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]",
    )
    with pytest.raises(NotRead) as caught:
        reader(path).connection(one(path))
    assert caught.value.unknown.reason is Reason.INVALID
    assert said in caught.value.unknown.detail
    assert caught.value.unknown.lift


EKS_ARN = "arn:aws:eks:ap-northeast-1:111122223333:cluster/mesh-eks"


@pytest.mark.parametrize(
    ("entry", "user", "server", "argv", "expected"),
    [
        (EKS_ARN, "u", "https://x", [], (Provider.EKS, "ap-northeast-1", "111122223333", "mesh-eks")),
        ("c", "u", "https://A.gr7.eu-west-1.eks.amazonaws.com", [], (Provider.EKS, "eu-west-1", "", "")),
        ("c", "u", "https://A.eks-cluster.eu-west-1.api.aws", [], (Provider.EKS, "eu-west-1", "", "")),
        ("c", "u", "https://A.yl4.cn-north-1.eks.amazonaws.com.cn", [], (Provider.EKS, "cn-north-1", "", "")),
        ("c", "u", "https://A.x.cn-north-1.eks.amazonwebservices.com.cn", [], (Provider.EKS, "cn-north-1", "", "")),
        ("a.eu-west-1.eksctl.io", "u", "https://x", [], (Provider.EKS, "eu-west-1", "", "a")),
        (
            "c",
            "u",
            "https://127.0.0.1:1",
            ["aws", "--region", "us-east-1", "eks", "get-token", "--cluster-name", "n"],
            (Provider.EKS, "us-east-1", "", "n"),
        ),
        ("c", "u", "https://1.2.3.4", ["aws-iam-authenticator", "token", "-i", "n"], (Provider.EKS, "", "", "n")),
        ("c", "u", "https://d.hcp.japaneast.azmk8s.io:443", [], (Provider.AKS, "japaneast", "", "c")),
        ("c", "u", "https://d.0.privatelink.japaneast.azmk8s.io:443", [], (Provider.AKS, "japaneast", "", "c")),
        (
            "c",
            "u",
            "https://127.0.0.1:1",
            ["kubelogin", "get-token", "--server-id", "6dae42f8-4368-4678-94ff-3960e28e3630"],
            (Provider.AKS, "", "", "c"),
        ),
        ("c", "clusterUser_rg_c", "https://proxy.corp", [], (Provider.AKS, "", "", "c")),
        ("gke_p_europe-west1-b_n", "u", "https://1.2.3.4", [], (Provider.GKE, "europe-west1-b", "p", "n")),
        ("c", "u", "https://1.2.3.4", ["gke-gcloud-auth-plugin"], (Provider.GKE, "", "", "")),
        ("kind-a", "kind-a", "https://127.0.0.1:43210", [], (Provider.KIND, "", "", "a")),
        ("kind-a", "kind-a", "https://kind-a.corp", [], (Provider.OTHER, "", "", "")),
        ("c", "u", "https://eks.amazonaws.com.evil.org", [], (Provider.OTHER, "", "", "")),
    ],
)
def test_which_cloud_a_context_is(
    tmp_path: Path, entry: str, user: str, server: str, argv: list[str], expected: tuple[Provider, str, str, str]
) -> None:
    plugin = ""
    if argv:
        plugin = f"exec: {{apiVersion: client.authentication.k8s.io/v1beta1, command: {argv[0]}, args: {argv[1:]}}}"
    path = write(
        tmp_path,
        "a",
        f"clusters: [{{name: '{entry}', cluster: {{server: '{server}'}}}}]\n"
        f"users: [{{name: {user}, user: {{{plugin}}}}}]\n"
        f"contexts: [{{name: renamed, context: {{cluster: '{entry}', user: {user}}}}}]",
    )
    ref = one(path)
    assert (ref.provider, ref.region, ref.account, ref.cloud_name) == expected


@pytest.mark.parametrize(
    ("cluster", "user", "group"),
    [
        ("aks-east", "clusterUser_rg-mesh_aks-east", "rg-mesh"),
        ("a_b", "clusterAdmin_rg_mesh_a_b", "rg_mesh"),
        ("renamed", "clusterUser_rg_mesh_aks-east", ""),
        ("aks-east", "somebody", ""),
    ],
)
def test_the_resource_group_is_known_only_where_the_users_name_holds_it(cluster: str, user: str, group: str) -> None:
    place = place_of((cluster, user, "context"), "https://d.hcp.japaneast.azmk8s.io:443", (), {})
    assert (place.region, place.group) == ("japaneast", group)


def test_keys_are_short_and_unique() -> None:
    assert unique_keys([EKS_ARN, "gke_p_z_n", "me@a.eu-west-1.eksctl.io", "kind-a", "a b"]) == [
        "mesh-eks", "n", "a", "kind-a", "a b"
    ]  # fmt: skip
    assert unique_keys(["admin", "admin (1)", "admin"]) == ["admin (2)", "admin (1)", "admin (3)"]


@given(st.lists(st.text(max_size=6), max_size=12))
@settings(max_examples=100, deadline=None)
def test_keys_never_collide(names: list[str]) -> None:
    keys = unique_keys(names)
    assert len(set(keys)) == len(names) == len(keys)


def test_secrets_in_plugin_arguments_are_not_shown(tmp_path: Path) -> None:
    argv = [
        "kubelogin",
        "--client-secret",
        "S3CRET",
        "--password=S3CRET",
        "--token-cache-dir",
        "here",
        "--token",
        "S3CRET",
    ]
    assert shown(argv)[-4:] == ("--token-cache-dir", "here", "--token", "***")
    path = write(
        tmp_path,
        "a",
        "users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: kubelogin, "
        f"args: {argv[1:]}}}}}}}]\ncontexts: [{{name: c, context: {{user: u}}}}]",
    )
    assert one(path).exec_argv[0] == "kubelogin"
    assert "S3CRET" not in repr(one(path))


def test_hostile_names_are_cleaned_and_still_found(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "a",
        'clusters: [{name: "c\\e]0;x\\a", cluster: {server: "https://u:p@c\\u202e"}}]\n'
        'contexts: [{name: "n\\e[2J\\u202ea", context: {cluster: "c\\e]0;x\\a", namespace: "\\x07"}}]',
    )
    ref = one(path)
    assert (ref.key, ref.context, ref.server, ref.namespace) == ("na", "na", "https://c", "")
    assert reader(path).connection(ref).ref is ref


def test_files_that_only_a_bundle_names_are_not_trusted_and_not_merged(tmp_path: Path) -> None:
    own = write(tmp_path, "own", TWO.replace("user: someone", "user: gone"))
    plugin = "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: evil}}"
    foreign = write(
        tmp_path,
        "foreign",
        f"users: [{{name: gone, user: {plugin}}}]\n"
        "clusters: [{name: one, cluster: {server: 'https://theirs'}}]\n"
        "contexts: [{name: theirs, context: {cluster: one, user: gone}}]",
    )
    config = Kubeconfig(foreign=[str(foreign)], environment={"KUBECONFIG": str(own)}, home=tmp_path)
    listed = {ref.context: ref for ref in config.contexts().contexts}
    assert {name: ref.trusted for name, ref in listed.items()} == {"first": True, "second": True, "theirs": False}
    assert listed["first"].exec_argv == ()
    with pytest.raises(NotRead, match="is in no kubeconfig file"):
        config.connection(listed["first"])
    theirs = config.connection(listed["theirs"])
    assert (theirs.cluster.server, theirs.user.plugin is not None) == ("https://theirs", True)
    # A file that is one's own stays trusted, whoever names it besides.
    both = Kubeconfig([str(own)], foreign=[str(own)], environment={}, home=tmp_path)
    assert all(ref.trusted for ref in both.contexts().contexts)
