// SPDX-License-Identifier: Apache-2.0
import TestSupport
import Testing

/// The servers that tests start are there when they are said to be.
@Suite struct ServerProcessTests {
    @Test func aLineThatComesInPiecesIsWaitedForWhole() async throws {
        let script = "printf 'listening on '; sleep 0.3; echo 127.0.0.1:4711; exec sleep 60"

        let server = try await ServerProcess(["sh", "-c", script], readyAt: "listening on ")

        #expect(try server.port(after: "listening on ") == 4711)
    }
}
