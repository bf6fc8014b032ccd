"""Which contexts a call means: by name, by ``name=context@file``, or all that a lab or bundle holds."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from mesh.errors import UsageError
from mesh.model.context import ContextList, ContextRef


def chosen(arguments: argparse.Namespace, found: ContextList, *, everything: bool) -> tuple[ContextRef, ...]:
    """The contexts of ``--cluster`` and ``--context`` in the order given; ``everything`` = all when none is named.

    Raises ``UsageError`` for a name that is unknown or ambiguous, a context given twice, or none at all.
    """
    refs = [_named(text, found) for text in arguments.cluster] + [_context(text, found) for text in arguments.context]
    if not refs and everything:
        refs = list(found.contexts)
    if not refs:
        raise _nothing(found)
    _refuse_doubled(refs)
    return tuple(refs)


def _refuse_doubled(refs: Sequence[ContextRef]) -> None:
    """Two names of ours for one context as well; two contexts of one cluster only its answer tells (CM0003)."""
    names: set[str] = set()
    places: dict[tuple[str, str], str] = {}
    for ref in refs:
        if ref.key in names:
            raise UsageError(f"{ref.key} is given twice", hint="Name each cluster once.")
        before = places.get((ref.context, ref.file))
        if before is not None:
            detail = f"Both are context {ref.context} of {ref.file}."
            raise UsageError(f"{before} and {ref.key} are the same cluster", detail, "Name each cluster once.")
        names.add(ref.key)
        places[ref.context, ref.file] = ref.key


def _named(text: str, found: ContextList) -> ContextRef:
    name, equals, rest = text.partition("=")
    if not equals or not name or not rest:
        raise UsageError(
            f"--cluster {text} is not NAME=CONTEXT[@FILE]", hint="Such as --cluster tokyo=admin@~/.kube/aws.yaml"
        )
    return replace(_context(rest, found), key=name)


def _context(text: str, found: ContextList) -> ContextRef:
    """A context by its key, its name, or ``name@file``; names may hold ``@`` themselves (ARNs do not, users' do)."""
    same = [ref for ref in found.contexts if text in (ref.key, ref.context)]
    if not same:
        context, _, file = text.rpartition("@")
        place = str(Path(file).expanduser()) if file else ""
        same = [ref for ref in found.contexts if ref.context == context and ref.file in (file, place)]
        if not same and context and "/" in file and not Path(place).exists():
            raise UsageError(f"There is no file {file}", hint="kubectl config view tells which files are read.")
    if len(same) == 1:
        return same[0]
    if same:
        places = "; ".join(f"{ref.key} in {ref.file}" for ref in same)
        raise UsageError(
            f"{text} is the name of several contexts", places, "Say NAME=CONTEXT@FILE, or use the name in front."
        )
    raise _unknown(text, found)


def _unknown(text: str, found: ContextList) -> UsageError:
    known = ", ".join(ref.key for ref in found.contexts[:12])
    gone = [file for file in found.searched if not Path(file).exists()]
    none = f"No contexts in {', '.join(found.searched)}"
    if gone:
        none = f"There {'is no file' if len(gone) == 1 else 'are no files'} {', '.join(gone)}"
    why = f"Known: {known}" if known else none
    hint = problems(found) or _lab_ended(found) or "kubectl config get-contexts lists them."
    return UsageError(f"There is no context {text}", why, hint)


def _nothing(found: ContextList) -> UsageError:
    if found.contexts:
        names = ", ".join(ref.key for ref in found.contexts[:12])
        return UsageError("No cluster is named", f"Contexts: {names}", "Name them: --context A --context B")
    detail = problems(found) or f"Looked at: {', '.join(found.searched) or 'nothing'}"
    hint = _lab_ended(found) or "Set KUBECONFIG or give --kubeconfig; meshwright demo needs none."
    return UsageError("No kubeconfig context was found", detail, hint)


def _lab_ended(found: ContextList) -> str:
    """What to do in a shell whose variables are those of a lab that took its kubeconfig along; "" elsewhere."""
    if "MESHWRIGHT_LAB_CONTROL" not in os.environ or any(Path(file).exists() for file in found.searched):
        return ""
    return "The lab of this shell's variables has ended: meshwright lab up, or unset KUBECONFIG for your own clusters."


def problems(found: ContextList) -> str:
    """What is wrong with the files that could not be used and what to do about it, in one line."""
    return "; ".join(f"{item.file}: {item.problem}. {item.hint}".rstrip(" .") + "." for item in found.problems)


def edits(pairs: Sequence[str]) -> dict[str, str]:
    """``--set`` pairs as edits of the goal. Raises ``UsageError``."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(
                f"--set {pair} is not CHOICE=VALUE", hint="Such as --set mtu=1400 --set pods.NAME=10.120.0.0/16"
            )
        found[name.strip()] = value.strip()
    return found
