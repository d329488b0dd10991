// SPDX-License-Identifier: Apache-2.0
import Archive
import Foundation
import TestSupport
import Testing

/// The programs of others that tests of registries need.
enum Witnesses {
    static let areInstalled: Bool = {
        let found = TestRegistry.isInstalled && Program.named("skopeo") != nil
        if !found { print("SKIPPED RegistryVerbTests: docker-registry and skopeo are not installed") }
        return found
    }()
}

/// The verbs that speak with registries, against the registry that Debian has, with skopeo as a witness.
@Suite(.enabled(if: Witnesses.areInstalled, "docker-registry and skopeo are not installed"))
struct RegistryVerbTests {
    let place: BuildPlace
    let home: URL

    init() throws {
        place = try BuildPlace("FROM scratch\nCOPY a.txt /a.txt\nENV A=1\n")
        try place.write("a.txt", "one\n")
        home = place.root.appending(path: "home")
        try FileManager.default.createDirectory(at: home, withIntermediateDirectories: true)
    }

    private func coracle(_ arguments: [String], input: String = "", store: String = "store") throws -> Program {
        let environment = [
            "CORACLE_STORE": place.root.appending(path: store).path, "HOME": home.path, "XDG_RUNTIME_DIR": home.path,
            "DOCKER_CONFIG": "", "REGISTRY_AUTH_FILE": "",
        ]
        return try Program.run(arguments, input: input, environment: environment)
    }

    /// Runs a verb, expects success, and gives its last line.
    @discardableResult
    private func result(_ arguments: String..., input: String = "", store: String = "store") throws -> String {
        let program = try coracle(arguments, input: input, store: store)
        try #require(program.status == 0, "\(arguments): \(program.errors)")
        return program.output.trimmingCharacters(in: .newlines)
    }

    private func skopeo(_ arguments: String...) throws -> String {
        let skopeo = try #require(Program.named("skopeo"))
        let program = try Program.run(arguments, of: skopeo, environment: ["HOME": home.path])
        try #require(program.status == 0, "\(arguments): \(program.errors)")
        return program.output
    }

    private func digest(_ reference: String) throws -> String? {
        try JSON(parsing: skopeo("inspect", "--tls-verify=false", "docker://\(reference)"))["Digest"].string
    }

    @Test func whatWasBuiltAndPushedIsWhatSkopeoSees() async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/team/app:1"

        let built = try result("build", "-t", name, "--push", place.context.path)

        #expect(try digest(name) == built)
        #expect(try result("push", name, "-t", "2", "-t", "3") == "\(registry.host)/team/app@\(built)")
        #expect(
            try result("registry", "tags", "\(registry.host)/team/app").split(separator: "\n").sorted() == [
                "1", "2", "3",
            ]
        )
        #expect(try result("registry", "ls", registry.host) == "\(registry.host)/team/app")
        #expect(try result("inspect", "docker://\(name)", "--format", "json").contains(built))
    }

    @Test func anUnchangedImageIsPushedInOneRequestPerBlobAndTwo() async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/app:1"
        try result("build", "-t", name, "--push", place.context.path)
        let before = registry.requests.count

        let again = try coracle(["push", name, "--json"])

        #expect(try JSON(parsing: again.output)["moved"].int == 0)
        // One layer and one configuration.
        #expect(registry.requests.count - before <= 2 + 2, "\(registry.requests.dropFirst(before))")
    }

    @Test func whatWasPushedOnceIsMountedElsewhereInTheRegistry() async throws {
        let registry = try await TestRegistry()
        try result("build", "-t", "\(registry.host)/app:1", "--push", place.context.path)
        try result("push", "\(registry.host)/app:1", "\(registry.host)/staging/app:1")

        let pushed = try coracle([
            "push", "\(registry.host)/app:1", "\(registry.host)/live/app:1", "--progress", "plain",
        ])

        #expect(pushed.status == 0, "\(pushed.errors)")
        #expect(pushed.errors.contains("mounted from staging/app"), "the latest place first: \(pushed.errors)")
        #expect(try digest("\(registry.host)/live/app:1") == digest("\(registry.host)/app:1"))
    }

    @Test func whatWasPulledIsTheSameAndIsFetchedOnce() async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/app:1"
        let built = try result("build", "-t", name, "--push", place.context.path)

        #expect(try result("pull", name, store: "other") == "\(registry.host)/app@\(built)")
        let again = try coracle(["pull", "\(registry.host)/app@\(built)", "--json"], store: "other")

        #expect(try JSON(parsing: again.output)["moved"].int == 0)
        let layout = place.root.appending(path: "other").path
        #expect(try skopeo("inspect", "--raw", "oci:\(layout):\(name)").contains("manifests") == false)
    }

    @Test func copiesInEveryFormKeepTheDigest() async throws {
        let (registry, other) = (try await TestRegistry(), try await TestRegistry())
        let built = try result("build", "-t", "\(registry.host)/app:1", "--push", place.context.path)
        let source = "\(registry.host)/app:1"
        let path = { (name: String) in place.root.appending(path: name).path }

        #expect(try result("copy", source, "\(other.host)/mirror/app:1") == "\(other.host)/mirror/app@\(built)")
        #expect(try result("copy", "docker://\(source)", "\(registry.host)/twin:1") == "\(registry.host)/twin@\(built)")
        #expect(try result("copy", source, "oci:\(path("layout")):v1") == built)
        #expect(try result("copy", source, "oci-archive:\(path("oci.tar"))") == built)
        #expect(try result("copy", source, "docker-archive:\(path("docker.tar")):app:1") == built)
        for (number, form) in ["oci:\(path("layout")):v1", "oci-archive:\(path("oci.tar"))", "store:\(source)"]
            .enumerated()
        {
            #expect(
                try result("copy", form, "\(other.host)/back:\(number)") == "\(other.host)/back@\(built)",
                "\(form)"
            )
        }
        #expect(try digest("\(other.host)/mirror/app:1") == built)
        #expect(try skopeo("inspect", "oci:\(path("layout")):v1").contains(built))
        // Docker's archive has other words for the same layers.
        _ = try skopeo("inspect", "docker-archive:\(path("docker.tar"))")
        #expect(try result("copy", "docker-archive:\(path("docker.tar"))", "store:loaded:1").hasPrefix("sha256:"))
        try result("copy", "store:loaded:1", "\(other.host)/loaded:1")
        #expect(
            try JSON(parsing: skopeo("inspect", "--tls-verify=false", "docker://\(other.host)/loaded:1"))["Env"]
                .strings?
                .contains("A=1") ?? false
        )
    }

    @Test func anArchiveOfSkopeosIsReadLayerByLayer() async throws {
        let registry = try await TestRegistry()
        try result("build", "-t", "\(registry.host)/app:1", "--push", place.context.path)
        let archive = place.root.appending(path: "saved.tar").path
        _ = try skopeo(
            "copy",
            "--src-tls-verify=false",
            "docker://\(registry.host)/app:1",
            "docker-archive:\(archive):saved:1"
        )

        try result("copy", "docker-archive:\(archive):saved:1", "store:saved:1")

        let other = try coracle(["copy", "docker-archive:\(archive):savd:1", "store:x"])
        #expect(other.status == 2 && other.errors.contains("no image is called savd:1"), "\(other.errors)")
        #expect(other.errors.contains("saved:1"))
        let files = try place.files(["--build-context", "base=docker-image://saved:1", "--offline"])
        #expect(files.map(\.name).contains("a.txt"))
    }

    @Test func allPlatformsAreCopiedWhereAllAreWanted() async throws {
        let registry = try await TestRegistry()
        let name = "\(registry.host)/multi:1"
        let built = try result(
            "build",
            "--platform",
            "linux/amd64,linux/arm64",
            "-t",
            name,
            "--push",
            place.context.path
        )

        try result("copy", "--all-platforms", name, "\(registry.host)/all:1")
        let one = try result("copy", "--platform", "linux/arm64", name, "\(registry.host)/one:1")
        try result("pull", "--all-platforms", name, store: "other")

        #expect(try result("registry", "manifest", "\(registry.host)/all:1").contains("\"arm64\""))
        #expect(!one.hasSuffix(built))
        #expect(try result("inspect", "docker://\(registry.host)/one:1").contains("linux/arm64"))
        #expect(
            try result("images", store: "other").contains("linux/amd64, linux/arm64")
                || result("images", store: "other").contains("arm64")
        )
        let wrong = try coracle(["pull", "--platform", "linux/s390x", name])
        #expect(
            wrong.status == 4
                && wrong.errors.contains("is not made for linux/s390x; it is for linux/amd64, linux/arm64")
        )
    }

    @Test func aBuildStartsFromImagesOfRegistriesAndPinsAreHeld() async throws {
        let registry = try await TestRegistry()
        let base = try result("build", "-t", "\(registry.host)/base:1", "--push", place.context.path)
        try place.write(
            "Dockerfile",
            """
            FROM \(registry.host)/base:1@\(base) AS first
            FROM \(registry.host)/base@\(base)
            COPY --from=first /a.txt /first.txt
            COPY --from=\(registry.host)/base:1 /a.txt /second.txt
            COPY --from=named /a.txt /third.txt
            """
        )
        let arguments = [
            "--build-context", "named=docker-image://\(registry.host)/base:1", "-t", "\(registry.host)/app:1",
        ]

        let built = try coracle(["build", "--push"] + arguments + [place.context.path], store: "fresh")

        #expect(built.status == 0, "\(built.errors)")
        #expect(built.errors.contains("mounted from base"), "the base's layer is not sent again: \(built.errors)")
        let plan = try coracle(
            ["plan", "--resolve", "--build-context", arguments[1], place.context.path],
            store: "plan"
        )
        #expect(plan.status == 0, "\(plan.errors)")
        let offline = try coracle(["build", "--offline"] + arguments + [place.context.path], store: "fresh")
        #expect(offline.status == 0 && offline.output == built.output, "\(offline.errors)")

        let wrong = "sha256:" + String(repeating: "0", count: 64)
        try place.write("Dockerfile", "FROM \(registry.host)/base:1@\(wrong)\n")
        let pinned = try coracle(["build", place.context.path], store: "fresh")
        #expect(pinned.status == 4 && pinned.errors.contains(wrong), "\(pinned.errors)")
    }

    @Test func pullLooksAgainAndTheStoreIsTakenOtherwise() async throws {
        let registry = try await TestRegistry()
        let base = "\(registry.host)/base:1"
        try result("build", "-t", base, "--push", place.context.path)
        let dockerfile = try place.write("On.Dockerfile", "FROM \(base)\n").path
        let first = try result("build", "-f", dockerfile, place.context.path, store: "fresh")
        try place.write("a.txt", "two\n")
        try result("build", "-t", base, "--push", place.context.path)

        #expect(try result("build", "-f", dockerfile, place.context.path, store: "fresh") == first)
        #expect(try result("build", "-f", dockerfile, "--pull", place.context.path, store: "fresh") != first)
    }

    @Test func aNameInARegistryIsGivenWithoutPulling() async throws {
        let registry = try await TestRegistry()
        let built = try result("build", "-t", "\(registry.host)/app:1", "--push", place.context.path)

        #expect(
            try result("tag", "\(registry.host)/app:1", "\(registry.host)/app:stable", store: "empty")
                == "\(registry.host)/app:stable"
        )
        try result("tag", "--remote", "\(registry.host)/app:1", "\(registry.host)/moved/app:1")

        #expect(try digest("\(registry.host)/app:stable") == built)
        #expect(try digest("\(registry.host)/moved/app:1") == built)
        #expect(!FileManager.default.fileExists(atPath: place.root.appending(path: "empty").path))
        try result("registry", "rm", "--image", "\(registry.host)/moved/app:1")
        let gone = try coracle(["pull", "\(registry.host)/moved/app:1"])
        #expect(gone.status == 4 && gone.output == "", "\(gone.errors)")
    }

    @Test func oneImageThatCannotBeRemovedHoldsOffNoOther() async throws {
        let registry = try await TestRegistry()
        for name in ["a", "d"] {
            try result("build", "-t", "\(registry.host)/\(name):1", "--push", place.context.path)
        }
        let names = ["a", "b", "c", "d"].map { "\(registry.host)/\($0):1" }

        let remove = try coracle(["registry", "rm", "--image"] + names)

        #expect(remove.status == 4, "\(remove.errors)")
        #expect(remove.output == "\(names[0])\n\(names[3])\n")
        #expect(
            remove.errors.contains("2 of 4") && remove.errors.contains(names[1]) && remove.errors.contains(names[2])
        )
    }

    // MARK: Credentials

    @Test(arguments: [TestRegistry.Kind.password, .token])
    func whoLogsInMayPushAndWhoLogsOutMayNot(kind: TestRegistry.Kind) async throws {
        let registry = try await TestRegistry(kind)
        let ca = ["--ca", try #require(registry.authority).path]
        let name = "\(registry.host)/app:1"
        try result("build", "-t", name, place.context.path)
        let login = ["login", "--username", TestRegistry.user, "--password-stdin"] + ca + [registry.host]

        let before = try coracle(["push", name] + ca)
        let wrong = try coracle(login, input: "wrong horse")
        let right = try coracle(login, input: TestRegistry.password + "\n")
        let push = try coracle(["push", name] + ca)
        let out = try coracle(["logout", registry.host])
        let after = try coracle(["push", name] + ca)
        let direct = try coracle(
            ["push", "-u", TestRegistry.user, "--password-stdin", name] + ca,
            input: TestRegistry.password
        )

        #expect(before.status == 3 && before.output == "", "\(before.errors)")
        #expect(wrong.status == 3, "\(wrong.errors)")
        #expect(right.status == 0 && right.errors.contains("unencrypted"), "\(right.errors)")
        #expect(push.status == 0, "\(push.errors)")
        #expect(out.status == 0 && out.output.contains("logged out of \(registry.host)"))
        #expect(after.status == 3, "\(after.errors)")
        #expect(direct.status == 0, "\(direct.errors)")
        let secrets = [TestRegistry.password, "wrong horse", Data("alice:correct horse".utf8).base64EncodedString()]
        for program in [before, wrong, right, push, out, after, direct] {
            for secret in secrets { #expect(!(program.output + program.errors).contains(secret)) }
        }
    }

    @Test func whoMayNotPushHearsItBeforeTheFirstStep() async throws {
        let registry = try await TestRegistry(.token)
        let ca = ["--ca", try #require(registry.authority).path]
        let program = try coracle(["build", "-t", "\(registry.host)/app:1", "--push"] + ca + [place.context.path])
        #expect(program.status == 3 && program.output == "", "\(program.errors)")
        #expect(!program.errors.contains("#1"), "\(program.errors)")
    }

    @Test func aServerThatFailsIsShownNoSecretsOf() async throws {
        let registry = try await TestRegistry(.password)
        let name = "\(registry.host)/app:1"
        try result("build", "-t", name, place.context.path)
        let user = ["-u", TestRegistry.user, "--password-stdin"]
        for (arguments, status) in [
            // Its certificate is not trusted.
            (["push", name], Int32(4)), (["login", registry.host], 4), (["pull", name], 4),
            // Nobody listens.
            (["login", "127.0.0.1:1"], 4), (["registry", "ls", "127.0.0.1:1"], 4),
        ] {
            let program = try coracle(
                [arguments[0]] + (arguments[0] == "registry" ? [arguments[1]] : []) + user
                    + arguments.dropFirst(arguments[0] == "registry" ? 2 : 1),
                input: TestRegistry.password
            )
            #expect(program.status == status, "\(arguments): \(program.errors)")
            #expect(!(program.output + program.errors).contains(TestRegistry.password))
            #expect(program.errors.contains("127.0.0.1"), "\(program.errors)")
        }
    }

    @Test func wrongUsageEndsWith2() throws {
        for arguments in [
            ["push"], ["push", "UPPER"], ["pull", "a:b:c"], ["copy", "a"], ["copy", "store:", "b"], ["login", "a/b"],
            ["build", "--push", place.context.path], ["registry", "rm", "localhost:1/a"],
            ["push", "x", "--username", "u"],
            ["build", "--pull", "--offline", place.context.path], ["copy", "--platform", "x/y/z/w", "a", "b"],
            ["tag", "docker://localhost:1/a", "localhost:2/a"], ["pull", "a", "--password-stdin"],
        ] {
            let program = try coracle(arguments)
            #expect(program.status == 2, "\(arguments): \(program.errors)")
            #expect(!program.errors.isEmpty && program.output == "")
        }
    }
}

extension TestRegistry {
    /// The requests that it answered so far, as its access log has them.
    fileprivate var requests: [String] {
        log.split(whereSeparator: \.isNewline).map(String.init).filter { $0.contains("HTTP/1.1\" ") }
    }
}
