"""Waiting, and saying what was seen."""

import time


def until(what, condition, limit=60):
    """Waits until the condition holds and returns its value. A text from it says why it does not yet."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value and not isinstance(value, str):
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit} s: {what}" + (f": {value}" if value else ""))
        time.sleep(0.2)


def passed(what):
    print(f"  ok: {what}", flush=True)
