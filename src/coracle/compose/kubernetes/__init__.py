"""A Compose project as Kubernetes manifests that run to the same result.

    project ─ conversion ─┬─ pods ─ containers ─ resources, security, probes, volumes, attached
                          ├─ workloads      Deployment, ReplicationController, DaemonSet, Job
                          ├─ services       Service: by name, and for published ports
                          └─ storage        PersistentVolumeClaim, ConfigMap, Secret

`conversion.convert` is the way in.  Every field of the model is taken through `fields.Fields`; what nobody took is
warned of in the end, with the reason that `unsaid` gives, so that nothing is dropped in silence.
"""
