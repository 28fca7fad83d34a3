"""Everything a container needs before the runtime hears of it: its files, its user, its directory, its log's place.

Called by `containers`, whose records it may look at; calls `images` and `sandboxes`.
"""

from __future__ import annotations

import errno
import os

from coracle.core.errors import Broken, Conflict, Exhausted
from coracle.core.object import Object
from coracle.core.tasks import offload
from coracle.engine import bundles, inits
from coracle.engine.images import Images
from coracle.engine.joining import Records, joined
from coracle.engine.kinds import container as containers
from coracle.engine.sandboxes import Sandboxes
from coracle.engine.targets import make_targets
from coracle.engine.users import find_identity
from coracle.linux import idmaps
from coracle.runtime.api import Bundle


class Preparation:
    def __init__(self, records: Records, images: Images, sandboxes: Sandboxes) -> None:
        self._records, self._images, self._sandboxes = records, images, sandboxes

    async def bundle(self, record: Object, log_path: str) -> Bundle:
        """What the runtime is to be told; the root file system is mounted on return.

        Raises: Conflict (its sandbox is not ready, a container that it wants to join does not run), NotFound (image),
                Invalid (user, working directory), Unavailable (init), Exhausted, Broken.
        """
        id, spec = record.meta.name, containers.from_record(record)
        sandbox = self._sandboxes.find(spec.sandbox)
        if sandbox is None or sandbox.status["state"] != "ready":
            raise Conflict(f"sandbox {spec.sandbox} is not ready", kind="Sandbox", name=spec.sandbox)
        namespaces = joined(spec, sandbox, self._records)
        init_path = inits.find_init() if spec.init else ""
        users = bundles.users_of(sandbox)
        rootfs_path = await self._images.mount(self._images.get(record.spec["image_id"]), id, users=users)

        def look() -> bundles.Places:
            os.makedirs(os.path.dirname(log_path), mode=0o700, exist_ok=True)
            make_targets(rootfs_path, spec.mounts, spec.mark)
            workdir = bundles.find_workdir(rootfs_path, spec.workdir)
            if users is not None:
                idmaps.hand_over(rootfs_path, (workdir, *(mount.target for mount in spec.mounts)), users)
            return bundles.Places(
                rootfs_path=rootfs_path,
                sandbox_path=self._sandboxes.files_path(spec.sandbox),
                log_path=log_path if spec.keeps_log else "",
                workdir=workdir,
                identity=find_identity(rootfs_path, spec.user, spec.groups, spec.memberships),
                joined=namespaces,
                init_path=init_path,
            )

        try:
            return bundles.bundle(record, sandbox, await offload(look))
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise (Exhausted if full else Broken)(f"cannot prepare container {id}: {error}") from error
