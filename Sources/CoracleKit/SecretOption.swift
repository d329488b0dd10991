// SPDX-License-Identifier: Apache-2.0
internal import DockerfileSyntax
internal import Glibc

/// A secret of a build, as `--secret` names it: `id=ID[,src=PATH|,env=NAME]`.
struct SecretOption: Sendable {
    /// What `RUN --mount=type=secret` calls it.
    let id: String
    private let place: Place

    private enum Place {
        case file(String)
        case variable(String)
    }

    /// The largest secret, in bytes.
    static let limit = 500 << 10

    /// Reads a flag.
    init(_ text: String, environment: [String: String]) throws(ExitReason) {
        let fault = { (reason: String) in
            ExitReason(
                .usage,
                "--secret \"\(text)\" \(reason)",
                hint: "--secret id=NAME,src=FILE or --secret id=NAME,env=VARIABLE"
            )
        }
        guard let fields = CSVFields.read(text) else { throw fault("has a quote that is not closed") }
        var (id, source, variable, type) = ("", String?.none, String?.none, "")
        for field in fields {
            guard let equals = field.firstIndex(of: "=") else { throw fault("is not made of KEY=value") }
            let value = String(field[field.index(after: equals)...])
            switch field[..<equals].lowercased() {
            case "id": id = value
            case "src", "source": source = value
            case "env": variable = value
            case "type": type = value.lowercased()
            case let key:
                throw fault("has no key \"\(key)\"\(Near.phrase(for: key, among: ["id", "src", "env", "type"]))")
            }
        }
        guard !id.isEmpty else { throw fault("has no id") }
        guard ["", "file", "env"].contains(type) else { throw fault("has a type that is neither file nor env") }
        if type == "env", variable == nil { (variable, source) = (source, nil) }
        if variable != nil, source != nil { throw fault("has both a file and a variable") }
        self.id = id
        if let variable {
            place = .variable(variable)
        } else if let source {
            place = .file(source)
        } else {
            // As buildx has it: a variable of that name, else a file.
            place = environment[id] != nil && type != "file" ? .variable(id) : .file(id)
        }
    }

    /// Says that a file is missing or too large before anything is built.
    func check() throws(ExitReason) {
        if case .file(let path) = place { try check(path) }
    }

    private func check(_ path: String) throws(ExitReason) {
        var status = stat()
        guard stat(path, &status) == 0 else {
            throw ExitReason(.usage, "reading the secret \"\(id)\" from \(path): \(String(cString: strerror(errno)))")
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            throw ExitReason(.usage, "reading the secret \"\(id)\" from \(path): it is a folder")
        }
        guard status.st_size <= SecretOption.limit else {
            throw ExitReason(.usage, "the secret \"\(id)\" in \(path) is larger than \(SecretOption.limit) bytes")
        }
    }

    /// The value.
    func value(environment: [String: String]) throws(ExitReason) -> [UInt8] {
        switch place {
        case .variable(let name):
            guard let value = environment[name] else {
                throw ExitReason(.usage, "the secret \"\(id)\" is in the variable \(name), which is not set")
            }
            return Array(value.utf8)
        case .file(let path):
            try check(path)
            return try read(path)
        }
    }

    /// Reads a file to its end, which a pipe does not tell before.
    private func read(_ path: String) throws(ExitReason) -> [UInt8] {
        let fault = {
            ExitReason(.usage, "reading the secret \"\(id)\" from \(path): \(String(cString: strerror(errno)))")
        }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw fault() }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: SecretOption.limit + 1)
        var offset = 0
        while offset < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress?.advanced(by: offset), $0.count - offset)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw fault() }
            if count == 0 { return Array(bytes[..<offset]) }
            offset += count
        }
        throw ExitReason(.usage, "the secret \"\(id)\" in \(path) is larger than \(SecretOption.limit) bytes")
    }
}
