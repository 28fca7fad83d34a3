"""Records of containers, as the engine and Docker's side make them, for tests of what is pure."""

from coracle.core.clock import rfc3339_micro
from coracle.core.object import Meta, Object

ID = "0123456789ab" + "c" * 52
NOW = 1_700_000_000.0


def at(ago_s):
    return rfc3339_micro(NOW - ago_s)


def record(state="running", *, config=None, host=None, life=None, ran=(10.0, None), exit_code=0, **spec):
    """`ran`: how long ago it started, and ended (None: it has not)."""
    started, finished = ran
    host = {"NetworkMode": "default", "RestartPolicy": {"Name": "no", "MaximumRetryCount": 0}, **(host or {})}
    details = {"Config": config or {}, "HostConfig": host, "Created": at(60)}
    status = {
        "state": state,
        "pid": 7 if state == "running" else 0,
        "started_at": at(started) if started is not None else "",
        "finished_at": at(finished) if finished is not None else "",
        "exit_code": exit_code,
        "details": life or {},
    }
    status |= {name: spec.pop(name) for name in ("paused", "oom_killed", "reason", "message") if name in spec}
    body = {"name": "web", "image": "busybox", "image_id": "sha256:0", "argv": ["sleep", "5"], "sandbox": ID}
    body |= {"made_by": "docker", "details": details, "stop_signal": "SIGTERM", "owner": "", "keeps_log": True, **spec}
    return Object("Container", Meta(name=ID, created=at(60)), {"spec": body, "status": status}, "engine/v1")


def ended(policy="no", *, most=0, **more):
    """One that has ended a second ago."""
    host = {"RestartPolicy": {"Name": policy, "MaximumRetryCount": most}, **more.pop("host", {})}
    return record("exited", host=host, ran=more.pop("ran", (2.0, 1.0)), **more)
