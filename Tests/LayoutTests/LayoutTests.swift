// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Holds the house up: who may import whom, how long files and functions get, what no file may say.
@Suite struct LayoutTests {
    /// Swift files below some folders of the project: path from the root, and text.
    static func files(_ folders: String...) throws -> [(path: String, text: String)] {
        try folders.flatMap { folder in
            let root = ConformanceData.projectRoot.appending(path: folder)
            let names = try FileManager.default.subpathsOfDirectory(atPath: root.path).sorted()
            return try names.filter { $0.hasSuffix(".swift") }
                .map { ("\(folder)/\($0)", try String(contentsOf: root.appending(path: $0), encoding: .utf8)) }
        }
    }

    /// The longest a file may be, in lines.
    static let longestFile = 500
    /// The longest a function may be, in lines.
    static let longestFunction = 60

    @Test func importsGoOneWay() throws {
        let files = try Self.files("Sources")
        #expect(files.count > 40)
        for (path, text) in files {
            let room = String(path.split(separator: "/")[1])
            #expect(Architecture.faults(in: SourceScan(text).imports, of: room) == [], "\(path)")
        }
    }

    @Test func aForbiddenImportIsFound() {
        let text =
            "public import OCI\n// import HTTP\ninternal import struct Registry.Challenge\nlet a = \"import X\"\n"
        #expect(SourceScan(text).imports == ["OCI", "Registry"])
        #expect(Architecture.faults(in: ["OCI", "Registry"], of: "Builder") == ["Builder may not import Registry"])
        #expect(Architecture.faults(in: [], of: "Util") == ["Util is no room of the design"])
    }

    @Test func theTableHasNoCircle() {
        var level: [String: Int] = [:]
        for shim in Architecture.shims { level[shim] = 0 }
        // Each round places the rooms whose imports are placed; a circle is never placed.
        for round in 1...Architecture.rooms.count {
            for (name, room) in Architecture.rooms where level[name] == nil {
                if room.ours.allSatisfy({ level[$0].map { $0 < round } ?? false }) { level[name] = round }
            }
        }
        #expect(Set(Architecture.rooms.keys).subtracting(level.keys) == [])
    }

    @Test func filesAndFunctionsStaySmall() throws {
        for (path, text) in try Self.files("Sources", "Tests") {
            let scan = SourceScan(text)
            #expect(scan.code.count <= Self.longestFile, "\(path) has \(scan.code.count) lines")
            for function in scan.functions where function.length > Self.longestFunction {
                Issue.record("\(path):\(function.line): a function of \(function.length) lines")
            }
        }
    }

    @Test func aLongFunctionIsFound() {
        let body = String(repeating: "    call(\"}\") // }\n", count: 70)
        let text =
            "struct A {\n  func short() { if true { b() } }\n  func long(\n    a: Int\n  ) {\n\(body)  }\n  init() {}\n}\n"
        let found = SourceScan(text).functions
        #expect(found.map(\.line) == [2, 3, 77])
        #expect(found.map(\.length) == [1, 74, 1])
        let protocols = SourceScan("protocol P {\n  func a()\n  func b() -> Int\n}\nfunc c() {\n}\n").functions
        #expect(protocols.map(\.line) == [5])
    }

    @Test func noTypeIsNamedAsItsModule() throws {
        for (path, text) in try Self.files("Sources") {
            let room = String(path.split(separator: "/")[1])
            // The command line's main type may be called as the program: nothing imports it.
            #expect(room == "coracle" || !SourceScan(text).types.contains(room), "\(path)")
        }
        #expect(SourceScan("public struct Registry: Sendable {}\nprivate final class B {}").types == ["Registry", "B"])
    }

    /// Words that stand for a crash a user can cause, or for a machine that is not the reader's.
    static func forbidden(in text: String) -> [String] {
        let code = SourceScan(text).code.joined(separator: "\n")
        let crashes = ["try!", "as!", "fatalError(", "preconditionFailure("].filter { code.contains($0) }
        let unchecked = code.contains("@unchecked Sendable") && !text.contains("// SAFETY:") ? ["@unchecked"] : []
        let places = ["/wo" + "rk/", "/ho" + "me/", "/ro" + "ot/."].filter { text.contains($0) }
        return crashes + unchecked + places
    }

    @Test func nothingForbiddenIsSaid() throws {
        for (path, text) in try Self.files("Sources") {
            #expect(Self.forbidden(in: text) == [], "\(path)")
        }
        let bad =
            "let a = try! b()\n// fatalError(\nlet path = \"" + "/ho" + "me/me\"\nextension A: @unchecked Sendable {}"
        #expect(Self.forbidden(in: bad) == ["try!", "@unchecked", "/ho" + "me/"])
    }

    @Test func testsStartProgramsAsChildrenThatEnd() throws {
        for (path, text) in try Self.files("Tests") {
            let code = SourceScan(text).code.joined(separator: "\n")
            #expect(!code.contains(/\bProcess(\(\)|\.init\(|\.run\()/), "\(path): Child ends a program that hangs")
        }
    }

    @Test func everyRoomIsATargetAndEveryDependencyIsUsed() throws {
        let manifest = try String(
            contentsOf: ConformanceData.projectRoot.appending(path: "Package.swift"),
            encoding: .utf8
        )
        let sources = ConformanceData.projectRoot.appending(path: "Sources")
        for folder in try FileManager.default.contentsOfDirectory(atPath: sources.path).sorted() {
            #expect(manifest.contains("name: \"\(folder)\""), "Sources/\(folder) is no target")
            #expect(Architecture.rooms[folder] != nil || Architecture.shims.contains(folder), "\(folder) is no room")
        }
        var imported: [String: Set<String>] = [:]
        for (path, text) in try Self.files("Sources") {
            imported[String(path.split(separator: "/")[1]), default: []].formUnion(SourceScan(text).imports)
        }
        for (target, dependencies) in Self.dependencies(of: manifest) where imported[target] != nil {
            let unused = dependencies.subtracting(imported[target] ?? [])
            #expect(unused == [], "\(target) declares what no file of it imports")
        }
    }

    /// The dependencies of each target as Package.swift declares them.
    static func dependencies(of manifest: String) -> [(target: String, dependencies: Set<String>)] {
        let targets = manifest.components(separatedBy: "arget(").dropFirst()
        return targets.compactMap { text in
            guard let name = text.firstMatch(of: /name: "(\w+)"/)?.1 else { return nil }
            guard let list = text.firstMatch(of: /dependencies: \[([^\]]*)\]/)?.1 else { return (String(name), []) }
            let products = list.matches(of: /\.product\(name: "(\w+)"/).map { String($0.1) }
            let plain = list.replacing(/\.product\([^)]*\)/, with: "").matches(of: /"(\w+)"/).map { String($0.1) }
            return (String(name), Set(products + plain))
        }
    }

    @Test func everyLintRuleIsDocumented() throws {
        let root = ConformanceData.projectRoot
        let documented = try String(contentsOf: root.appending(path: "docs/lint.md"), encoding: .utf8)
        let rules = try String(
            contentsOf: root.appending(path: "Sources/DockerfileSyntax/LintRule.swift"),
            encoding: .utf8
        )
        let names = rules.matches(of: /LintRule\(\s*"(\w+)"/).map { String($0.1) }
        #expect(names.count >= 25)
        for name in names {
            #expect(documented.contains("`\(name)`"), "docs/lint.md says nothing of \(name)")
        }
    }

    /// The suites of a file that run in turns, with their target, as `swift test --filter` names them.
    static func suitesInTurns(_ text: String, of path: String) -> [String] {
        let target = path.split(separator: "/")[1]
        return text.matches(of: /@Suite\([^{]*?\.inTurns[^{]*?struct (\w+)/).map { "\(target).\($0.1)" }
    }

    @Test func whatHasAServerInItsProcessRunsApart() throws {
        let makefile = try String(contentsOf: ConformanceData.projectRoot.appending(path: "Makefile"), encoding: .utf8)
        let served = try Regex(String(#require(makefile.firstMatch(of: /\nSERVED = (.+)\n/)).1))
        var count = 0
        for (path, text) in try Self.files("Tests") where !path.hasPrefix("Tests/LayoutTests/") {
            let suites = Self.suitesInTurns(text, of: path)
            count += suites.count
            for suite in suites where try served.firstMatch(in: suite) == nil {
                Issue.record("\(suite) would run among tests that leave its server no thread: see SERVED in Makefile")
            }
            guard text.contains("EmbeddedRegistry.run"), text.contains("@Suite") else { continue }
            #expect(!suites.isEmpty, "\(path) has a server in its process, and is not .inTurns")
        }
        #expect(count > 30)
    }

    @Test func linksOfTheReadmeLeadSomewhere() throws {
        let root = ConformanceData.projectRoot
        for page in ["README.md", "CONTRIBUTING.md", "samples/README.md"] {
            let text = try String(contentsOf: root.appending(path: page), encoding: .utf8)
            let folder = root.appending(path: page).deletingLastPathComponent()
            for link in text.matches(of: /\]\(([^)#]+)\)/).map({ String($0.1) }) where !link.contains("://") {
                #expect(FileManager.default.fileExists(atPath: folder.appending(path: link).path), "\(page): \(link)")
            }
        }
    }
}
