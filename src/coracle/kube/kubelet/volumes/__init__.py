"""What a pod finds in its files: its volumes, set up, kept current and taken down.

service     sets volumes up and drops them
payloads    what files a config map, a secret or the downward API makes; pure
atomic      a directory whose files are replaced all at once
ownership   fsGroup
mounting    what a container mounts where
using       which volumes containers use
claims      where the volume of a claim is
following   keeps files current while the pod runs
"""
