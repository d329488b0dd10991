// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// Flags that scripts give to `docker build` and `docker buildx build`.
@Suite("Flags of docker build")
struct DockerFlagTests {
    private let place: BuildPlace

    init() throws {
        place = try BuildPlace(
            "# base what all share\nARG VERSION=1\nFROM scratch AS base\nCOPY a /a\n# app The program\n"
                + "FROM --platform=$BUILDPLATFORM base AS app\nARG NAME\nLABEL version=$VERSION\n"
        )
        try place.write("a", "a")
    }

    @Test(
        "What asks for what is so anyway is taken",
        arguments: [
            ["--load", "--rm", "--force-rm"], ["--rm=true", "--push=false", "--load=1", "--pull=F", "--no-cache=true"],
            ["--provenance=false", "--sbom=0", "--attest", "type=sbom,disabled=true"], ["--push", "--push=false"],
        ]
    )
    func taken(flags: [String]) throws {
        let run = try place.build(flags)

        #expect(run.status == 0, "\(run.errors)")
    }

    @Test(
        "What is not made is refused in one sentence",
        arguments: [
            (["--provenance=true"], "--provenance=true: no attestation is made"),
            (["--provenance=mode=max"], "--provenance=mode=max: no attestation is made"),
            (["--sbom=true"], "--sbom=true: no attestation is made"),
            (
                ["--attest", "type=provenance,mode=min"],
                "--attest \"type=provenance,mode=min\": no attestation is made"
            ),
            (["--attest", "mode=min"], "--attest \"mode=min\" has no type"),
            (["--push=yes"], "--push \"yes\" is neither true nor false"),
            (["--call", "outline"], "--call outline is not there"),
            (["--call", "targts"], "--call \"targts\" is not known; expected build, check, or targets"),
            (["--call", "targets", "--check"], "--check and --call targets are given both"),
            (["--progress", "rawjson"], "rawjson is BuildKit's own form"),
            (["--progress", "fancy"], "fancy is not known: expected auto, plain, tty, json"),
            (["--label-file", "/no/such"], "--label-file /no/such: there is no such file"),
        ]
    )
    func refused(flags: [String], message: String) throws {
        let run = try place.build(flags)

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains(message), "\(run.errors)")
    }

    @Test("Labels come from files, and those of flags go before them")
    func labels() throws {
        let file = try place.write("labels", "# a comment\n\none=1\r\ntwo=x=y\nthree\n").path
        let wrong = try place.write("wrong", "a=1\n=2\n").path

        let bad = try place.build(["--label-file", wrong])
        let built = try place.build(["--label-file", file, "--label", "one=flag", "-t", "app"])
        let seen = try Program.run(["inspect", "app", "--format", "json", "--store", place.store.path])

        #expect(bad.status == 2 && bad.errors.contains("wrong:2: \"\" is not the name of a label"), "\(bad.errors)")
        #expect(built.status == 0, "\(built.errors)")
        for text in ["\"one\": \"flag\"", "\"two\": \"x=y\"", "\"three\": \"\""] {
            #expect(seen.output.contains(text), "\(seen.output)")
        }
    }

    @Test("A build argument that no ARG takes is a warning, which says what was probably meant")
    func arguments() throws {
        let known = ["NAME", "VERSION", "HTTP_PROXY", "https_proxy", "TARGETARCH", "BUILDKIT_X", "SOURCE_DATE_EPOCH"]

        let run = try place.build(known.flatMap { ["--build-arg", "\($0)=1"] } + ["--build-arg", "VERSOIN=2"])
        let json = try place.build(["--build-arg", "OTHER=hunter2", "--progress", "json"])

        #expect(run.status == 0, "\(run.errors)")
        let warnings = run.errors.split(separator: "\n").filter { $0.contains("--build-arg") }
        #expect(warnings == ["WARNING: --build-arg VERSOIN is taken by no ARG, did you mean \"VERSION\"?"])
        #expect(json.errors.contains("{\"event\":\"warning\",\"message\":\"--build-arg OTHER is taken by no ARG\"}"))
        #expect(!json.errors.contains("hunter2"))
    }

    @Test("An ARG that a trigger of the base brings takes its argument")
    func triggers() throws {
        try place.write("Dockerfile", "FROM scratch AS base\nONBUILD ARG NAME\nFROM base\nCOPY a /a\n")

        let run = try place.build(["--build-arg", "NAME=1"])

        #expect(run.status == 0, "\(run.errors)")
        #expect(!run.errors.contains("WARNING"), "\(run.errors)")
    }

    @Test("--call targets lists stages with what is said above them")
    func targets() throws {
        let text = try place.build(["--call", "targets"])
        let json = try JSON(parsing: place.build(["--call=targets,format=json"]).output)

        #expect(text.status == 0, "\(text.errors)")
        #expect(text.output == "TARGET         DESCRIPTION\nbase           \napp (default)  The program\n")
        let targets = json["targets"].array
        #expect(targets.count == 2)
        #expect(targets[1]["name"].string == "app" && targets[1]["base"].string == "base")
        #expect(targets[1]["platform"].string == "$BUILDPLATFORM")
        #expect(targets[1]["location"]["ranges"].array.first?["start"]["line"].int == 6)
        try place.write("Dockerfile", "FORM scratch\n")
        let fault = try place.build(["--call", "targets"])
        #expect(fault.status == 2 && fault.errors.contains("Dockerfile:1:1: error: "), "\(fault.errors)")
    }

    @Test("--call check is --check, for programs too")
    func check() throws {
        let text = try place.build(["--call", "check"])
        let json = try place.build(["--call", "check,format=json"])

        #expect(text.status == 0, "\(text.errors)")
        #expect(try JSON(parsing: json.output)["version"].int == 1)
        #expect(!FileManager.default.fileExists(atPath: place.store.path), "nothing is built")
    }

    @Test("--progress quiet shows the digest alone")
    func quiet() throws {
        let run = try place.build(["--progress", "quiet"])

        #expect(run.status == 0 && run.errors == "", "\(run.errors)")
        #expect(run.output.hasPrefix("sha256:"))
    }

    @Test("DOCKER_DEFAULT_PLATFORM is the platform where no flag says one")
    func platform() throws {
        try place.write("Dockerfile", "FROM scratch\nCOPY a /a\n")
        let platform = { (flags: [String], value: String) in
            try #require(place.build(flags + ["-t", "p"], environment: ["DOCKER_DEFAULT_PLATFORM": value]).status == 0)
            let seen = try Program.run(["inspect", "p", "--format", "json", "--store", place.store.path])
            return try JSON(parsing: seen.output)["images"].array.first?["platform"].string
        }

        #expect(try platform([], "linux/s390x") == "linux/s390x")
        #expect(try platform(["--platform", "linux/arm64"], "linux/s390x") == "linux/arm64")
        let plan = try Program.run(
            ["plan", "--format", "json", place.context.path],
            environment: ["DOCKER_DEFAULT_PLATFORM": "linux/s390x,linux/amd64"]
        )
        #expect(try JSON(parsing: plan.output)["platform"].string == "linux/s390x", "\(plan.output.prefix(300))")
        let wrong = try place.build(environment: ["DOCKER_DEFAULT_PLATFORM": "linux/nosuch/x/y"])
        #expect(wrong.status == 2 && wrong.errors.contains("DOCKER_DEFAULT_PLATFORM: "), "\(wrong.errors)")
    }

    @Test("A Windows image is not made on a base of Linux")
    func windows() throws {
        try #require(try place.build(["-t", "linux", "--target", "base", "--platform", "linux/amd64"]).status == 0)
        try place.write("Dockerfile", "FROM linux\nCOPY a /b\n")

        let run = try place.build(["--platform", "windows/amd64", "--offline"])

        #expect(run.status == 2, "\(run.errors)")
        #expect(run.errors.contains("base image linux:latest is for linux/amd64, and windows/amd64 is wanted"))
        #expect(run.errors.contains("note: start from a Windows image"), "\(run.errors)")
        try place.write("Dockerfile", "FROM scratch\nCOPY --from=linux /a /b\n")
        #expect(try place.build(["--platform", "windows/amd64", "--offline"]).status == 0)
    }

    @Test("A command that there is not names the nearest")
    func commands() throws {
        for (word, near) in [("buidl", "build"), ("imges", "images"), ("depoly", "deploy")] {
            let run = try Program.run([word, "x"])
            #expect(run.status == 2)
            let message = "coracle: error: there is no command \"\(word)\", did you mean \"\(near)\"?\n"
            #expect(run.errors == message + "   hint: coracle --help lists all of them\n")
        }
        #expect(try Program.run(["help"]).status == 0)
        #expect(try Program.run(["rmi", "--help"]).status == 0)
    }
}
