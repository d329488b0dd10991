// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import CoracleKit

@Suite("Commands by way of a shell's terminal")
struct MarkedOutputTests {
    @Test("What the command writes and its exit code are found, wherever messages are cut", arguments: [1, 2, 7, 4096])
    func cut(size: Int) throws {
        var reader = MarkedOutput()
        let line = reader.line(for: ["sh", "-c", "echo \"it's\"; echo two; exit 7"])
        let shell = try Program.run(["-s"], of: URL(filePath: "/bin/sh"), input: line)
        // The terminal echoes what is typed, and ends lines with both.
        let shown = Array(("# " + line + shell.output).replacing("\n", with: "\r\n").utf8)

        var output: [UInt8] = []
        for start in stride(from: 0, to: shown.count, by: size) {
            output += reader.take(Array(shown[start..<min(start + size, shown.count)]))
        }

        #expect(String(decoding: output, as: UTF8.self) == "it's\ntwo\n")
        #expect(reader.code == 7)
    }
}
