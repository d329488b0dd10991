// SPDX-License-Identifier: Apache-2.0
import CoracleKit
import Testing

/// Sizes, lengths of time, and where the store is.
@Suite struct SizeTests {
    @Test(
        arguments: [
            ("0", 0), ("123", 123), ("20GB", 20_000_000_000), ("20gb", 20_000_000_000), ("20G", 20_000_000_000),
            ("512MiB", 512 << 20), ("512mi", 512 << 20), ("1.5kB", 1500), ("1KiB", 1024), ("2 TB", 2_000_000_000_000),
            ("1TiB", 1 << 40), ("7B", 7),
        ] as [(String, Int64)]
    )
    func sizesAreRead(text: String, bytes: Int64) throws {
        #expect(try DataSize(text).bytes == bytes)
    }

    @Test(arguments: ["", "GB", "-1GB", "1.2.3GB", "1XB", "1GBB", "GB1", "1e3", "9999999999TB", "1,5GB", "١GB"])
    func otherSizesAreRefused(text: String) throws {
        let error = try #require(throws: ExitReason.self) { _ = try DataSize(text) }
        #expect(error.code == .usage)
        #expect(error.message == "\"\(text)\" is not a size: expected a number and a unit, as 20GB or 512MiB")
    }

    @Test(
        arguments: [
            (0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (1999, "1.9 kB"), (99_999, "99.9 kB"), (100_000, "100 kB"),
            (999_999, "999 kB"), (1_000_000, "1.0 MB"), (12_345_678, "12.3 MB"), (1_234_567_890, "1.2 GB"),
            (5_000_000_000_000, "5.0 TB"),
        ] as [(Int64, String)]
    )
    func sizesForPeople(bytes: Int64, text: String) {
        #expect(DataSize(bytes).description == text)
    }

    @Test(
        arguments: [
            ("7d", 604_800), ("12h", 43_200), ("1d12h", 129_600), ("30m", 1800), ("45s", 45), ("2w", 1_209_600),
            ("0s", 0),
        ] as [(String, Int64)]
    )
    func lengthsOfTimeAreRead(text: String, seconds: Int64) throws {
        #expect(try TimeSpan(text).seconds == seconds)
    }

    @Test(arguments: ["", "7", "d", "7 d", "7y", "-7d", "1.5d", "7d1", "99999999999999999999d", "9999999999d"])
    func otherLengthsOfTimeAreRefused(text: String) throws {
        let error = try #require(throws: ExitReason.self) { _ = try TimeSpan(text) }
        #expect(error.message == "\"\(text)\" is not a length of time: expected numbers and units, as 7d or 12h")
    }

    @Test func theStoreIsFound() throws {
        var environment = ["HOME": "/h"]
        #expect(try Workspace(environment: environment).path == "/h/.local/share/coracle")
        environment["XDG_DATA_HOME"] = "relative"
        #expect(try Workspace(environment: environment).path == "/h/.local/share/coracle")
        environment["XDG_DATA_HOME"] = "/x"
        #expect(try Workspace(environment: environment).path == "/x/coracle")
        environment["CORACLE_STORE"] = "/s/"
        #expect(try Workspace(environment: environment).path == "/s")
        #expect(try Workspace(store: "here//", environment: environment).path == "here")
        #expect(throws: ExitReason.self) { _ = try Workspace(environment: [:]) }
        #expect(throws: ExitReason.self) { _ = try Workspace(store: "", environment: environment) }
    }
}
