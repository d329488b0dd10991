// SPDX-License-Identifier: Apache-2.0
public import Foundation

/// A certificate authority of a test's own, made by openssl.
public final class TestAuthority: Sendable {
    private let folder: TemporaryFolder

    /// The authority's certificate, PEM.
    public var certificate: URL { folder.url.appending(path: "ca.pem") }

    /// Makes an authority.
    ///
    /// - Parameter name: Its common name.
    /// - Throws: Where openssl does not make it.
    public init(_ name: String = "Test Authority") throws {
        folder = try TemporaryFolder()
        try run([
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=\(name)", "-keyout", path("ca.key"), "-out", path("ca.pem"),
        ])
    }

    /// Issues a certificate.
    ///
    /// - Parameters:
    ///   - names: The subject's alternative names, as `DNS:localhost,IP:127.0.0.1`.
    ///   - days: How long it is valid; a negative number has it expired that many days ago.
    ///   - rsa: Whether the key is RSA.
    /// - Returns: Certificate and key, PEM.
    /// - Throws: Where openssl does not make it.
    public func issue(
        _ names: String = "DNS:localhost,IP:127.0.0.1",
        days: Int = 2,
        rsa: Bool = false
    ) throws -> (certificate: URL, key: URL) {
        let stem = UUID().uuidString
        let kind = rsa ? ["rsa:2048"] : ["ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
        try run(
            ["req", "-new", "-newkey"] + kind
                + ["-nodes", "-subj", "/CN=Test Server", "-keyout", path("\(stem).key"), "-out", path("\(stem).csr")]
        )
        try folder.write("\(stem).ext", "subjectAltName=\(names)\nbasicConstraints=CA:FALSE\n")
        let begin = days < 0 ? "\(-days + 1) days ago" : "now"
        let times = try ["-d \(begin)", "-d \(days) days"]
            .map { when in
                let words = when.dropFirst(3)
                let date = try Program.run(
                    ["-u", "-d", String(words), "+%Y%m%d%H%M%SZ"],
                    of: URL(filePath: "/bin/date")
                )
                return date.output.trimmingCharacters(in: .whitespacesAndNewlines)
            }
        try folder.write("index", "")
        try folder.write(
            "ca.conf",
            """
            [ca]
            default_ca=own
            [own]
            database=\(path("index"))
            new_certs_dir=\(folder.url.path)
            certificate=\(path("ca.pem"))
            private_key=\(path("ca.key"))
            rand_serial=yes
            default_md=sha256
            policy=any
            [any]
            commonName=supplied

            """
        )
        try run([
            "ca", "-batch", "-notext", "-config", path("ca.conf"), "-in", path("\(stem).csr"), "-out",
            path("\(stem).pem"), "-extfile", path("\(stem).ext"), "-startdate", times[0], "-enddate", times[1],
        ])
        return (folder.url.appending(path: "\(stem).pem"), folder.url.appending(path: "\(stem).key"))
    }

    private func path(_ name: String) -> String { folder.url.appending(path: name).path }

    private func run(_ arguments: [String]) throws {
        guard let openssl = Program.named("openssl") else { throw ServerFault(message: "openssl is not installed") }
        let result = try Program.run(arguments, of: openssl)
        guard result.status == 0 else { throw ServerFault(message: "openssl \(arguments): \(result.errors)") }
    }
}
