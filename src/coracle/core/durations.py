"""How long ago something was, as Docker says it.

Source: go-units, HumanDuration.
"""

from __future__ import annotations


def ago(duration_s: float) -> str:
    """ "Less than a second", "3 seconds", "About a minute", "2 hours", "5 days", "3 weeks"."""
    seconds = int(max(0.0, duration_s))
    minutes, hours = seconds // 60, int(max(0.0, duration_s) / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    return f"{days // 30} months" if days < 730 else f"{int(duration_s / 86400 / 365)} years"
