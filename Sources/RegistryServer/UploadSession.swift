// SPDX-License-Identifier: Apache-2.0
internal import HTTPTypes
internal import NIOCore
internal import OCI
internal import Store
internal import Synchronization

/// An upload that clients add to; the actor guards the file and its hash.
actor UploadSession {
    private let repositories: Repositories
    private let repository: RepositoryName
    private let id: String
    private var upload: BlobUpload
    /// Grows with each request, so that a dead connection's last bytes do not mix with those of the next.
    private var turn = 0

    init(_ upload: sending BlobUpload, _ id: String, in repository: RepositoryName, of repositories: Repositories) {
        (self.upload, self.id) = (upload, id)
        (self.repository, self.repositories) = (repository, repositories)
    }

    /// How many bytes there are.
    var size: Int64 { upload.size }

    /// Begins to add; whoever added before may not any more.
    ///
    /// - Returns: The turn, and how many bytes there are; `nil` where the upload is gone.
    func begin() throws(StoreError) -> (turn: Int, size: Int64)? {
        guard let size = try status() else { return nil }
        turn += 1
        return (turn, size)
    }

    /// How many bytes there are, and `nil` where the upload is gone; whoever adds goes on.
    func status() throws(StoreError) -> Int64? {
        if !upload.isCurrent {
            // Another process went on with it, or ended it.
            guard let other = try repositories.upload(id, in: repository) else { return nil }
            upload = other
        }
        return upload.size
    }

    /// Adds bytes.
    func append(_ buffers: [ByteBuffer], in turn: Int) throws {
        guard turn == self.turn else {
            throw Refusal(.conflict, .uploadInvalid, "another request goes on with the upload \(id)")
        }
        for buffer in buffers {
            try buffer.withUnsafeReadableBytes { bytes throws(StoreError) in try upload.append(bytes) }
        }
    }

    /// Ends the upload.
    ///
    /// - Returns: The blob's name in the store; `nil` where its digest is another.
    func commit(_ name: BlobName, in turn: Int) throws -> Digest? {
        guard turn == self.turn else {
            throw Refusal(.conflict, .uploadInvalid, "another request goes on with the upload \(id)")
        }
        // Nothing is collected between the blob and its link.
        let lease = try repositories.store.lease()
        defer { withExtendedLifetime(lease) {} }
        guard let digest = try upload.commit(name) else { return nil }
        try repositories.link(digest, as: name, in: repository)
        return digest
    }

    /// Removes the pieces.
    func cancel() {
        turn += 1
        upload.cancel()
    }
}

/// The uploads that this process knows; others are on the disk, and a lock guards the list.
final class UploadTable: Sendable {
    private struct Entry {
        let session: UploadSession
        var lastUse: Int
    }

    private struct State {
        var entries: [String: Entry] = [:]
        var uses = 0
    }

    /// How many files stay open; those out of use for longest are closed, and opened again when somebody goes on.
    private static let limit = 128

    private let state = Mutex(State())
    private let repositories: Repositories

    init(_ repositories: Repositories) {
        self.repositories = repositories
    }

    /// Starts an upload.
    func start(in repository: RepositoryName) throws(StoreError) -> (id: String, session: UploadSession) {
        let id = UploadTable.newID()
        let upload = try repositories.startUpload(id, in: repository)
        let session = UploadSession(upload, id, in: repository, of: repositories)
        return (id, keep(session, "\(repository) \(id)"))
    }

    /// Finds an upload; `nil` where there is none.
    func find(_ id: String, in repository: RepositoryName) throws(StoreError) -> UploadSession? {
        guard UploadTable.isID(id) else { return nil }
        let key = "\(repository) \(id)"
        let known = state.withLock { state -> UploadSession? in
            state.uses += 1
            state.entries[key]?.lastUse = state.uses
            return state.entries[key]?.session
        }
        if let known { return known }
        guard let upload = try repositories.upload(id, in: repository) else { return nil }
        return keep(UploadSession(upload, id, in: repository, of: repositories), key)
    }

    /// Forgets an upload that ended.
    func forget(_ id: String, in repository: RepositoryName) {
        _ = state.withLock { $0.entries.removeValue(forKey: "\(repository) \(id)") }
    }

    /// Of two sessions of one upload, the first stays.
    private func keep(_ session: UploadSession, _ key: String) -> UploadSession {
        state.withLock { state in
            if let first = state.entries[key] { return first.session }
            state.uses += 1
            state.entries[key] = Entry(session: session, lastUse: state.uses)
            if state.entries.count > UploadTable.limit,
                let oldest = state.entries.min(by: { $0.value.lastUse < $1.value.lastUse })
            {
                state.entries[oldest.key] = nil
            }
            return session
        }
    }

    private static let groups = [8, 4, 4, 4, 12]

    /// A UUID of version 4.
    private static func newID() -> String {
        var digits = (0..<32).map { _ in "0123456789abcdef".randomElement() ?? "0" }
        digits[12] = "4"
        digits[16] = "89ab".randomElement() ?? "8"
        var parts: [String] = []
        for count in groups {
            parts.append(String(digits.prefix(count)))
            digits.removeFirst(count)
        }
        return parts.joined(separator: "-")
    }

    /// An id is part of a path.
    private static func isID(_ text: String) -> Bool {
        text.split(separator: "-", omittingEmptySubsequences: false).map(\.utf8.count) == groups
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) || $0 == 0x2D }
    }
}
