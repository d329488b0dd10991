// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Faults of the command line end with 2, before anything is done.
@Suite struct UsageFaultTests {
    let place: BuildPlace

    init() throws {
        place = try BuildPlace("FROM scratch\nCOPY a.txt /a.txt\n")
        try place.write("a.txt", "one\n")
    }

    private func coracle(_ arguments: String...) throws -> Program {
        try Program.run(arguments, environment: ["CORACLE_STORE": place.store.path, "HOME": place.root.path])
    }

    @Test(arguments: ["type=oci,dest=/nonexist/x.tar", "type=docker,dest=/nonexist/x.tar", "type=tar,dest=/nonexist/x"])
    func anOutputThatCannotBeMadeIsFoundBeforeTheBuild(output: String) throws {
        let build = try place.build(["-o", output])
        #expect(build.status == 2, "\(build.errors)")
        #expect(build.errors.contains("/nonexist") && !build.errors.contains(".part"), "\(build.errors)")
        #expect(!build.errors.contains("COPY"), "nothing was built: \(build.errors)")
    }

    @Test func anEmptyOutputIsRefused() throws {
        let build = try place.build(["-o", ""])
        #expect(build.status == 2 && build.errors.contains("--output is empty"), "\(build.errors)")
    }

    @Test(arguments: ["--iidfile", "--metadata-file"])
    func aResultFileThatCannotBeMadeIsFoundBeforeTheBuild(flag: String) throws {
        let build = try place.build([flag, "/nonexist/id"])
        #expect(build.status == 2 && build.errors.contains(flag), "\(build.errors)")
        #expect(!build.errors.contains("COPY"), "nothing was built: \(build.errors)")
    }

    @Test func anOldDigestDoesNotOutliveABuildThatFails() throws {
        let file = place.root.appending(path: "id").path
        try #require(place.build(["--iidfile", file]).status == 0)
        try place.write("Dockerfile", "FROM scratch\nCOPY missing /\n")
        let build = try place.build(["--iidfile", file])
        #expect(build.status != 0)
        #expect(!FileManager.default.fileExists(atPath: file))
    }

    @Test func aStoreOfALaterVersionIsAFaultOfUsage() throws {
        try #require(place.build().status == 0)
        try Data("99\n".utf8).write(to: place.store.appending(path: "coracle-store"))
        let build = try place.build()
        #expect(build.status == 2 && build.errors.contains("version 99"), "\(build.errors)")
    }

    @Test func aBaseThatMayNotBeFetchedIsAFaultOfUsage() throws {
        try place.write("Dockerfile", "FROM nosuch:1\n")
        let build = try place.build(["--offline"])
        #expect(build.status == 2 && build.errors.contains("nosuch:1"), "\(build.errors)")
    }

    @Test(arguments: ["docker-daemon:x", "containers-storage:x", "dir:/tmp/x", "http://host/x"])
    func placesOfOtherToolsAreNamedAsSuch(name: String) throws {
        let copy = try coracle("copy", name, "oci:" + place.root.appending(path: "o").path)
        #expect(copy.status == 2, "\(copy.errors)")
        #expect(copy.errors.contains("knows no place") && copy.errors.contains("docker-archive:FILE"))
    }

    @Test func anArchiveComesThroughStandardInput() throws {
        let file = place.root.appending(path: "a.tar").path
        try #require(place.build(["-o", "type=oci,dest=\(file)"]).status == 0)
        let shell = try #require(Program.named("sh"))
        let target = place.root.appending(path: "out").path
        let script = "cat '\(file)' | '\(Program.coracle.path)' copy oci-archive:- 'oci:\(target)'"
        let copy = try Program.run(
            ["-c", script],
            of: shell,
            environment: ["CORACLE_STORE": place.store.path, "HOME": place.root.path]
        )
        #expect(copy.status == 0, "\(copy.errors)")
        #expect(FileManager.default.fileExists(atPath: target + "/index.json"))
    }

    @Test func aNameOfAnotherRegistryIsGivenByCopying() throws {
        let tag = try coracle("tag", "localhost:1/x:1", "localhost:2/x:1")
        #expect(tag.status == 2 && tag.errors.contains("coracle copy"), "\(tag.errors)")
    }

    @Test func aPlatformThatAnImageLacksIsFoundBeforeThePush() throws {
        try #require(place.build(["--platform", "linux/amd64", "-t", "app"]).status == 0)
        let push = try coracle("push", "--platform", "linux/s390x", "app", "localhost:1/x")
        #expect(push.status == 2 && push.errors.contains("it is for linux/amd64"), "\(push.errors)")
    }

    @Test func aBuildWithoutAContextCopiesNothing() throws {
        let build = try Program.run(
            ["build", "--store", place.store.path, "-"],
            input: "FROM scratch\nCOPY a.txt /a.txt\n"
        )
        #expect(build.status == 2 && build.errors.contains("no build context"), "\(build.errors)")
    }
}
