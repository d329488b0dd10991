// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Names and words that would move a terminal's cursor, and faults that would tell of a server's files.
@Suite struct HostileTextTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    @Test("No message and no progress has a control character that somebody else wrote")
    func terminals() throws {
        let store = ["--store", folder.url.path + "/store"]
        let named = try folder.write("c/f\u{1B}[31m", "FROM scratch\nCOPYY a b\n").path
        try folder.write(
            "c/Dockerfile",
            "FROM scratch\nCOPY --chmod=644 <<\"a\u{1B}[31mb\" /\u{1B}[31mx\nhi\na\u{1B}[31mb\n"
        )
        let context = folder.url.path + "/c"
        for (arguments, status) in [
            (["build", "e\u{1B}[31mme"] + store, Int32(2)), (["build", "-f", named, context] + store, 2),
            (["build", "-f", "g\u{1B}[31m", context] + store, 2),
            (["inspect", "oci-layout://x\u{1B}[31m"] + store, 2), (["check", named], 2),
            (["build", "--progress", "plain", context] + store, 0),
            (["build", "--no-cache", "--progress", "tty", context] + store, 0),
        ] {
            let result = try Program.run(arguments, environment: ["NO_COLOR": "1"])
            #expect(result.status == status || status == 2 && result.status != 0, "\(arguments): \(result.errors)")
            #expect(!result.errors.isEmpty && !result.errors.contains("\u{1B}[31m"), "\(arguments): \(result.errors)")
        }
    }

    @Test("What is wrong with a registry's disk is in its log, and not in its answers")
    func fullDisk() async throws {
        let store = folder.url.path + "/store"
        let serve =
            "trap '' XFSZ; ulimit -f 64; exec \"$0\" registry serve --listen 127.0.0.1:0 --store \"$1\""
        let server = try await ServerProcess(
            ["bash", "-c", serve, Program.coracle.path, store],
            readyAt: "127.0.0.1:"
        )
        let port = try server.port(after: "127.0.0.1:")
        let start = try await Wire.ask("POST", "/v2/app/blobs/uploads/", port: port, body: [])

        let answer = try await Wire.ask(
            "PATCH",
            try #require(start["Location"]),
            port: port,
            body: [UInt8](repeating: 1, count: 1 << 20)
        )

        #expect(answer.status == 500, "\(answer.text)")
        #expect(answer.text.contains("its log says why") && !answer.text.contains(folder.url.path), "\(answer.text)")
        try await Waiting.until("the log's reason") { server.text.contains("File too large") }
        #expect(server.text.contains(store), "\(server.text)")
    }

    @Test("A certificate and a key that do not fit are said in one sentence")
    func certificates() throws {
        let authority = try TestAuthority()
        let (one, two) = (try authority.issue(), try authority.issue())
        let text = try folder.write("text", "nothing\n").path
        for (certificate, key, words) in [
            (one.certificate.path, two.key.path, "\(two.key.path) is not the key of the certificate"),
            (text, one.key.path, "\(text) holds no certificate in PEM"),
            (one.certificate.path, text, "\(text) holds no key in PEM"),
            (folder.url.path + "/none", one.key.path, "/none: there is no such file"),
            (one.certificate.path, folder.url.path, "Is a directory"),
        ] {
            let result = try Program.run([
                "registry", "serve", "--listen", "127.0.0.1:0", "--store", folder.url.path + "/store", "--tls-cert",
                certificate, "--tls-key", key,
            ])
            #expect(result.status == 2, "\(result.errors)")
            #expect(result.errors.contains(words) && !result.errors.contains("NIO"), "\(result.errors)")
        }
    }
}
