"""Waiting for what another thread or process brings about."""

import time


def wait_until(condition, timeout_s=30.0):
    """Return as soon as `condition()` is true; fail after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, f"it did not happen within {timeout_s:g} s"
        time.sleep(0.01)
