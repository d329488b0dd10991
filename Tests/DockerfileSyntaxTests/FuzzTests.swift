// SPDX-License-Identifier: Apache-2.0
import DockerfileSyntax
import Foundation
import TestSupport
import Testing

/// Mutated inputs: none may crash, hang, or be read differently once printed.
///
/// `CORACLE_FUZZ_RUNS` says how many of each kind, `CORACLE_FUZZ_SEED` where to start; the same seed makes the same
/// inputs. A hang shows as a test that does not end; a crash shows its input in `.build/fuzz-last`.
@Suite(.serialized) struct FuzzTests {
    private static let environment = ProcessInfo.processInfo.environment
    private static let runs = environment["CORACLE_FUZZ_RUNS"].flatMap { Int($0) } ?? 1000
    private static let seed = environment["CORACLE_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1

    private static let seeds: [String] = [
        "# syntax=a\n# escape=`\nARG v=1\nFROM --platform=$BUILDPLATFORM a:${v:-x} AS b\nRUN <<-E cat\n\tx\n\tE\n",
        "FROM x\nRUN --mount=type=cache,target=/a,id=\"b,c\" --network=none a \\\n # c\n b\nCMD [\"a\", \"\\u00e9\"]\n",
        "FROM x\nCOPY --from=b --chown=1:2 --chmod=u=rwX,go= --exclude=*.a --parents a ./b /c/\nADD <<A <<'B' /d\na\nA\nb\nB\n",
        "FROM x\nENV a=\"b $c\" d='e' f=g\\ h\nLABEL a b c\nEXPOSE 80-90/tcp $p\nVOLUME [\"/a\"]\nONBUILD RUN <<X\nX\n",
        "FROM x\nHEALTHCHECK --interval=1m30s --start-interval=1ms CMD [\"a\"]\nSHELL [\"a\"]\nSTOPSIGNAL 9\nUSER a\r\nWORKDIR b\n",
    ]

    @Test func parserFuzz() throws {
        try fuzz("parser", Self.seeds) { bytes in
            let tree = Dockerfile.parse(SourceText(bytes, name: "D"))
            let again = Dockerfile.parse(SourceText(tree.dockerfile.printed(), name: "D")).dockerfile
            // Bytes that are no text are replaced when read, and a fault has no one meaning to keep.
            guard tree.diagnostics.allSatisfy({ $0.severity != .error }) else { return }
            #expect(
                shape(of: again) == shape(of: tree.dockerfile),
                "\(String(decoding: bytes, as: UTF8.self).debugDescription)"
            )
        }
    }

    @Test func wordFuzz() throws {
        let seeds = ["${a:-${b%%.*}}$c'd'\"e$f\"", "\\${x//a*/\\}b} ${y?z}", "<<a $$ ${#}", "${é:+ü}${1}x$22"]
        try fuzz("words", seeds) { bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            for options: WordExpander.Options in [[], [.rawQuotes, .rawEscapes], [.skipQuotes], [.keepUnset]] {
                let expander = WordExpander(options: options)
                _ = try? expander.expand(text) { $0.utf8.count % 2 == 0 ? nil : "va.l/ue \($0)" }
                _ = try? expander.words(text) { $0.utf8.count % 2 == 0 ? nil : "a b" }
            }
        }
    }

    @Test func ignoreFuzz() throws {
        let seeds = ["*.md\n!a/**/b\n[a-z]?\\*\n# c\n", "**/x\n!**/x/y\n/a/../b/\n", "a/**\n!a/b[^c]\n**\n"]
        try fuzz("ignore", seeds) { bytes in
            let file = IgnoreFile.parse(SourceText(bytes, name: ".dockerignore")).file
            for path in ["a", "a/b", "x/y/z.md", "é/ü"] {
                let decision = file.decision(for: path)
                // A folder of which everything is hidden has no file that is not.
                if file.hidesAll(below: Array(path.utf8)) {
                    #expect(decision.isIgnored && file.decision(for: path + "/any/file").isIgnored)
                }
            }
        }
    }

    private func fuzz(_ name: String, _ seeds: [String], _ body: ([UInt8]) throws -> Void) throws {
        var corpus = seeds.map { Array($0.utf8) }
        if ConformanceData.isAvailable, name == "parser" {
            corpus += try ConformanceData.realWorld().map(\.bytes).filter { $0.count < 4000 }
        }
        var generator = SplitMix(state: Self.seed)
        let last = ConformanceData.projectRoot.appending(path: ".build/fuzz-last")
        let keepsInput = Self.runs > 100_000
        for run in 0..<Self.runs {
            let input = mutated(corpus[run % corpus.count], corpus, &generator)
            // A crash ends the process: what it died of must be on disk before.
            if keepsInput, run % 64 == 0 { try? Data("\(name) seed \(Self.seed) run \(run)\n".utf8).write(to: last) }
            try body(input)
        }
        print("fuzz \(name): \(Self.runs) inputs from seed \(Self.seed)")
    }

    private func mutated(_ input: [UInt8], _ corpus: [[UInt8]], _ generator: inout SplitMix) -> [UInt8] {
        var bytes = input
        let tokens = [
            "$", "{", "}", "\"", "'", "\\", "<<", "\n", "#", "`", "[", "]", ",", "=", "--", " ", "\u{0}", "\r",
        ]
        for _ in 0..<(1 + generator.below(6)) {
            let place = generator.below(bytes.count + 1)
            switch generator.below(6) {
            case 0 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
            case 1 where place < bytes.count:
                bytes.removeSubrange(place..<min(bytes.count, place + 1 + generator.below(9)))
            case 2:
                let other = corpus[generator.below(corpus.count)]
                let start = generator.below(other.count + 1)
                bytes.insert(contentsOf: other[start..<min(other.count, start + generator.below(60))], at: place)
            case 3:
                let end = min(bytes.count, place + generator.below(20))
                let piece = bytes[place..<end]
                for _ in 0..<generator.below(8) { bytes.insert(contentsOf: piece, at: place) }
            default: bytes.insert(contentsOf: tokens[generator.below(tokens.count)].utf8, at: place)
            }
        }
        return bytes
    }
}

/// Steele, Lea and Flood's SplitMix64: the same seed, the same inputs.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func below(_ bound: Int) -> Int {
        bound == 0 ? 0 : Int(next() % UInt64(bound))
    }
}
