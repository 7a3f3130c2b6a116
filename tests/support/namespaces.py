"""Commands in Linux namespaces of their own: without a network, or with folders made read-only."""

import functools
import os
import subprocess

import pytest


@functools.cache
def _unshare(kinds):
    """Words that give a command namespaces of its own, and why that fails, if it does."""
    reasons = []
    for words in (("unshare", *kinds), ("unshare", "--map-root-user", *kinds)):
        try:
            tried = subprocess.run([*words, "true"], capture_output=True, text=True)
        except OSError as error:
            return (), str(error)
        if tried.returncode == 0:
            return words, ""
        reasons.append(f"{' '.join(words)}: {tried.stderr.strip()}")
    return (), "; ".join(reasons)


def unshared(*kinds):
    """Return the words that run a command in namespaces of these kinds, options of ``unshare``.

    Without the privilege, skip, or fail in CI.
    """
    words, reason = _unshare(kinds)
    if not words:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say(f"this needs namespaces, and this machine gives none ({reason})")
    return words


def read_only(*folders):
    """Return the words that run a command to which these folders are read-only, also as root."""
    script = "".join(
        f'mount --bind "${i}" "${i}" && mount -o remount,bind,ro "${i}" && '
        for i in range(1, len(folders) + 1)
    )
    script += f'shift {len(folders)} && exec "$@"'
    return (*unshared("--mount"), "sh", "-c", script, "sh", *map(str, folders))
