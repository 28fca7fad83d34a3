from coracle.image.snapshots.fake import FakeSnapshotter
from suites.snapshotter_suite import SnapshotterSuite


class TestFakeSnapshotter(SnapshotterSuite):
    def make(self, root):
        return FakeSnapshotter(root)
