// SPDX-License-Identifier: Apache-2.0
import Archive
import OCI
import Testing

@Suite struct SHA256Tests {
    /// From FIPS 180-4 and NIST's example values.
    @Test(arguments: [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"
        ),
        (
            String(repeating: "a", count: 1_000_000),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        ),
    ])
    func knownAnswers(text: String, hex: String) {
        #expect(SHA256.digest(Array(text.utf8)).hex == hex)
    }

    @Test func piecesGiveTheSameDigestAndFinishStartsAgain() {
        var hash = SHA256()
        for _ in 0..<1000 { hash.update([UInt8](repeating: 0x61, count: 1000)) }
        hash.update([])

        let million = hash.finish()
        let empty = hash.finish()

        #expect(Digest(sha256: million) == SHA256.digest([UInt8](repeating: 0x61, count: 1_000_000)))
        #expect(Digest(sha256: empty) == SHA256.digest([]))
    }
}

@Suite struct FileHashTests {
    /// From RFC 7693, appendix A: the first half of BLAKE2b-512's answer.
    @Test func itIsTheFirstHalfOfBLAKE2b() {
        var hash = FileHash()
        hash.update(Array("ab".utf8))
        hash.update(Array("c".utf8))

        let abc = hash.finish()
        let empty = hash.finish()

        #expect(Digest(sha256: abc).hex == "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1")
        #expect(Digest(sha256: empty).hex == "786a02f742015903c6c6fd852552d272912f4740e15847618a86e217f71f5419")
    }
}
