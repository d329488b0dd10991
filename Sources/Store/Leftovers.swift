// SPDX-License-Identifier: Apache-2.0
internal import Glibc

extension ImageStore {
    /// Removes half-written blobs of processes that are no more; nothing happens while others use the store.
    ///
    /// The beginnings of fetched blobs stay for a day, so that the next pull goes on with them.
    ///
    /// It costs one look into a folder that is nearly always empty. Everything else waits for ``Collector``.
    public func removeLeftovers() {
        let folder = root + "/tmp"
        let left = DiskFile.names(in: folder).filter { $0.hasPrefix("blob-") || $0.hasPrefix(Ingest.partial) }
        guard !left.isEmpty, let alone = try? FileLock.ifFree(root + "/locks/use") else { return }
        defer { withExtendedLifetime(alone) {} }
        let now = time(nil)
        for name in left {
            if name.hasPrefix(Ingest.partial) {
                var status = stat()
                if stat(folder + "/" + name, &status) == 0, now - status.st_mtim.tv_sec > Sweep.leftoverAge {
                    unlink(folder + "/" + name)
                }
                continue
            }
            let parts = name.split(separator: "-")
            guard parts.count > 2, let process = Int32(parts[1]), process > 0, kill(process, 0) != 0, errno == ESRCH
            else { continue }
            unlink(folder + "/" + name)
        }
    }
}
