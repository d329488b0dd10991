// SPDX-License-Identifier: Apache-2.0
import OCI
import Testing

@Suite struct ReferenceTests {
    @Test(arguments: [
        ("debian", "docker.io/library/debian:latest"), ("a/b:c", "docker.io/a/b:c"),
        ("localhost/a", "localhost/a:latest"), ("h:5000/a/b", "h:5000/a/b:latest"),
        ("index.docker.io/a", "docker.io/library/a:latest"),
        (
            "a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "docker.io/library/a@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        ),
    ])
    func referencesAreMadeWhole(text: String, whole: String) throws {
        #expect(try ImageReference(text).description == whole)
    }

    @Test(arguments: ["", "a/B", "a b", "a:", "a:/b", "a@sha256:1", "-a", "a//b", "https://a/b", "a/b:c:d"])
    func malformedReferencesAreRefused(text: String) {
        #expect(throws: ContentError.self) { try ImageReference(text) }
    }

    @Test(arguments: [
        ("linux/amd64", "linux/amd64"), ("linux/x86_64", "linux/amd64"), ("linux/aarch64", "linux/arm64"),
        ("linux/armhf", "linux/arm/v7"), ("linux/arm/v6", "linux/arm/v6"),
    ])
    func platformsAreNormalized(text: String, platform: String) throws {
        #expect(try Platform(text).description == platform)
    }

    @Test(arguments: ["", "a/b/c/d", "linux/", "li nux/amd64"])
    func malformedPlatformsAreRefused(text: String) {
        #expect(throws: ContentError.self) { try Platform(text) }
    }
}
