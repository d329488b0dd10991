// SPDX-License-Identifier: Apache-2.0
internal import Glibc
public import Store

/// Where images are kept: the store that all verbs work on.
public struct Workspace: Sendable {
    /// The store's folder.
    public let path: String

    /// Finds the store: what is asked for, else `CORACLE_STORE`, else `coracle` in `XDG_DATA_HOME`, else in
    /// `~/.local/share`.
    ///
    /// - Parameters:
    ///   - store: `--store`; `nil` where it was not given.
    ///   - environment: The environment of the process.
    /// - Throws: ``ExitReason`` where none of these says where it is.
    public init(store: String? = nil, environment: [String: String]) throws(ExitReason) {
        // The base directory specification has relative paths ignored.
        let data = environment["XDG_DATA_HOME"].flatMap { $0.hasPrefix("/") ? $0 : nil }
        let home = environment["HOME"].flatMap { $0.isEmpty ? nil : $0 + "/.local/share" }
        let named = environment["CORACLE_STORE"].flatMap { $0.isEmpty ? nil : $0 }
        guard var path = store ?? named ?? (data ?? home).map({ $0 + "/coracle" }), !path.isEmpty else {
            throw ExitReason(.usage, "there is no place for images: HOME is not set", hint: "--store FOLDER")
        }
        while path.utf8.count > 1, path.hasSuffix("/") { path.removeLast() }
        self.path = path
    }

    /// Opens the store, and makes it where there is none.
    ///
    /// - Returns: The store.
    /// - Throws: ``ExitReason`` where it cannot be used, or is of a later version.
    public func store() throws(ExitReason) -> ImageStore {
        do {
            return try ImageStore(path)
        } catch {
            throw ExitReason(.usage, error.message)
        }
    }

    /// Opens the store if there is one: what only looks makes no folders.
    ///
    /// - Returns: The store; `nil` where there is none.
    /// - Throws: ``ExitReason`` where it cannot be used, or is of a later version.
    public func storeIfAny() throws(ExitReason) -> ImageStore? {
        access(path + "/coracle-store", F_OK) == 0 ? try store() : nil
    }
}

extension ExitReason {
    /// What a store could not do.
    ///
    /// - Parameter error: The store's own words.
    init(_ error: StoreError) {
        self.init(.step, error.message)
    }
}
