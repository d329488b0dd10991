// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// docs/environment.md and the sources speak of the same variables.
@Suite struct EnvironmentTests {
    private let page: String
    private let sources: [String: String]

    init() throws {
        let root = ConformanceData.projectRoot
        page = try String(contentsOf: root.appending(path: "docs/environment.md"), encoding: .utf8)
        let folder = root.appending(path: "Sources")
        var sources: [String: String] = [:]
        for case let file as URL in FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
            ?? .init()
        where file.pathExtension == "swift" {
            // The emulated Azure is a program of its own.
            let room = file.path.dropFirst(folder.path.count + 1).prefix { $0 != "/" }
            guard room != "AzureEmulator", room != "coracle-azure-emulator" else { continue }
            sources[file.lastPathComponent] = try String(contentsOf: file, encoding: .utf8)
        }
        self.sources = sources
    }

    /// The variables that code asks an environment for by name.
    private var read: [String: String] {
        let ways = [
            /(?:environment|Environment\.all|variables)\["([A-Z][A-Z0-9_]+)"\](?! = )/, /getenv\("([A-Z][A-Z0-9_]+)"\)/,
            /\.given\("([A-Z][A-Z0-9_]+)"\)/, /\bvalue\("([A-Z][A-Z0-9_]+)"\)/, /isSet\("([A-Z][A-Z0-9_]+)"\)/,
            /let epoch = "([A-Z][A-Z0-9_]+)"/,
        ]
        var found: [String: String] = [:]
        for (file, text) in sources {
            for way in ways { for match in text.matches(of: way) { found[String(match.1)] = file } }
        }
        return found
    }

    /// What is a variable's end, and what we give to programs that we start.
    private static let others: Set<String> = ["TOKEN", "USER", "PASSWORD", "CORACLE_GIT_USER", "CORACLE_GIT_PASSWORD"]

    @Test func everyVariableThatIsReadIsDocumented() {
        let read = read.filter { !EnvironmentTests.others.contains($0.key) }

        #expect(read.count >= 45)
        for (name, file) in read.sorted(by: { $0.key < $1.key }) {
            #expect(page.contains("`\(name)`"), "docs/environment.md says nothing of \(name), which \(file) reads")
        }
    }

    @Test func everyVariableThatIsDocumentedIsRead() {
        let names = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .flatMap { line in
                line.split(separator: "|")[0].matches(of: /`([A-Z][A-Z0-9_]+)(?:_<HOST>)?`/).map { String($0.1) }
            }
        let code = sources.values.joined(separator: "\n")

        #expect(names.count >= 45)
        for name in names {
            #expect(code.contains("\"\(name)\"") || code.contains("\(name)_"), "nothing reads \(name) any more")
        }
    }
}
