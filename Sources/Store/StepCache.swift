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

    /// A record with all that it is found by.
    public struct Entry: Hashable, Sendable {
        /// The step with its files.
        public let key: Digest
        /// The step without its files.
        public let definition: Digest
        /// The instruction, for people.
        public let text: String
        /// What the step made.
        public let record: Record

        /// Describes a record.
        ///
        /// - Parameters:
        ///   - key: The step with its files.
        ///   - definition: The step without its files.
        ///   - text: The instruction, for people.
        ///   - record: What the step made.
        public init(key: Digest, definition: Digest, text: String, record: Record) {
            (self.key, self.definition, self.text, self.record) = (key, definition, text, record)
        }

        /// Reads a record.
        ///
        /// - Parameters:
        ///   - json: The record as the store and exported caches have it.
        ///   - key: The step with its files.
        public init?(json: JSONValue, key: Digest) {
            guard let definition = json["definition"]?.string.flatMap({ try? Digest($0) }),
                let layer = json["layer"].flatMap({ try? Descriptor(json: $0) }),
                let diffID = json["diffID"]?.string.flatMap({ try? Digest($0) })
            else { return nil }
            let record = Record(layer: layer, diffID: diffID, size: json["size"]?.int ?? 0)
            self.init(key: key, definition: definition, text: json["text"]?.string ?? "", record: record)
        }

        /// The record as the store and exported caches have it, without its key.
        public var json: JSONValue {
            [
                "text": .string(text), "definition": .string(definition.description), "layer": record.layer.json,
                "diffID": .string(record.diffID.description), "size": .int(record.size),
            ]
        }
    }

    private let store: ImageStore
    /// Whether a layer that is not here can be brought here.
    private let isElsewhere: @Sendable (Descriptor) -> Bool
    private let used: @Sendable (Entry) -> Void

    /// The cache of a store.
    ///
    /// - Parameters:
    ///   - store: The store.
    ///   - isElsewhere: Whether a layer that is not here can be brought here, so that its record counts.
    ///   - used: Is told of every record that is found or kept.
    public init(
        _ store: ImageStore,
        isElsewhere: @escaping @Sendable (Descriptor) -> Bool = { _ in false },
        used: @escaping @Sendable (Entry) -> Void = { _ in }
    ) {
        (self.store, self.isElsewhere, self.used) = (store, isElsewhere, used)
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
        guard let bytes = try? DiskFile.read(path(key), limit: 1 << 20),
            let entry = (try? JSONValue(parsing: bytes)).flatMap({ Entry(json: $0, key: key) })
        else { return nil }
        // The time of a record is when it was of use last.
        utimensat(AT_FDCWD, path(key), nil, 0)
        guard store.has(entry.record.layer) || isElsewhere(entry.record.layer) else { return nil }
        used(entry)
        return entry.record
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
        let entry = Entry(key: key, definition: definition, text: text, record: record)
        try DiskFile.write(Array(entry.json.canonical.utf8), to: path(key), isSynced: false)
        used(entry)
        if !mayHave(definition: definition) {
            try DiskFile.write([], to: path(definition) + ".any", isSynced: false)
        }
    }
}
