// SPDX-License-Identifier: Apache-2.0
internal import OCI

/// One file of credentials: Docker's `config.json`, or podman's `auth.json`.
///
/// Both have `auths`, `credHelpers` and, Docker's only, `credsStore`. A key of `auths` is a host, the URL of one, or a
/// host and the beginning of a repository's name.
struct DockerConfig: Sendable {
    /// Where the file is.
    let path: String
    /// What the file says, with what others keep in it.
    private(set) var members: [String: JSONValue]
    /// The same as it is written; what is not changed stays to the byte.
    private var text: JSONText

    /// An empty file, for a place where there is none.
    init(newAt path: String) {
        self.init(path, [:], JSONText(Array("{}\n".utf8)))
    }

    /// Reads a file; `nil` where there is none.
    init?(readingFrom path: String) throws {
        guard let bytes = try ConfigFile.read(path) else { return nil }
        if bytes.allSatisfy({ $0 == 0x20 || $0 == 0x0A || $0 == 0x0D || $0 == 0x09 }) {
            self.init(newAt: path)
            return
        }
        let json: JSONValue
        do {
            json = try JSONValue(parsing: bytes)
        } catch {
            throw CredentialFault.file("\(path): \(error.message)")
        }
        guard let object = json.object else { throw CredentialFault.file("\(path): expected a JSON object") }
        for (name, isObject) in [("auths", true), ("credHelpers", true), ("credsStore", false)] {
            guard let member = object[name], member != .null else { continue }
            guard isObject ? member.object != nil : member.string != nil else {
                throw CredentialFault.file("\(path): \"\(name)\" should be \(isObject ? "an object" : "a text")")
            }
        }
        self.init(path, object, JSONText(bytes))
    }

    private init(_ path: String, _ members: [String: JSONValue], _ text: JSONText) {
        (self.path, self.members, self.text) = (path, members, text)
    }

    // MARK: Looking up

    /// The helper that keeps the credentials of a host, and whether the file names it for this host alone.
    func helper(for host: RegistryHost) -> (name: String, isOwn: Bool)? {
        let own = (members["credHelpers"]?.strings ?? [:]).filter { RegistryHost.Key($0.key).host == host }
        if let name = own.min(by: { $0.key < $1.key })?.value, !name.isEmpty { return (name, true) }
        if let name = members["credsStore"]?.string, !name.isEmpty { return (name, false) }
        return nil
    }

    /// What the file itself holds for a repository alone, or for all below the beginning of its name, the longest first.
    func credential(for host: RegistryHost, ofRepository repository: String) throws -> Credentials? {
        try credential(of: host) { !$0.path.isEmpty && $0.covers(repository) }
    }

    /// What the file itself holds for a registry as a whole.
    func credential(for host: RegistryHost) throws -> Credentials? { try credential(of: host) { $0.path.isEmpty } }

    private func credential(
        of host: RegistryHost,
        where isWanted: (RegistryHost.Key) -> Bool
    ) throws -> Credentials? {
        let entries = (members["auths"]?.object ?? [:])
            .map { (key: RegistryHost.Key($0.key), text: $0.key, value: $0.value) }
            .filter { $0.key.host == host && isWanted($0.key) }
            .sorted { one, other in
                let (first, second) = (one.key.path.utf8.count, other.key.path.utf8.count)
                return first == second ? rank(one.text, host) < rank(other.text, host) : first > second
            }
        for entry in entries {
            if let found = try credential(entry.value, entry.text) { return found }
        }
        return nil
    }

    /// Docker's own key comes first, then the plain name.
    private func rank(_ key: String, _ host: RegistryHost) -> String {
        key == host.dockerKey ? "0" : key == host.name ? "1" : "2" + key
    }

    private func credential(_ entry: JSONValue, _ key: String) throws -> Credentials? {
        var (user, password) = (entry["username"]?.string ?? "", entry["password"]?.string ?? "")
        if let auth = entry["auth"]?.string, !auth.isEmpty {
            // What is wrong is not shown: it is most of a password.
            guard let bytes = Base64.decode(auth), let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
                throw CredentialFault.file("\(path): \"auth\" of \"\(key)\" is not base 64 of USER:PASSWORD")
            }
            user = String(decoding: bytes[..<colon], as: UTF8.self)
            // Docker pads with zero bytes in some versions.
            password = String(decoding: bytes[bytes.index(after: colon)...], as: UTF8.self)
            while password.last == "\0" { password.removeLast() }
        }
        if let token = entry["registrytoken"]?.string, !token.isEmpty { return .registryToken(token) }
        if let token = entry["identitytoken"]?.string, !token.isEmpty {
            return .identityToken(token)
        }
        return user.isEmpty && password.isEmpty ? nil : .basic(user: user, password: password)
    }

    // MARK: Changing

    /// Puts an entry in the place of all others of a host.
    mutating func set(_ host: RegistryHost, _ credential: Credentials?) {
        for key in keys(of: host) where key != host.dockerKey { text.remove(["auths", key]) }
        text.set(DockerConfig.entry(credential), at: ["auths", host.dockerKey])
        update()
    }

    private static func entry(_ credential: Credentials?) -> JSONValue {
        switch credential {
        // An empty entry says that a helper has it.
        case nil, .anonymous: return [:]
        case .basic(let user, let password):
            return ["auth": .string(Base64.encode(Array("\(user):\(password)".utf8)))]
        case .identityToken(let token):
            // Docker looks for a name before it looks for the token.
            return ["auth": .string(Base64.encode(Array("<token>:".utf8))), "identitytoken": .string(token)]
        case .registryToken(let token): return ["registrytoken": .string(token)]
        }
    }

    /// Removes all entries of a host; whether there was one.
    mutating func remove(_ host: RegistryHost) -> Bool {
        let keys = keys(of: host)
        for key in keys { text.remove(["auths", key]) }
        update()
        return !keys.isEmpty
    }

    /// Reads the changed text.
    private mutating func update() { members = (try? JSONValue(parsing: text.bytes))?.object ?? [:] }

    /// The keys of a host as a whole, not those of some of its repositories.
    private func keys(of host: RegistryHost) -> [String] {
        (members["auths"]?.object ?? [:]).keys
            .filter { text in
                let key = RegistryHost.Key(text)
                return key.host == host && key.path.isEmpty
            }
    }

    /// Writes the file, which nobody else may read, in one piece.
    func write() throws {
        try ConfigFile.write(text.bytes, to: path)
    }
}

/// A registry as credentials know it: all names of Docker Hub are one.
struct RegistryHost: Hashable, Sendable {
    /// `docker.io`, `myacr.azurecr.io`, `localhost:5000`.
    let name: String

    /// Docker Hub's names, those that `docker login` used and still uses among them.
    private static let hub: Set<String> = ["docker.io", "index.docker.io", "registry-1.docker.io", "www.docker.io"]

    init(_ text: String) {
        let lower = text.lowercased()
        name = RegistryHost.hub.contains(lower) ? "docker.io" : lower
    }

    /// The key that `docker login` writes.
    var dockerKey: String { name == "docker.io" ? "https://index.docker.io/v1/" : name }

    /// A key of `auths`.
    struct Key {
        let host: RegistryHost
        /// The beginning of a repository's name; empty for all of them.
        let path: String

        init(_ text: String) {
            var rest = text[...]
            var isURL = false
            for scheme in ["https://", "http://"] where rest.hasPrefix(scheme) {
                rest = rest.dropFirst(scheme.count)
                isURL = true
            }
            let slash = rest.firstIndex(of: "/") ?? rest.endIndex
            host = RegistryHost(String(rest[..<slash]))
            var path = String(rest[slash...].drop { $0 == "/" })
            while path.last == "/" { path.removeLast() }
            // `https://host/v1/` is the address of the whole registry.
            self.path = isURL || path == "v1" || path == "v2" ? "" : path
        }

        /// Whether a repository is the one that the key names, or below it.
        func covers(_ repository: String) -> Bool { repository == path || repository.hasPrefix(path + "/") }
    }
}
