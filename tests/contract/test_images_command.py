"""`coracle images`: an image of any packages, built by its name, run in a pod, listed, removed."""

import json


def test_an_image_of_packages_is_built_run_listed_and_removed(cloud, space):
    cloud.coracle("images", "build", "tools", "--from-packages", "jq")
    listed = json.loads(cloud.coracle("images", "list", "-o", "json").stdout)
    assert [i["source"] for i in listed if i["reference"] == "tools:latest"] == ["store"]
    space.kubectl("run", "calculator", "--image=tools", "--restart=Never", "--command", "--", "jq", "-n", "20 + 1")
    assert space.wait_for(lambda: space.kubectl("logs", "calculator", check=False).stdout) == "21\n"
    space.kubectl("delete", "pod", "calculator")
    cloud.coracle("images", "remove", "tools")
    assert "tools:latest" not in cloud.coracle("images", "list").stdout


def test_a_package_that_does_not_exist_is_named(cloud):
    refused = cloud.coracle("images", "build", "none", "--from-packages", "no-such-package-here", check=False)
    assert refused.returncode == 1
    assert "no-such-package-here" in refused.stderr
