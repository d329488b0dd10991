// SPDX-License-Identifier: Apache-2.0
internal import Glibc
internal import OCI
internal import Rootfs
internal import Sandbox
internal import Store

/// What is mounted in a container besides what every one has.
///
/// VOLUMEs of an image lie in its root like everything else, and go with it. Where the root is read-only they are
/// folders of their own with what the image has there, as programs count on writing to them.
struct ContainerMounts {
    let plan: ContainerPlan
    /// Where folders of the container's own are made.
    let folder: String
    let snapshots: Snapshots
    /// The folders of the image's layers, lowest first.
    let layers: [String]

    /// The mounts, outer ones before those inside them.
    func specs(of config: ImageConfig, mountsOverlays: Bool) throws -> [MountSpec] {
        var mounts: [MountSpec] = []
        for volume in plan.volumes {
            if let source = volume.source {
                mounts.append(MountSpec(.bind(source, isReadOnly: volume.isReadOnly), at: volume.target))
            }
        }
        for memory in plan.memories {
            mounts.append(MountSpec(.tmpfs(size: memory.size, mode: memory.mode), at: memory.target))
        }
        if plan.run.isReadOnly {
            let taken = mounts.map { ContainerPlan.parts($0.target) }
            let own = plan.volumes.filter { $0.source == nil }.map(\.target)
            for target in Set(config.volumes).union(own).sorted() where !taken.contains(ContainerPlan.parts(target)) {
                mounts.append(try ownFolder(target, mounts.count, mountsOverlays))
            }
        }
        return mounts.sorted { ContainerPlan.parts($0.target).count < ContainerPlan.parts($1.target).count }
    }

    private func ownFolder(_ target: String, _ number: Int, _ mountsOverlays: Bool) throws -> MountSpec {
        let path = "\(folder)/\(number)"
        let (upper, work) = (path + "/upper", path + "/work")
        for folder in [upper, work] { try DiskFile.makeFolder(folder) }
        let place = try snapshots.locate(Array(target.utf8), in: layers)
        guard case .folders(let folders)? = place, let top = folders.last else {
            return MountSpec(.bind(upper, isReadOnly: false), at: target)
        }
        var status = stat()
        if stat(top, &status) == 0 {
            _ = chown(upper, status.st_uid, status.st_gid)
            chmod(upper, status.st_mode & 0o7777)
        }
        if mountsOverlays { return MountSpec(.overlay(lower: folders, upper: upper, work: work), at: target) }
        try snapshots.copy(.folders(folders), to: upper)
        return MountSpec(.bind(upper, isReadOnly: false), at: target)
    }
}
