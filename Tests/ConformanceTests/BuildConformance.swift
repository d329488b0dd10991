// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// What builds each case and compares.
private enum BuildComparer {
    /// The script; `nil` where it cannot run, which is said aloud.
    static let program: URL? = {
        let tool = Program.named("python3") == nil ? nil : ConformanceData.tool("diffbuild.py")
        if tool == nil { print("CONFORMANCE SKIPPED: builds: no diffbuild.py beside the project, or no python3") }
        return tool
    }()
}

extension Conformance {
    /// Whether the images that `coracle build` makes are those that BuildKit was recorded to make.
    @Suite(
        "Builds",
        .enabled(if: BuildComparer.program != nil, "no ../shared/conformance/tools/diffbuild.py, or no python3")
    )
    struct BuildConformance {
        /// Cases in which we differ from the record, and why that is right.
        static let exceptions: [String: String] = {
            let other = "recorded with another Dockerfile in the context than the case has, and it is copied"
            return [
                "buildah/072_add--exclude-includes-slash": other,
                "buildah/093_dockerignore-exclude-plain-dot": other,
                "buildah/101_dockerignore-exclude-deep-subdir-dot": other,
                "buildah/105_dockerignore-exclude-kind-of-deep-subdir-dot": other,
                "buildah/107_dockerignore-exclude-deep-subdir-dot": other,
                "buildkit/DockerfileCheckHostname.0":
                    "recorded with a flag of the front end that the tool does not pass",
                "buildkit/ShmSize.0": "recorded with --shm-size, which the tool does not pass",
            ]
        }()

        /// Files in which a step writes the day on which it runs, which is no longer that of the record.
        static let dated: [String: Set<String>] = [
            "kaniko/Dockerfile_test_user_home": ["fs /etc/shadow", "fs /etc/shadow-"]
        ]

        @Test("Builds make the recorded images")
        func builds() throws {
            try compare("builds", cases: try #require(ConformanceData.folder), in: TemporaryFolder())
        }

        /// An ordinary user with a range in /etc/subuid, to build as; only root may ask for that.
        static let user = ProcessInfo.processInfo.environment["CORACLE_TEST_USER"]

        @Test(
            "Builds of an ordinary user make the recorded images",
            .enabled(if: user != nil && geteuid() == 0, "not root, or CORACLE_TEST_USER names no ordinary user")
        )
        func userBuilds() throws {
            let user = try #require(BuildConformance.user)
            let scratch = try TemporaryFolder()
            let cases = scratch.url.appending(path: "cases")
            // What root unpacked is for root alone in places.
            for command in [
                ["cp", "-a", try #require(ConformanceData.folder).path, cases.path],
                ["chown", "-R", user, scratch.url.path],
            ] {
                let result = try Program.run(Array(command.dropFirst()), of: try #require(Program.named(command[0])))
                try #require(result.status == 0, "\(result.errors)")
            }
            try compare("builds as \(user)", cases: cases, in: scratch, as: user)
        }

        private func compare(_ name: String, cases: URL, in scratch: TemporaryFolder, as user: String? = nil) throws {
            let report = scratch.url.appending(path: "report.json")
            let tool = [
                try #require(Program.named("python3")).path, try #require(BuildComparer.program).path,
                cases.appending(path: "given/2-builds").path,
                "--no-ref", "--cache", cases.appending(path: "refs").path, "-j", "2",
                "--work", scratch.url.appending(path: "work").path, "--json", report.path, "--timeout", "900",
                "--cand-cmd", command(bases: cases.appending(path: "bases").path, in: scratch.url.path),
            ]
            let wrapper = user.map {
                ["/usr/bin/setpriv", "--reuid", $0, "--regid", $0, "--clear-groups", "--inh-caps=-all"]
            }
            let command = (wrapper ?? []) + tool
            let run = try Program.run(
                Array(command.dropFirst()),
                of: URL(filePath: command[0]),
                environment: user == nil ? [:] : ["HOME": scratch.url.path]
            )

            var counts = Counts(name)
            var exceptions = Set(BuildConformance.exceptions.keys)
            for item in try #require(try? JSON(contentsOf: report), "\(run.errors)").array {
                let name = item["case"].string ?? ""
                if item["status"].string == "FAIL" && exceptions.contains(name) {
                    exceptions.remove(name)
                    counts.skip()
                } else {
                    counts.check(name) {
                        item["status"].string == "pass" || isOfAnotherDay(item) ? nil : item["reason"].string ?? "?"
                    }
                }
            }
            counts.report()
            #expect(counts.failed == [])
            #expect(exceptions == [], "these pass, and are no exceptions any more")
        }

        /// Whether nothing differs but files in which the day is written.
        private func isOfAnotherDay(_ item: JSON) -> Bool {
            let files = BuildConformance.dated[item["case"].string ?? ""] ?? []
            let differing = item["diffs"].array.map { String(($0.string ?? "").prefix { $0 != ":" }) }
            return !differing.isEmpty && files.isSuperset(of: differing)
        }

        /// What builds a case; the bases come by the names and tags that the cases use.
        private func command(bases: String, in scratch: String) -> String {
            let names = [
                "busybox": ["", ":stable-musl", ":1.31"],
                "alpine": ["", ":3.9"],
                "debian": ["", ":9.11"],
            ]
            let contexts = names.sorted { $0.key < $1.key }
                .flatMap { name, tags in
                    tags.map { "--build-context '\(name)\($0)=oci-layout://\(bases)/\(name)'" }
                }
            return """
                '\(Program.coracle.path)' build --store '\(scratch)/store' \
                --offline --allow security.insecure,network.host {build_args} {labels} {target} {platform} \
                -f {dockerfile} \(contexts.joined(separator: " ")) --output type=oci,dest={out},tar=false {context}
                """
        }
    }
}
