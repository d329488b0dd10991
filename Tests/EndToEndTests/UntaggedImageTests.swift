// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What an untagged build prints is as good as a name, until someone prunes.
@Suite struct UntaggedImageTests {
    let place: BuildPlace

    init() throws {
        place = try BuildPlace("FROM scratch\nCOPY a.txt /a.txt\n")
        try place.write("a.txt", "one\n")
    }

    private func coracle(_ arguments: String...) throws -> Program {
        try Program.run(arguments, environment: ["CORACLE_STORE": place.store.path, "HOME": place.root.path])
    }

    private func digest() throws -> String {
        let built = try place.build(["-q"])
        try #require(built.status == 0, "\(built.errors)")
        return built.output.trimmingCharacters(in: .newlines)
    }

    @Test(arguments: [71, 64, 12, 19])
    func theDigestAndItsBeginningAreNames(length: Int) throws {
        let digest = try digest()
        // 12 digits and 64 stand alone; 71 and 19 have the algorithm before them.
        let hasAlgorithm = [71, 19].contains(length)
        let name = String((hasAlgorithm ? digest : String(digest.dropFirst(7))).prefix(length))
        let target = place.root.appending(path: "out").path

        let inspect = try coracle("inspect", name)
        let copy = try coracle("copy", "store:" + name, "oci:" + target)
        let tag = try coracle("tag", name, "app:1")

        #expect(inspect.status == 0 && inspect.output.contains(digest), "\(inspect.errors)")
        #expect(copy.status == 0 && copy.output == digest + "\n", "\(copy.errors)")
        #expect(tag.status == 0 && tag.output == "app:1\n", "\(tag.errors)")
    }

    @Test func pushWantsToKnowWhereAnImageWithoutANameGoes() throws {
        let push = try coracle("push", digest())
        #expect(push.status == 2 && push.errors.contains("HOST/PATH:TAG"), "\(push.errors)")
    }

    @Test func anImageWithoutANameIsNotOnTheListToBeRemovedFrom() throws {
        let remove = try coracle("rm", digest())
        #expect(remove.status == 2 && remove.errors.contains("coracle prune"), "\(remove.errors)")
    }

    @Test func noOtherBlobIsAnImage() throws {
        let digest = try digest()
        let blobs = try FileManager.default.contentsOfDirectory(
            atPath: place.store.appending(path: "blobs/sha256").path
        )
        #expect(blobs.count > 1)
        for blob in blobs where !digest.hasSuffix(blob) {
            let inspect = try coracle("inspect", blob)
            #expect(inspect.status == 2 && inspect.errors.contains("no image has the digest"), "\(inspect.errors)")
        }
        #expect(try coracle("inspect", String(repeating: "0", count: 12)).status == 2)
    }
}
