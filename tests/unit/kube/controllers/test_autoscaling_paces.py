"""How fast the number of pods may change."""

import pytest

from coracle.kube.controllers.autoscaling.paces import Change, History, paced

NOW = 10_000.0


def rules(policies=(("Percent", 100, 15),), select="Max", window_s=None):
    found = {
        "selectPolicy": select,
        "policies": [{"type": type, "value": value, "periodSeconds": period_s} for type, value, period_s in policies],
    }
    return found if window_s is None else {**found, "stabilizationWindowSeconds": window_s}


def spec(up=None, down=None, least=1, most=100):
    behavior = {"scaleUp": up or rules(window_s=0), "scaleDown": down or rules()} if up or down else None
    return {"minReplicas": least, "maxReplicas": most, **({"behavior": behavior} if behavior else {})}


def lately(*recommended, added=(), taken=()):
    """Each is (seconds ago, number)."""
    return History(
        *([Change(NOW - ago_s, number) for ago_s, number in changes] for changes in (recommended, added, taken))
    )


@pytest.mark.parametrize(
    ("asked", "present", "wanted", "history", "expected", "able", "limited"),
    [
        (spec(), 5, 5, lately(), 5, "ReadyForNewScale", "DesiredWithinRange"),
        (spec(), 5, 8, lately(), 8, "ReadyForNewScale", "DesiredWithinRange"),
        (spec(), 5, 50, lately(), 10, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(), 1, 50, lately(), 4, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(most=7), 5, 50, lately(), 7, "ReadyForNewScale", "TooManyReplicas"),
        (spec(least=2), 5, 0, lately(), 2, "ReadyForNewScale", "TooFewReplicas"),
        (spec(), 5, 1, lately((200, 4)), 4, "ScaleDownStabilized", "DesiredWithinRange"),
        (spec(), 5, 1, lately((301, 4)), 1, "ReadyForNewScale", "DesiredWithinRange"),
        (spec(down=rules(window_s=60)), 5, 1, lately((61, 4)), 1, "ReadyForNewScale", "DesiredWithinRange"),
        (spec(down=rules(window_s=0)), 5, 1, lately((1, 4)), 1, "ReadyForNewScale", "DesiredWithinRange"),
        (spec(up=rules(window_s=60)), 5, 9, lately((30, 6)), 6, "ScaleUpStabilized", "DesiredWithinRange"),
        (spec(up=rules([("Pods", 2, 60)])), 5, 50, lately(), 7, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(up=rules([("Pods", 2, 60)])), 7, 50, lately(added=[(30, 2)]), 7, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(up=rules([("Pods", 2, 60)])), 7, 50, lately(added=[(60, 2)]), 9, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(up=rules([("Pods", 2, 60), ("Percent", 100, 60)])), 5, 50, lately(), 10, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(up=rules([("Pods", 2, 60), ("Percent", 100, 60)], "Min")), 5, 50, lately(), 7, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(up=rules(select="Disabled")), 5, 50, lately(), 5, "ReadyForNewScale", "ScaleUpLimit"),
        (spec(down=rules([("Pods", 1, 60)])), 5, 1, lately(), 4, "ReadyForNewScale", "ScaleDownLimit"),
        (spec(down=rules([("Pods", 1, 60)])), 4, 1, lately(taken=[(30, 1)]), 4, "ReadyForNewScale", "ScaleDownLimit"),
        (spec(down=rules([("Percent", 50, 60)])), 5, 1, lately(), 2, "ReadyForNewScale", "ScaleDownLimit"),
        (spec(down=rules([("Pods", 1, 60), ("Percent", 50, 60)], "Min")), 5, 1, lately(), 4, "ReadyForNewScale", "ScaleDownLimit"),
        (spec(down=rules(select="Disabled")), 5, 1, lately(), 5, "ReadyForNewScale", "ScaleDownLimit"),
    ],
    ids=[
        "as many as there are", "more", "no more than twice as many", "or four", "no more than the most",
        "no fewer than the least", "not fewer than was wanted five minutes ago", "but after them",
        "a window of one's own", "none at all", "a window for more", "so many pods a minute", "of which some came lately",
        "and some earlier", "the policy that allows most", "or least", "never more", "so many fewer a minute",
        "of which some went lately", "half of them", "the policy that takes least", "never fewer",
    ],
)  # fmt: skip
def test_paces(asked, present, wanted, history, expected, able, limited):
    pace = paced(asked, present, wanted, history, NOW)
    assert pace.replicas == expected
    assert [(one["type"], one["reason"]) for one in pace.conditions] == [
        ("AbleToScale", able),
        ("ScalingLimited", limited),
    ]
    assert pace.conditions[1]["status"] == str(limited != "DesiredWithinRange")


def test_what_is_long_ago_is_forgotten():
    history = lately((5000, 1), (10, 2), added=[(4000, 1)], taken=[(1, 1)])
    history.forget(NOW)
    assert history == lately((10, 2), taken=[(1, 1)])


def test_changes_are_remembered():
    history = History()
    history.scaled(2, 5, NOW)
    history.scaled(5, 1, NOW)
    history.scaled(1, 1, NOW)
    assert (history.added, history.taken) == ([Change(NOW, 3)], [Change(NOW, 4)])
