// SPDX-License-Identifier: Apache-2.0
internal import Archive
internal import Glibc
internal import OCI

/// Notes on uploads under way, one small file for each, so that a push that was killed can go on.
///
/// A note says where the registry takes the rest, and how much it has. Credentials are not in it. Files are readable by
/// their owner only. A note is taken away when it is read, so that two processes do not go on with the same upload, and
/// is of no use after a week. The journal never makes a push fail: what cannot be written is not kept.
struct UploadJournal: Sendable {
    private let folder: String

    struct Note {
        /// Where the registry takes the rest: an absolute address.
        let location: String
        /// How many bytes it had.
        let offset: Int64
    }

    /// Keeps notes in a folder, which is made where there is none.
    init(_ folder: String) {
        self.folder = folder
        mkdir(folder, 0o700)
        sweep()
    }

    /// Removes what killed processes were writing or reading: `HEX.json.PID.new` and `HEX.json.PID.taken`.
    private func sweep() {
        guard let listing = opendir(folder) else { return }
        defer { closedir(listing) }
        while let entry = readdir(listing) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            let parts = name.split(separator: ".")
            guard parts.count == 4, parts[1] == "json", ["new", "taken"].contains(parts[3]),
                let process = pid_t(parts[2]), process > 0, kill(process, 0) != 0, errno == ESRCH
            else { continue }
            unlink("\(folder)/\(name)")
        }
    }

    private func path(_ blob: Descriptor, _ repository: Repository) -> String {
        "\(folder)/\(SHA256.digest(Array("\(repository)@\(blob.digest)".utf8)).hex).json"
    }

    /// Reads a note and removes it.
    func take(_ blob: Descriptor, _ repository: Repository) -> Note? {
        let path = path(blob, repository)
        // Renamed first: of two processes one gets it.
        let mine = "\(path).\(getpid()).taken"
        guard rename(path, mine) == 0 else { return nil }
        defer { unlink(mine) }
        guard let bytes = UploadJournal.read(mine), let json = try? JSONValue(parsing: bytes),
            json["repository"]?.string == repository.description, json["digest"]?.string == blob.digest.description,
            let location = json["location"]?.string, let offset = json["offset"]?.int,
            let written = json["time"]?.int, written > Int64(time(nil)) - 7 * 86400, (0...blob.size).contains(offset)
        else { return nil }
        return Note(location: location, offset: offset)
    }

    func write(_ note: Note, _ blob: Descriptor, _ repository: Repository) {
        let json: JSONValue = [
            "repository": .string(repository.description), "digest": .string(blob.digest.description),
            "location": .string(note.location), "offset": .int(note.offset), "time": .int(Int64(time(nil))),
        ]
        let path = path(blob, repository)
        let draft = "\(path).\(getpid()).new"
        let file = open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
        guard file >= 0 else { return }
        let bytes = Array(json.canonical.utf8)
        let isWritten = Glibc.write(file, bytes, bytes.count) == bytes.count
        close(file)
        if !isWritten || rename(draft, path) != 0 { unlink(draft) }
    }

    func remove(_ blob: Descriptor, _ repository: Repository) {
        unlink(path(blob, repository))
    }

    private static func read(_ path: String) -> [UInt8]? {
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 64 << 10)
        let count = Glibc.read(file, &bytes, bytes.count)
        return count > 0 && count < bytes.count ? Array(bytes.prefix(count)) : nil
    }
}
