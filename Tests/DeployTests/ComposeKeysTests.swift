// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

@testable import Deploy

@Suite("What becomes of each key of compose files")
struct ComposeKeysTests {
    /// Keys of a service that both targets do, or that are gone before a target sees them.
    private static let expressed: Set<String> = [
        "build", "command", "configs", "cpu_period", "cpu_quota", "cpus", "depends_on", "deploy", "entrypoint",
        "env_file",
        "environment", "expose", "extends", "healthcheck", "image", "links", "mem_limit", "mem_reservation",
        "network_mode", "networks", "platform", "ports", "profiles", "restart", "scale", "secrets", "tmpfs", "volumes",
    ]

    @Test("Every key of a service is expressed, told of, or refused")
    func complete() {
        let listed = Set(ComposeKey.all.map(\.path))
        for key in ComposeSchema.serviceKeys.keys.sorted() {
            let isListed = listed.contains("services.*.\(key)")
            #expect(isListed != Self.expressed.contains(key), "\(key)")
        }
    }

    @Test("Every key of the table is one of the specification, and is there once")
    func known() {
        #expect(Set(ComposeKey.all.map(\.path)).count == ComposeKey.all.count)
        for key in ComposeKey.all {
            #expect(shape(key.path.split(separator: ".").map(String.init)[...], ComposeSchema.file), "\(key.path)")
        }
    }

    /// Whether a path leads anywhere.
    private func shape(_ path: ArraySlice<String>, _ shape: ComposeShape) -> Bool {
        guard let key = path.first else { return true }
        switch shape {
        case .map(let keys) where key.hasSuffix("[]"):
            guard case .list(let inner)? = keys[String(key.dropLast(2))] else { return false }
            return self.shape(path.dropFirst(), inner)
        case .map(let keys): return keys[key].map { self.shape(path.dropFirst(), $0) } ?? false
        case .names(let inner): return self.shape(path.dropFirst(), inner)
        case .optional(let inner), .textOr(let inner), .listOr(let inner): return self.shape(path, inner)
        default: return false
        }
    }

    @Test("docs/compose.md has a row for each key, which says what the table says")
    func documented() throws {
        let page = try String(
            contentsOf: ConformanceData.projectRoot.appending(path: "docs/compose.md"),
            encoding: .utf8
        )
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
            .map { $0.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) } }
        for key in ComposeSchema.serviceKeys.keys.sorted() {
            #expect(page.contains("`\(key)`"), "\(key)")
        }
        for key in ComposeKey.all where key.path.hasPrefix("services.*.") && key.path.split(separator: ".").count == 3 {
            let name = "`\(key.path.dropFirst("services.*.".count))`"
            let row = try #require(
                rows.first { $0[0].split(separator: " ").map(String.init).contains(name) },
                "\(name)"
            )
            #expect(row[1].hasPrefix(word(key.aci)), "\(name) on ACI: \(row[1])")
            #expect(row[2].hasPrefix(word(key.aks)), "\(name) on AKS: \(row[2])")
        }
    }

    private func word(_ fate: ComposeFate) -> String {
        switch fate {
        case .expressed: "yes"
        case .harmless: "warning"
        case .refused: "error"
        }
    }
}
