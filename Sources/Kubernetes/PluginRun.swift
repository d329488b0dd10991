// SPDX-License-Identifier: Apache-2.0
internal import HTTP
internal import OCI
internal import Registry
internal import Synchronization

/// Asks a program for credentials, as client-go does; what it says to people is handed on while it runs.
struct PluginRun {
    let plugin: ExecPlugin
    let access: ClusterAccess
    let environment: [String: String]
    let note: @Sendable (String) -> Void

    func credential() async throws(KubernetesError) -> ExecCredential {
        guard plugin.interaction != "Always" else {
            throw fault(
                "wants to talk to somebody at a terminal",
                hint: "run kubectl get pods once, or use another login"
            )
        }
        var environment = environment
        environment.merge(plugin.environment) { _, own in own }
        environment["KUBERNETES_EXEC_INFO"] = info.canonical
        let lines = LineTeller(note)
        let outcome = await HelperProcess.run(
            [plugin.command] + plugin.arguments,
            input: [],
            environment: environment,
            seconds: 600,
            keepsErrors: true,
            hears: { lines.take($0) }
        )
        switch outcome {
        case .absent:
            throw fault("is not in PATH", hint: plugin.installHint.map { PluginRun.line($0) } ?? hint)
        case .failed(let reason): throw fault(reason, hint: hint)
        case .ended(0, let output, _): return try read(output)
        case .ended(let status, _, let errors):
            let text = String(decoding: errors, as: UTF8.self)
            let last = text.split(whereSeparator: \.isNewline).last.map { String($0) } ?? "it says nothing"
            throw fault("ended with \(status): \(PluginRun.line(last))", hint: hint)
        }
    }

    private var hint: String? {
        plugin.name == "kubelogin"
            ? "az login, or kubelogin convert-kubeconfig -l azurecli" : "\(plugin.name) by hand says more"
    }

    private func fault(_ reason: String, hint: String?) -> KubernetesError {
        KubernetesError(
            .credentials,
            "credentials for \(access.summary): the plug-in \(plugin.name) \(reason)",
            hint: hint
        )
    }

    /// One line without secrets.
    private static func line(_ text: String) -> String {
        let words = text.split(whereSeparator: \.isNewline).first.map { String($0) } ?? ""
        return Redaction.text(String(words.prefix(400)))
    }

    /// What the program is told.
    private var info: JSONValue {
        var spec: JSONValue = ["interactive": false]
        if plugin.wantsCluster {
            var cluster: JSONValue = ["server": .string(access.server.text)]
            if let authority = access.authority {
                cluster["certificate-authority-data"] = .string(Base64.encode(authority))
            }
            if access.isInsecure { cluster["insecure-skip-tls-verify"] = true }
            cluster["tls-server-name"] = access.serverName.map { .string($0) }
            cluster["proxy-url"] = access.proxy.map { .string($0) }
            cluster["config"] = access.pluginSettings
            spec["cluster"] = cluster
        }
        return ["apiVersion": .string(plugin.apiVersion), "kind": "ExecCredential", "spec": spec]
    }

    private func read(_ output: [UInt8]) throws(KubernetesError) -> ExecCredential {
        guard let json = try? JSONValue(parsing: output), json["kind"]?.string == "ExecCredential" else {
            throw fault("gave no ExecCredential", hint: hint)
        }
        guard json["apiVersion"]?.string == plugin.apiVersion else {
            let version = PluginRun.line(json["apiVersion"]?.string ?? "none")
            throw fault("answered in \(version), and was asked in \(plugin.apiVersion)", hint: hint)
        }
        let status = json["status"]
        let token = status?["token"]?.string.flatMap { $0.isEmpty ? nil : $0 }
        var certificate: ExecCredential.Certificate?
        if let chain = status?["clientCertificateData"]?.string, let key = status?["clientKeyData"]?.string {
            certificate = .init(certificate: Array(chain.utf8), key: Array(key.utf8))
        }
        guard token != nil || certificate != nil else { throw fault("gave neither token nor certificate", hint: hint) }
        guard token?.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) != false else {
            throw fault("gave a token with blanks in it", hint: hint)
        }
        let expires = status?["expirationTimestamp"]?.string.flatMap { Timestamp.seconds($0) }
        return ExecCredential(token: token, certificate: certificate, expires: expires)
    }
}

/// Hands on whole lines of what a program says; the lock protects the line that is not complete yet.
private final class LineTeller: Sendable {
    private let rest = Mutex<[UInt8]>([])
    private let tell: @Sendable (String) -> Void

    init(_ tell: @escaping @Sendable (String) -> Void) { self.tell = tell }

    func take(_ bytes: [UInt8]) {
        let lines = rest.withLock { rest -> [String] in
            rest += bytes
            var lines: [String] = []
            while let end = rest.firstIndex(of: 0x0A) {
                lines.append(String(decoding: rest[..<end], as: UTF8.self))
                rest.removeFirst(end + 1)
            }
            if rest.count > 64 << 10 { rest = [] }
            return lines
        }
        for line in lines where !line.allSatisfy(\.isWhitespace) { tell(Redaction.text(line)) }
    }
}

/// Times as Kubernetes writes them.
///
/// Specification: RFC 3339; fractions of seconds are dropped.
public enum Timestamp {
    /// Reads a time.
    ///
    /// - Parameter text: For example `2026-01-31T12:00:00Z`.
    /// - Returns: Seconds since 1970; `nil` for any other text.
    public static func seconds(_ text: String) -> Int64? {
        let bytes = Array(text.utf8)
        func number(_ range: Range<Int>) -> Int? {
            guard range.upperBound <= bytes.count else { return nil }
            return Int(String(decoding: bytes[range], as: UTF8.self))
        }
        guard bytes.count >= 20, bytes[4] == 0x2D, bytes[7] == 0x2D, let year = number(0..<4),
            let month = number(5..<7), let day = number(8..<10), let hour = number(11..<13),
            let minute = number(14..<16), let second = number(17..<19), (1...12).contains(month), (1...31).contains(day)
        else { return nil }
        var rest = bytes[19...]
        if rest.first == 0x2E { rest = rest.dropFirst().drop { (0x30...0x39).contains($0) } }
        var offset = 0
        if let sign = rest.first, sign == 0x2B || sign == 0x2D {
            let start = rest.startIndex
            guard rest.count == 6, let hours = number(start + 1..<start + 3),
                let minutes = number(start + 4..<start + 6)
            else { return nil }
            offset = (hours * 3600 + minutes * 60) * (sign == 0x2B ? 1 : -1)
        } else if rest.first != 0x5A, rest.first != 0x7A {
            return nil
        }
        // Days since 1970-01-01, years beginning in March.
        let shifted = month > 2 ? year : year - 1
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let days = shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + dayOfYear - 719_468
        return Int64(days * 86400 + hour * 3600 + minute * 60 + second - offset)
    }
}
