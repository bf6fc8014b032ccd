"""Times of a CronJob schedule: five fields with lists, ranges and steps, in UTC.

Source: kubernetes.io/docs/concepts/workloads/controllers/cron-jobs (schedule syntax).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

_ALIASES: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_RANGES: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_HORIZON: Final = timedelta(days=366 * 8)


def _field(text: str, low: int, high: int) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        body, _, step = part.partition("/")
        first, last = low, high
        if body not in ("*", "?"):
            start, dash, end = body.partition("-")
            first = int(start)
            last = int(end) if dash else (high if step else first)
        if not low <= first <= last <= high:
            raise ValueError(f"{part} is outside {low}-{high}")
        values.update(range(first, last + 1, int(step) if step else 1))
    return frozenset(values)


def following(schedule: str, after: float) -> float:
    """The first time after ``after`` (epoch seconds) at which the schedule fires. Raises ``ValueError``."""
    fields = _ALIASES.get(schedule.strip(), schedule).split()
    if len(fields) != 5:
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: {schedule}")
    minutes, hours, days, months, weekdays = (
        _field(text, low, high) for text, (low, high) in zip(fields, _RANGES, strict=True)
    )
    any_day = fields[2].startswith("*") or fields[4].startswith("*")
    at = datetime.fromtimestamp(after, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    end = at + _HORIZON
    while at < end:
        if at.month not in months:
            at = (at.replace(day=1, hour=0, minute=0) + timedelta(days=32)).replace(day=1)
            continue
        weekday = at.isoweekday() % 7
        in_month, in_week = at.day in days, weekday in weekdays or (weekday == 0 and 7 in weekdays)
        if not (in_month and in_week if any_day else in_month or in_week):
            at = at.replace(hour=0, minute=0) + timedelta(days=1)
        elif at.hour not in hours:
            at = at.replace(minute=0) + timedelta(hours=1)
        elif at.minute not in minutes:
            at += timedelta(minutes=1)
        else:
            return at.timestamp()
    raise ValueError(f"never fires: {schedule}")
