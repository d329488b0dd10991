// SPDX-License-Identifier: Apache-2.0
import Foundation
import TestSupport
import Testing

/// What goes wrong while something is deployed, and what becomes of what ran before.
@Suite("Trouble while deploying", .serialized, .waiting, .enabled(if: Containers.canRun))
struct DeployTroubleTests {
    private static let start =
        ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "web"] + ShellBase.flags
    private static let noRoom =
        #"{"fault": "failedOperation", "code": "ServiceUnavailable", "message": "No room.", "method": "PUT"}"#

    /// Nobody may ask how far an operation is, the first times that somebody does.
    private static func unfollowable(times: Int = 1) -> String {
        """
        {"fault": "status", "status": 403, "code": "AuthorizationFailed", "method": "GET", "path": "/operations/",
        "times": \(times)}
        """
    }

    @Test("An operation that cannot be followed is no failure: the group itself says what came of it")
    func unfollowed() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            try await place.fail(Self.unfollowable())
            let run = try await place.coracle(Self.start)

            #expect(run.status == 0, "\(run.errors)")
            #expect(run.errors.contains("the operation cannot be followed: "), "\(run.errors)")
            #expect(await place.page(run.output) == "page")
        }
    }

    @Test("A new image that does not work is rolled back, though its operation cannot be followed")
    func rolledBack() async throws {
        try await AzurePlace.run { place in
            try place.site("good")
            let first = try await place.coracle(Self.start)
            try #require(first.status == 0, "\(first.errors)")

            try place.site("bad", command: #"["sh", "-c", "echo no database; exit 3"]"#)
            try await place.fail(Self.unfollowable())
            let second = try await place.coracle(Self.start)

            #expect(second.status == 5)
            #expect(second.errors.contains("web ended with exit code 3"), "\(second.errors)")
            #expect(second.errors.contains("runs again"), "\(second.errors)")
            #expect(await place.page(first.output) == "good")
        }
    }

    @Test("The last words of a container are told, though it runs again and says nothing yet when it is asked")
    func lastWords() async throws {
        try await AzurePlace.run { place in
            // The log is asked for when the next run has begun.
            let script = "test -e /kept/ran && sleep 4; touch /kept/ran; echo no database; exit 3"
            try place.site("bad", command: #"["sh", "-c", "\#(script)"]"#)
            try await place.fail(#"{"fault": "throttled", "retryAfter": 1, "path": "/logs"}"#)
            let run = try await place.coracle(Self.start + ["--volume", "type=emptyDir,name=scratch,target=/kept"])

            #expect(run.status == 5)
            #expect(run.errors.contains("web ended with exit code 3"), "\(run.errors)")
            #expect(run.errors.contains("no database"), "\(run.errors)")
        }
    }

    @Test("A container that ends in silence is not waited for")
    func silence() async throws {
        try await AzurePlace.run { place in
            try place.site("bad", command: #"["sh", "-c", "exit 3"]"#)
            let run = try await place.coracle(Self.start + ["--restart-policy", "Never"])

            #expect(run.status == 5)
            #expect(run.errors.contains("web ended with exit code 3"), "\(run.errors)")
            let asked = place.log.components(separatedBy: "/logs").count - 1
            #expect(asked == 1, "\(place.log)")
        }
    }

    @Test("An operation that was accepted and fails is rolled back, with Azure's code and correlation id")
    func failedOperation() async throws {
        try await AzurePlace.run { place in
            try place.site("good")
            let first = try await place.coracle(Self.start)
            try #require(first.status == 0, "\(first.errors)")

            try place.site("next")
            try await place.fail(Self.noRoom)
            let second = try await place.coracle(Self.start)

            #expect(second.status == 5)
            #expect(second.errors.contains("No room. (ServiceUnavailable) (correlation id "), "\(second.errors)")
            #expect(second.errors.contains("--location, another region"), "\(second.errors)")
            #expect(second.errors.contains("runs again"), "\(second.errors)")
            #expect(await place.page(first.output) == "good")
        }
    }

    private static let loop = "trap 'exit 3' TERM; while :; do sleep 0.1; done"

    /// Deploys two services, and again after a fault was planned: the first ends at once when it is asked to, and is seen so
    /// until the second has ended as well.
    private func update(_ place: AzurePlace, command: String = loop, faults: String...) async throws -> Program {
        let compose = """
            name: shop
            services:
              web:
                build: site
                environment: {PAGE: "1"}
                command: ["sh", "-c", "\(Self.loop)"]
                tmpfs: /kept
              slow:
                build: site
                command: ["sh", "-c", "trap 'sleep 4; exit' TERM; while :; do sleep 0.1; done"]
            """
        try place.site("page")
        try place.write("compose.yaml", compose)
        let up = ["up", "-g", "demo", "--registry", "testacr"] + ShellBase.flags
        let first = try await place.coracle(up)
        try #require(first.status == 0, "\(first.errors)")

        try place.write("compose.yaml", compose.replacing("\"1\"", with: "\"2\"").replacing(Self.loop, with: command))
        for fault in faults { try await place.fail(fault) }
        let second = try await place.coracle(up)
        try #require(second.errors.contains("web is terminated"), "\(second.errors)")
        return second
    }

    @Test("What an update itself ended is no cause of what goes wrong later")
    func endedByUpdate() async throws {
        try await AzurePlace.run { place in
            let run = try await update(place, faults: Self.noRoom)

            #expect(run.status == 5)
            #expect(run.errors.contains("No room. (ServiceUnavailable) (correlation id "), "\(run.errors)")
        }
    }

    @Test("What an update ends, while nobody says how far it is, is no reason to go back")
    func endedUnseen() async throws {
        try await AzurePlace.run { place in
            let run = try await update(place, faults: Self.unfollowable())

            #expect(run.status == 0, "\(run.errors)")
            #expect(run.errors.contains("the operation cannot be followed: "), "\(run.errors)")
        }
    }

    @Test("What crashed again and again is gone back from, though nobody says how far that is")
    func rolledBackUnseen() async throws {
        try await AzurePlace.run { place in
            let run = try await update(
                place,
                // While its log is asked for it runs again, and how that ends is seen until the other one has ended.
                command: "test -e /kept/ran && { echo up; \(Self.loop); }; touch /kept/ran; exit 3",
                faults: Self.unfollowable(times: 1000),
                #"{"fault": "throttled", "retryAfter": 1, "path": "/logs"}"#
            )

            #expect(run.status == 5)
            #expect(run.errors.contains("web ended with exit code 3"), "\(run.errors)")
            #expect(run.errors.contains("runs again"), "\(run.errors)")
        }
    }

    @Test("A group that was deleted to be made anew, and is refused, comes back as it was")
    func recreate() async throws {
        try await AzurePlace.run { place in
            try place.site("good")
            let first = try await place.coracle(Self.start)
            try #require(first.status == 0, "\(first.errors)")

            try await place.fail(#"{"fault": "noCapacity", "method": "PUT"}"#)
            let second = try await place.coracle(Self.start + ["--cpu", "2", "--recreate"])

            #expect(second.status == 5)
            #expect(second.errors.contains("(ServiceUnavailable)"), "\(second.errors)")
            #expect(second.errors.contains("runs again"), "\(second.errors)")
            let list = try await place.coracle(["ps", "-g", "demo", "--format", "json"])
            let url = try JSON(parsing: list.output)["deployments"].array.first?["url"].string ?? ""
            #expect(await place.page(url) == "good")
        }
    }

    @Test("A group that cannot be looked at for a while is waited for")
    func unseen() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            try await place.fail(
                """
                {"fault": "status", "status": 403, "code": "AuthorizationFailed", "method": "GET", "times": 3, "skipped": 4,
                "path": "containerGroups/web?"}
                """
            )
            let run = try await place.coracle(Self.start)

            #expect(run.status == 0, "\(run.errors)")
            #expect(await place.page(run.output) == "page")
        }
    }

    @Test("A storm of 429 at every service is sat out")
    func storm() async throws {
        try await AzurePlace.run { place in
            try place.site("page")
            for path in [
                "oauth2/v2.0/token", "oauth2/exchange", "oauth2/token", "usages", "containerGroups", "/operations/",
            ] {
                try await place.fail(#"{"fault": "throttled", "retryAfter": 0, "times": 4, "path": "\#(path)"}"#)
            }
            let run = try await place.coracle(Self.start)

            #expect(run.status == 0, "\(run.errors)")
            #expect(await place.page(run.output) == "page")
            #expect(place.log.components(separatedBy: " 429").count > 20, "each storm was there")
        }
    }

    @Test("Tokens that end while deploy pushes are renewed")
    func expiry() async throws {
        try await AzurePlace.run(["--token-lifetime", "2", "--registry-token-lifetime", "1"]) { place in
            try place.site("page")
            let copies = (0..<6).map { "COPY f\($0) /f\($0)\n" }.joined()
            for index in 0..<6 { try place.write("site/f\(index)", String(repeating: "\(index)", count: 300_000)) }
            try place.write(
                "site/Dockerfile",
                "FROM busybox\n\(copies)COPY index.html /srv/\nEXPOSE 8080\nCMD [\"httpd\", \"-f\", \"-p\", \"8080\", \"-h\", \"/srv\"]\n"
            )
            let run = try await place.coracle(Self.start)

            #expect(run.status == 0, "\(run.errors)")
            #expect(await place.page(run.output) == "page")
            let tokens = place.log.components(separatedBy: "/oauth2/v2.0/token 200").count - 1
            #expect(tokens > 2, "the directory was asked anew: \(tokens)")
        }
    }

    @Test("Quota, region and DNS label are refused before anything is built")
    func preflight() async throws {
        try await AzurePlace.run(["--group-quota", "2", "--core-quota", "3"]) { place in
            try place.site("page")
            func refused(_ more: [String], name: String = "web", status: Int32 = 5) async throws -> Program {
                let words = ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", name]
                let run = try await place.coracle(words + more + ShellBase.flags)
                #expect(run.status == status, "\(run.errors)")
                #expect(run.errors.contains("nothing was changed: "), "\(run.errors)")
                #expect(!run.errors.contains("COPY"), "nothing was built: \(run.errors)")
                return run
            }
            let region = try await refused(["--location", "marsnorth"])
            #expect(region.errors.contains("Container Instances is not in the region marsnorth"), "\(region.errors)")
            #expect(region.errors.contains("westeurope"))
            let cores = try await refused(["--cpu", "4"])
            #expect(cores.errors.contains("StandardCores 0 of 3 are used, and 4 more needed"), "\(cores.errors)")
            #expect(cores.errors.contains("az container list-usage --location westeurope"))
            let much = try await refused(["--memory", "300"], status: 2)
            #expect(much.errors.contains("240"), "\(much.errors)")

            let first = try await place.coracle(Self.start + ["--dns-label", "my-own-site"])
            try #require(first.status == 0, "\(first.errors)")
            let label = try await refused(["--dns-label", "my-own-site"], name: "other")
            #expect(
                label.errors.contains("the DNS label my-own-site is taken in westeurope, by web"),
                "\(label.errors)"
            )
            #expect(label.errors.contains("--dns-label, another one"))
            let second = try await place.coracle(
                ["deploy", "aci", "./site", "--registry", "testacr", "-g", "demo", "-n", "second"] + ShellBase.flags
            )
            try #require(second.status == 0, "\(second.errors)")
            let groups = try await refused([], name: "third")
            #expect(groups.errors.contains("ContainerGroups 2 of 2 are used, and 1 more needed"), "\(groups.errors)")
        }
    }

    @Test("What a program writes of its secrets is shown to nobody")
    func leak() async throws {
        try await AzurePlace.run { place in
            try place.site("page", command: #"["sh", "-c", "echo key is $KEY; exit 3"]"#)
            let run = try await place.coracle(Self.start + ["--secure-env", "KEY"])

            #expect(run.status == 5)
            #expect(run.errors.contains("key is •••"), "\(run.errors)")
        }
    }
}
