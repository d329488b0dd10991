// SPDX-License-Identifier: Apache-2.0

/// A probe as flags have it: `http:PORT[/PATH]`, `https:…`, `exec:COMMAND`, `tcp:PORT` or `grpc:PORT[/SERVICE]`, then
/// `,delay=…,period=…,timeout=…,failures=…`.
struct ProbeText {
    /// What is tried.
    enum Check: Hashable {
        case command([String])
        case http(path: String, port: Int, isSecure: Bool)
        case connection(port: Int)
        case grpc(port: Int, service: String?)
    }

    let check: Check
    /// Seconds, and for `failures` a number.
    private(set) var times: [String: Int] = [:]

    init(_ text: String, flag: String) throws(ExitReason) {
        var rest = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        while let last = rest.last, rest.count > 1 {
            let (key, value) = PlanSettings.split(last)
            guard ["delay", "period", "timeout", "failures"].contains(key) else { break }
            guard let value, let number = Int(value), number >= 0 else {
                throw ExitReason(.usage, "\(flag) \"\(text)\": \(key) is not a whole number", hint: ",\(key)=5")
            }
            times[key] = number
            rest.removeLast()
        }
        let body = rest.joined(separator: ",")
        if let command = body.suffix(after: "exec:") {
            check = .command(try ShellWords.split(command, flag: flag))
            return
        }
        let kinds = ["https", "http", "tcp", "grpc"]
        guard let kind = kinds.first(where: { body.hasPrefix($0 + ":") }), let place = body.suffix(after: kind + ":")
        else {
            throw ExitReason(
                .usage,
                "\(flag) \"\(text)\" is no probe",
                hint: "http:PORT/PATH, exec:COMMAND or none; ,delay=SECONDS,period=…,timeout=…,failures=… may follow"
            )
        }
        let slash = place.firstIndex(of: "/") ?? place.endIndex
        guard let port = Int(place[..<slash]), (1...65535).contains(port) else {
            throw ExitReason(.usage, "\(flag) \"\(text)\" has no port", hint: "http:8080/health")
        }
        let path = slash == place.endIndex ? nil : String(place[slash...])
        switch kind {
        case "tcp": check = .connection(port: port)
        case "grpc": check = .grpc(port: port, service: path.map { String($0.dropFirst()) })
        default: check = .http(path: path ?? "/", port: port, isSecure: kind == "https")
        }
    }
}
