"""All contexts of all kubeconfig files as the Clusters screen lists them: no network, no SDK, a few milliseconds."""

import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from backends.credentials.connection import Connection
from backends.credentials.login import shown
from backends.kubeconfig.cloudwords import place_of, short_name
from backends.kubeconfig.files import BadFile, KubeconfigFile, locate, read_file
from backends.kubeconfig.resolve import resolve, search_order
from backends.kubeconfig.shapes import Cluster, Context, Exec, User
from mesh.model.context import ContextList, ContextRef, FileProblem
from mesh.text import clean, one_line


class Kubeconfig:
    """The kubeconfig files of this session.

    ``explicit`` are files given on the command line, instead of ``KUBECONFIG`` and the default path; ``foreign`` are
    files that only a bundle or a project file names: their plugins are not run before the user agreed.
    """

    def __init__(
        self,
        explicit: Sequence[str] = (),
        *,
        foreign: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        home: Path | None = None,
    ) -> None:
        self._explicit = tuple(explicit)
        self._foreign = {os.path.abspath(path) for path in foreign}
        self._environment = os.environ if environment is None else environment
        self._home = home

    def contexts(self) -> ContextList:
        """All contexts in file order, with what is wrong with files that could not be used."""
        own, foreign, problems, searched = self._read()
        found = [_ref(own, index, name) for index, file in enumerate(own) for name in file.contexts]
        found += [
            msgspec.structs.replace(_ref([file], 0, name), trusted=False) for file in foreign for name in file.contexts
        ]
        keys = unique_keys(ref.context for ref in found)
        contexts = (msgspec.structs.replace(ref, key=key) for ref, key in zip(found, keys, strict=True))
        return ContextList(tuple(contexts), tuple(problems), tuple(str(path) for path in searched))

    def current(self) -> str:
        """The key of kubectl's current context; "" if there is none."""
        name = next((file.current for file in self._read()[0] if file.current), "")
        return next((ref.key for ref in self.contexts().contexts if name and ref.context == clean(name)), "")

    def connection(self, ref: ContextRef) -> Connection:
        """The connection of a context, read afresh. Raises ``NotRead``."""
        own, foreign, _, _ = self._read()
        return resolve(ref, next(([file] for file in foreign if str(file.path) == ref.file), own))

    def _read(self) -> tuple[list[KubeconfigFile], list[KubeconfigFile], list[FileProblem], list[Path]]:
        """Own files, foreign files, problems, paths looked at. Nothing of a foreign file is merged into our own."""
        home = self._home or Path(os.path.expanduser("~"))
        searched = [Path(os.path.abspath(path)) for path in locate(self._explicit, self._environment, home)]
        foreign = [Path(path) for path in sorted(self._foreign - set(map(str, searched)))]
        problems: list[FileProblem] = []
        own_files = _readable(searched, problems, named=bool(self._explicit))
        return own_files, _readable(foreign, problems, named=True), problems, searched


def _readable(paths: Iterable[Path], problems: list[FileProblem], *, named: bool) -> list[KubeconfigFile]:
    """The files that can be used; ``named`` = one that is not there is a problem."""
    files: list[KubeconfigFile] = []
    for path in dict.fromkeys(paths):
        try:
            files.append(read_file(path))
        except FileNotFoundError:
            if named:
                problems.append(FileProblem(clean(str(path)), "there is no such file", "Correct the path."))
        except BadFile as bad:
            problems.append(bad.problem)
    return files


def unique_keys(contexts: Iterable[str]) -> list[str]:
    """Short names of contexts; equal ones get `` (1)``, `` (2)`` in order."""
    names = [one_line(short_name(context)) or "(unnamed)" for context in contexts]
    counts, seen = Counter(names), Counter[str]()
    taken = {name for name, count in counts.items() if count == 1}
    keys = []
    for name in names:
        key = name
        while counts[name] > 1 and (key == name or key in taken):
            seen[name] += 1
            key = f"{name} ({seen[name]})"
        taken.add(key)
        keys.append(key)
    return keys


def _ref(files: Sequence[KubeconfigFile], index: int, name: str) -> ContextRef:
    entry: Context = files[index].contexts[name]
    order = search_order(files, index, name)
    cluster = next((file.clusters[entry.cluster or ""] for file in order if entry.cluster in file.clusters), Cluster())
    user = next((file.users[entry.user or ""] for file in order if entry.user in file.users), User())
    plugin = user.exec or Exec()
    argv = shown([plugin.command or "", *(arg or "" for arg in plugin.args or ())]) if plugin.command else ()
    words = [clean(word) for word in (entry.cluster or "", entry.user or "", name)]
    server = clean(re.sub(r"//[^/@]*@", "//", cluster.server or ""))
    variables = {item.name or "": item.value or "" for item in plugin.env or ()}
    place = place_of(words, server, argv, variables)
    return ContextRef(
        key="",
        context=clean(name),
        file=str(files[index].path),
        server=server,
        cluster_entry=words[0],
        user=words[1],
        namespace=clean(entry.namespace or ""),
        provider=place.provider,
        exec_argv=argv,
        region=clean(place.region),
        account=clean(place.account),
        cloud_name=clean(place.name),
        files=tuple(str(file.path) for file in order),
        group=clean(place.group),
    )
