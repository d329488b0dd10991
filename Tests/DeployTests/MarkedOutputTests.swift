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

    @Test("What is typed is text, wherever its letters are cut", arguments: [1, 2, 3, 5])
    func typed(size: Int) {
        var keys = TypedText()
        let bytes = Array("aü€🙂\u{3}é\n".utf8)

        var text = ""
        for start in stride(from: 0, to: bytes.count, by: size) {
            text += keys.take(Array(bytes[start..<min(start + size, bytes.count)]))
        }

        #expect(text == "aü€🙂\u{3}é\n")
        #expect(keys.isAtLineStart)
        #expect(keys.take([0xFF, 0x41]) == "\u{FFFD}A", "what is no text does not hold up the rest")
        #expect(!keys.isAtLineStart)
    }
}
