"""How long ago, as kubectl's columns say it (k8s.io/apimachinery/pkg/util/duration)."""

from datetime import UTC, datetime

UNKNOWN = "<unknown>"


def seconds_of(stamp: str | None) -> float | None:
    """Epoch seconds of an RFC 3339 time, or None."""
    if not stamp:
        return None
    try:
        read = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    except ValueError:
        return None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def since(stamp: str | None, now: float) -> str:
    """Age of a time at ``now`` (epoch seconds)."""
    at = seconds_of(stamp)
    return UNKNOWN if at is None else human(now - at)


def human(span: float) -> str:
    """A span of seconds in at most two units."""
    seconds = int(span)
    if seconds < -1:
        return "<invalid>"
    if seconds < 0:
        return "0s"
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if hours < 192:
        return _two(days, "d", hours % 24, "h")
    if days < 730:
        return f"{days}d"
    if days < 365 * 8:
        return _two(days // 365, "y", days % 365, "d")
    return f"{days // 365}y"


def _two(large: int, unit: str, small: int, below: str) -> str:
    return f"{large}{unit}{small}{below}" if small else f"{large}{unit}"
