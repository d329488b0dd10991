// SPDX-License-Identifier: Apache-2.0
import CLinux
import Foundation
import Glibc
import TestSupport
import Testing

/// Whether the same files make the same image, whoever builds it, where and when.
@Suite struct BuildReproducibilityTests {
    private static let epoch = ["SOURCE_DATE_EPOCH": "0"]

    private func fill(_ place: BuildPlace, backwards: Bool) throws {
        let names = (0..<200).map { "tree/\($0 % 7)/file-\($0)" }
        for name in backwards ? names.reversed() : names {
            let file = try place.write(name, String(repeating: name, count: 1000))
            var times = [timeval(tv_sec: backwards ? 1_000_000_000 : 1_500_000_000, tv_usec: 5), timeval()]
            times[1] = times[0]
            utimes(file.path, times)
        }
        try place.write("Dockerfile", "FROM scratch\nWORKDIR /w\nCOPY tree .\nADD --chown=5:6 tree/0 /x/\n")
    }

    @Test(
        "Two cold builds of the same files give one digest, whatever times, order and number of cores",
        arguments: [
            "gzip", "gzip:6", "zstd",
        ]
    )
    func twoFolders(compression: String) throws {
        let (first, second) = (try BuildPlace(), try BuildPlace())
        try fill(first, backwards: false)
        try fill(second, backwards: true)
        let arguments = ["--quiet", "--compression", compression]

        let one = try first.build(arguments, environment: Self.epoch)
        let two = try second.build(
            arguments,
            environment: Self.epoch,
            through: Tools.has("taskset") ? ["taskset", "-c", "0"] : []
        )

        #expect(one.status == 0, "\(one.errors)")
        #expect(one.output == two.output && !one.output.isEmpty)
    }

    @Test("What the cache has is what a build without it makes")
    func cachedEqualsRebuilt() throws {
        let place = try BuildTests.everything()

        let cold = try place.build(["--quiet"], environment: Self.epoch)
        let warm = try place.build(["--progress", "plain"], environment: Self.epoch)
        let again = try place.build(["--quiet", "--no-cache"], environment: Self.epoch)

        #expect(cold.output == warm.output && cold.output == again.output)
        #expect(warm.errors.components(separatedBy: "CACHED").count == 9, "\(warm.errors)")
    }

    @Test("Whatever changes in a context, a build that knows it from before makes what one makes that does not")
    func changesAreSeen() throws {
        let place = try BuildPlace("FROM scratch\nCOPY d /d/\n")
        var random = SystemRandomNumberGenerator()
        let names = (0..<12).map { $0 < 4 ? "d/\($0)" : "d/\($0 % 4)/\($0)" }
        let path = { (name: String) in place.context.appending(path: name).path }
        for name in names.dropFirst(4) { try place.write(name, name) }
        var log: [String] = []
        for round in 0..<25 {
            for _ in 0..<Int.random(in: 0...3, using: &random) {
                let (one, two) = (names.randomElement(using: &random)!, names.randomElement(using: &random)!)
                let change = Int.random(in: 0..<7, using: &random)
                log.append("\(round): \(change) \(one) \(two)")
                switch change {
                case 0: _ = try? place.write(one, "\(round % 10)")
                case 1: try? FileManager.default.removeItem(atPath: path(one))
                case 2: Glibc.rename(path(one), path(two))
                case 3: symlink("x", path(one) + "l")
                case 4: Glibc.link(path(one), path(two) + "h")
                case 5: mkdir(path(one) + "/new", 0o700)
                default: chmod(path(one), 0o700 | mode_t(round))
                }
            }
            if Bool.random(using: &random) { usleep(60_000) }
            mkdir(path("d"), 0o755)
            let warm = try place.build(["--quiet"], environment: Self.epoch)
            let fresh = try place.build(
                ["--quiet", "--store", place.root.appending(path: "fresh-\(round)").path],
                environment: Self.epoch
            )
            #expect(warm.status == 0 && warm.output == fresh.output, "\(log.joined(separator: "\n")) \(warm.errors)")
        }
    }

    @Test("What one build kept is found by the next, on any number of cores, and lost with one file of many")
    func keptOnAnyCores() throws {
        let place = try BuildPlace()
        try fill(place, backwards: true)
        let path = { (name: String) in place.context.appending(path: name).path }
        symlink("file-1", path("tree/1/link"))
        Glibc.link(path("tree/2/file-2"), path("tree/2/again"))
        let cached = { (cores: [String]) in
            try place.build(["--progress", "plain"], environment: Self.epoch, through: cores).errors
                .components(separatedBy: "CACHED").count - 1
        }
        let one = Tools.has("taskset") ? ["taskset", "-c", "0"] : []

        #expect(try cached([]) == 0)
        #expect(try cached([]) == 3)
        #expect(try cached(one) == 3)
        try place.write("tree/3/file-3", "other")
        #expect(try cached([]) == 1, "what comes before it")
        try place.write("tree/3/file-3", "third")
        #expect(try cached(one) == 1)
        #expect(try cached([]) == 3)
    }

    @Test("Contexts that differ in what a layer holds do not share one", arguments: Difference.allCases)
    func cacheNotices(difference: Difference) throws {
        let place = try BuildPlace("FROM scratch\nCOPY etc /etc/\nCOPY \(difference.flags) /d/\n")
        try place.write("etc/passwd", "app:x:7:7::/:/bin/sh\n")
        try place.write("d/a", "same")
        let file = try place.write("d/b", "same")
        if [.lostAttribute, .attributeAsContent].contains(difference) { setxattr(file.path, "user.note", "x", 1, 0) }
        #expect(try place.build(["--quiet"], environment: Self.epoch).status == 0)

        try difference.apply(to: place)
        let warm = try place.build(["--quiet"], environment: Self.epoch)
        let rebuilt = try place.build(["--quiet", "--no-cache"], environment: Self.epoch)

        #expect(warm.status == 0, "\(warm.errors)")
        #expect(warm.output == rebuilt.output)
    }

    /// A change that a layer shows.
    enum Difference: CaseIterable {
        case content, mode, hardLink, link, bytesOfAName, userNumber, device, attribute, lostAttribute,
            attributeAsContent

        /// The flags and the source of the copy.
        var flags: String {
            switch self {
            case .userNumber: "--link --chown=app d"
            case .bytesOfAName: "d/*"
            default: "d"
            }
        }

        func apply(to place: BuildPlace) throws {
            let path = { (name: String) in place.context.appending(path: name).path }
            switch self {
            case .content: try place.write("d/a", "diff")
            case .mode: chmod(path("d/a"), 0o600)
            case .hardLink:
                unlink(path("d/b"))
                Glibc.link(path("d/a"), path("d/b"))
            case .link:
                unlink(path("d/b"))
                symlink("a", path("d/b"))
            case .bytesOfAName:
                // Both names are the same text once what is no UTF-8 is replaced.
                try BuildReproducibilityTests.rename(path("d/a"), path("d") + "/", last: 0xFE)
                _ = try place.build(["--quiet"], environment: BuildReproducibilityTests.epoch)
                try BuildReproducibilityTests.rename(nil, path("d") + "/", last: 0xFF)
            case .userNumber: try place.write("etc/passwd", "app:x:9:9::/:/bin/sh\n")
            case .device:
                unlink(path("d/b"))
                mknod(path("d/b"), S_IFCHR | 0o600, 0x0103)
                _ = try place.build(["--quiet"], environment: BuildReproducibilityTests.epoch)
                unlink(path("d/b"))
                mknod(path("d/b"), S_IFCHR | 0o600, 0x0105)
            case .attribute: setxattr(path("d/a"), "user.note", "x", 1, 0)
            case .attributeAsContent:
                removexattr(path("d/b"), "user.note")
                try place.write("d/b", "sameuser.note\u{0}x")
            case .lostAttribute: removexattr(path("d/b"), "user.note")
            }
        }
    }

    /// Renames a file to one whose name ends in a byte that is no text.
    private static func rename(_ old: String?, _ folder: String, last: UInt8) throws {
        let name = { (byte: UInt8) in folder.utf8.map { CChar(bitPattern: $0) } + [CChar(bitPattern: byte), 0] }
        let from = old.map { $0.utf8.map { CChar(bitPattern: $0) } + [0] } ?? name(0xFE)
        try #require(Glibc.rename(from, name(last)) == 0)
    }
}
