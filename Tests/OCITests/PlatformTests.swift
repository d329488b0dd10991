// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@Suite struct PlatformTests {
    @Test(arguments: [
        "bogus", "all", "local", "linux.x", "linux/", "/amd64", "a/b/c/d", "*", "windows(a/amd64", "lin ux/amd64",
    ])
    func whatIsNoPlatformIsRefused(text: String) throws {
        let error = try #require(throws: ContentError.self) { try Platform(text) }

        #expect(error.message.hasPrefix("\"\(text)\" is not a platform"))
    }

    @Test(arguments: [
        ("linux", "linux/\(Platform.host.architecture)"), ("macos", "darwin/\(Platform.host.architecture)"),
        ("arm64", "\(Platform.host.os)/arm64"), ("x86-64", "\(Platform.host.os)/amd64"),
        ("FreeBSD/riscv64", "freebsd/riscv64"), ("unknown/unheard", "unknown/unheard"),
        ("windows(10.0.17763)/amd64", "windows/amd64"), ("linux/arm/v6", "linux/arm/v6"),
    ])
    func oneWordIsCompletedAndTwoAreTaken(text: String, whole: String) throws {
        #expect(try Platform(text).description.hasPrefix(whole))
    }

    @Test func theVersionOfWindowsStandsInBrackets() throws {
        #expect(try Platform("windows(10.0.17763)").osVersion == "10.0.17763")
        #expect(try Platform("windows/amd64").osVersion == nil)
    }

    @Test func anImageIDIsNoReference() throws {
        let id = String(repeating: "0123456789abcdef", count: 4)

        let error = try #require(throws: ContentError.self) { try ImageReference(id) }

        #expect(error.message.contains("64 hexadecimal digits"))
        #expect(try ImageReference(id + "0").repository == "library/\(id)0")
    }
}
