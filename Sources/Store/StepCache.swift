// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
public import OCI

/// What steps made before, found by what they do and what they read.
public struct StepCache: Sendable {
    /// A layer that a step made.
    public struct Record: Hashable, Sendable {
        /// The compressed layer.
        public let layer: Descriptor
        /// The layer before compression.
        public let diffID: Digest
        /// Bytes before compression.
        public let size: Int64

        /// Describes what a step made.
        ///
        /// - Parameters:
        ///   - layer: The compressed layer.
        ///   - diffID: The layer before compression.
        ///   - size: Bytes before compression.
        public init(layer: Descriptor, diffID: Digest, size: Int64) {
            (self.layer, self.diffID, self.size) = (layer, diffID, size)
        }
    }

    private let store: ImageStore

    /// The cache of a store.
    ///
    /// - Parameter store: The store.
    public init(_ store: ImageStore) {
        self.store = store
    }

    private func path(_ key: Digest) -> String { "\(store.root)/steps/\(key.hex)" }

    /// Whether any step with a definition was ever recorded: if not, there is no need to read files for a key.
    ///
    /// - Parameter definition: The step without its files.
    /// - Returns: Whether one may be found.
    public func mayHave(definition: Digest) -> Bool { access(path(definition) + ".any", F_OK) == 0 }

    /// Finds what a step made.
    ///
    /// - Parameter key: The step with its files.
    /// - Returns: The record; `nil` where there is none whose layer is still there.
    public func find(_ key: Digest) -> Record? {
        guard let bytes = try? DiskFile.read(path(key), limit: 1 << 20), let json = try? JSONValue(parsing: bytes),
            json["definition"]?.string != nil
        else { return nil }
        // The time of a record is when it was of use last.
        utimensat(AT_FDCWD, path(key), nil, 0)
        guard let layer = json["layer"], let blob = try? Descriptor(json: layer), store.has(blob),
            let text = json["diffID"]?.string,
            let diffID = try? Digest(text)
        else { return nil }
        return Record(layer: blob, diffID: diffID, size: json["size"]?.int ?? 0)
    }

    /// Keeps what a step made.
    ///
    /// - Parameters:
    ///   - record: What it made.
    ///   - key: The step with its files.
    ///   - definition: The step without its files.
    ///   - text: The instruction, for people.
    /// - Throws: ``StoreError`` where it cannot be written.
    public func keep(_ record: Record, _ key: Digest, definition: Digest, text: String) throws(StoreError) {
        var members: [String: JSONValue] = ["text": .string(text), "definition": .string(definition.description)]
        members["layer"] = record.layer.json
        members["diffID"] = .string(record.diffID.description)
        members["size"] = .int(record.size)
        try DiskFile.write(Array(JSONValue.object(members).canonical.utf8), to: path(key), isSynced: false)
        if !mayHave(definition: definition) {
            try DiskFile.write([], to: path(definition) + ".any", isSynced: false)
        }
    }
}
