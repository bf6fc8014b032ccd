"""Chart repositories: ``helm repo``, and where a chart's name leads. Only Cilium's own repository answers in a lab."""

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from backends.lab.charts.version import MINORS, NEWEST, NEWEST_PATCH, ChartVersion, UnknownVersion
from backends.lab.commands.flags import BadCommandLine
from backends.lab.commands.helm.printing import table, written
from backends.lab.commands.helm.session import Session
from backends.lab.commands.kube.yamls import BadYaml, dump, load

HOST: Final = "helm.cilium.io"
OCI: Final = "oci://quay.io/cilium/charts/cilium"
CHART: Final = "cilium"
_SERIES: Final = re.compile(r"[v~^=]?\s*v?1\.(\d+)(?:\.(?:(\d+)|[xX*]))?")


def locate(session: Session, name: str) -> ChartVersion:
    """The chart that a word names: a folder or archive, ``repo/cilium``, or ``cilium`` with ``--repo``."""
    name, version = name.strip(), str(session["version"]).strip()
    path = Path(name)
    if path.exists():
        return _of_path(path)
    if path.is_absolute() or name.startswith("."):
        raise BadCommandLine(f'path "{name}" not found')
    if session["repo"]:
        return _of_url(str(session["repo"]), name, version)
    if name.startswith("oci://"):
        return _of_registry(name, version)
    repository, slash, chart = name.partition("/")
    if not slash:
        raise BadCommandLine(f"non-absolute URLs should be in form of repo_name/path_to_chart, got: {name}")
    return _of_repository(session, repository, chart, version)


def add(session: Session) -> None:
    """``helm repo add NAME URL``."""
    name, url = session.words
    if "/" in name:
        raise BadCommandLine(f"repository name ({name}) contains '/', please specify a different name without '/'")
    known = _repositories(session)
    existing = next((entry for entry in known if entry.get("name") == name), None)
    if existing is not None and not session["force-update"]:
        if existing.get("url") != url:
            raise BadCommandLine(f"repository name ({name}) already exists, please specify a different name")
        print(f'"{name}" already exists with the same configuration, skipping')
        return
    _reach(url)
    entries = [entry for entry in known if entry.get("name") != name] + [_entry(name, url)]
    file = session.repository_config
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dump({"apiVersion": "", "generated": "0001-01-01T00:00:00Z", "repositories": entries}))
    file.chmod(0o600)
    print(f'"{name}" has been added to your repositories')


def update(session: Session) -> None:
    """``helm repo update [NAME…]``."""
    known = _repositories(session)
    if not known:
        raise BadCommandLine("no repositories found. You must add one before updating")
    names = [str(entry.get("name")) for entry in known]
    for word in session.words:
        if word not in names:
            raise BadCommandLine(f"no repositories found matching '{word}'.  Nothing will be updated")
    print("Hang tight while we grab the latest from your chart repositories...")
    for entry in known:
        if session.words and entry.get("name") not in session.words:
            continue
        try:
            _reach(str(entry.get("url")))
            print(f'...Successfully got an update from the "{entry.get("name")}" chart repository')
        except BadCommandLine as error:
            reason = str(error).partition(": ")[2]
            print(
                f'...Unable to get an update from the "{entry.get("name")}" chart repository ({entry.get("url")}):\n'
                f"\t{reason}"
            )
    print("Update Complete. ⎈Happy Helming!⎈")


def listed(session: Session) -> None:
    """``helm repo list``."""
    known = [{"name": entry.get("name"), "url": entry.get("url")} for entry in _repositories(session)]
    if session["output"] != "table":
        written(session["output"], known)
    elif not known:
        raise BadCommandLine("no repositories to show")
    else:
        table([("NAME", "URL"), *((entry["name"], entry["url"]) for entry in known)])


def remove(session: Session) -> None:
    """``helm repo remove NAME…``."""
    known = _repositories(session)
    if not known:
        raise BadCommandLine("no repositories configured")
    for word in session.words:
        if word not in [entry.get("name") for entry in known]:
            raise BadCommandLine(f'no repo named "{word}" found')
        known = [entry for entry in known if entry.get("name") != word]
        content = {"apiVersion": "", "generated": "0001-01-01T00:00:00Z", "repositories": known}
        session.repository_config.write_text(dump(content))
        print(f'"{word}" has been removed from your repositories')


def _entry(name: str, url: str) -> dict[str, Any]:
    blank = dict.fromkeys(("caFile", "certFile", "keyFile", "password", "username"), "")
    return {**blank, "insecure_skip_tls_verify": False, "name": name, "pass_credentials_all": False, "url": url}


def _repositories(session: Session) -> list[dict[str, Any]]:
    try:
        content = load(session.repository_config.read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, BadYaml) as error:
        raise BadCommandLine(f"couldn't load repositories file ({session.repository_config}): {error}") from error
    entries = content.get("repositories") if isinstance(content, dict) else None
    return [entry for entry in entries or [] if isinstance(entry, dict)]


def _reach(url: str) -> None:
    host = urlsplit(url).hostname or ""
    if host != HOST:
        lookup = f'Get "{url.rstrip("/")}/index.yaml": dial tcp: lookup {host}: no such host'
        raise BadCommandLine(f'looks like "{url}" is not a valid chart repository or cannot be reached: {lookup}')


def _of_path(path: Path) -> ChartVersion:
    """A chart on disk lends its name and version; the lab's own chart is what gets rendered."""
    try:
        content = load(_chart_file(path))
    except FileNotFoundError as error:
        raise BadCommandLine("Chart.yaml file is missing") from error
    except (OSError, BadYaml) as error:
        raise BadCommandLine(f"cannot load Chart.yaml: {error}") from error
    if not isinstance(content, dict) or content.get("name") != CHART:
        raise BadCommandLine(f"the lab's helm has the chart {CHART} only")
    try:
        return ChartVersion.parse(str(content.get("version")))
    except UnknownVersion as error:
        raise BadCommandLine(f"the lab has no chart {CHART} of version {error}") from error


def _chart_file(path: Path) -> bytes:
    if path.is_dir():
        return (path / "Chart.yaml").read_bytes()
    import tarfile

    try:
        with tarfile.open(path) as archive:
            for member in archive:
                if Path(member.name).name == "Chart.yaml" and len(Path(member.name).parts) == 2:
                    file = archive.extractfile(member)
                    return file.read() if file else b""
    except tarfile.TarError as error:
        raise BadCommandLine(f'file "{path}" does not appear to be a valid chart file: {error}') from error
    raise FileNotFoundError(path)


def _of_url(url: str, chart: str, version: str) -> ChartVersion:
    _reach(url)
    found = _offered(version) if chart == CHART else None
    if found is None:
        wanted = f' version "{version}"' if version else ""
        raise BadCommandLine(f'chart "{chart}"{wanted} not found in {url} repository')
    return found


def _of_repository(session: Session, repository: str, chart: str, version: str) -> ChartVersion:
    entry = next((entry for entry in _repositories(session) if entry.get("name") == repository), None)
    if entry is None:
        raise BadCommandLine(f"repo {repository} not found")
    found = _offered(version) if chart == CHART else None
    if found is None:
        reason = f"no chart version found for {chart}-{version}" if chart == CHART else "no chart name found"
        raise BadCommandLine(
            f"chart \"{chart}\" matching {version} not found in {repository} index. (try 'helm repo update'): {reason}"
        )
    return found


def _of_registry(name: str, version: str) -> ChartVersion:
    reference, _, tag = name.partition(":1.")
    version = f"1.{tag}" if tag else version
    found = _offered(version) if reference == OCI else None
    if found is None:
        raise BadCommandLine(f"{name}:{version}: not found")
    return found


def _offered(version: str) -> ChartVersion | None:
    """An exact version, a series such as ``1.16`` or ``~1.16.2``, or the newest for an empty text."""
    if not version:
        return NEWEST
    match = _SERIES.fullmatch(version)
    if match is None or int(match[1]) not in MINORS:
        return None
    minor = int(match[1])
    newest = ChartVersion(minor, NEWEST_PATCH[minor])
    if match[2] is None:
        return newest
    exact = ChartVersion(minor, int(match[2]))
    if version[0] in "~^":
        return newest if exact <= newest else None
    return exact if exact.offered else None
