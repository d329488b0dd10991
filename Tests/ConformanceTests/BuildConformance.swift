// SPDX-License-Identifier: Apache-2.0
import Foundation
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
            ]
        }()

        @Test("Builds without RUN make the recorded images")
        func builds() throws {
            let scratch = try TemporaryFolder()
            let report = scratch.url.appending(path: "report.json")
            let cases = try #require(ConformanceData.folder)

            let run = try Program.run(
                [
                    try #require(BuildComparer.program).path, cases.appending(path: "given/2-builds").path,
                    "--no-ref", "--cache", cases.appending(path: "refs").path, "-j", "2", "--no-feature", "run",
                    "--work", scratch.url.appending(path: "work").path, "--json", report.path,
                    "--cand-cmd", command(bases: cases.appending(path: "bases").path, in: scratch.url.path),
                ],
                of: try #require(Program.named("python3"))
            )

            var counts = Counts("builds")
            var exceptions = Set(BuildConformance.exceptions.keys)
            for item in try #require(try? JSON(contentsOf: report), "\(run.errors)").array {
                let name = item["case"].string ?? ""
                if item["status"].string == "skip" || (item["status"].string == "FAIL" && exceptions.contains(name)) {
                    exceptions.remove(name)
                    counts.skip()
                } else {
                    counts.check(name) { item["status"].string == "pass" ? nil : item["reason"].string ?? "?" }
                }
            }
            counts.report()
            #expect(counts.failed == [])
            #expect(exceptions == [], "these pass, and are no exceptions any more")
        }

        /// What builds a case; the bases come by the names and tags that the cases use.
        private func command(bases: String, in scratch: String) -> String {
            let names = [
                "busybox": ["", ":stable-musl", ":1.31"],
                "alpine": ["", ":3.9"],
                "debian": [""],
            ]
            let contexts = names.sorted { $0.key < $1.key }
                .flatMap { name, tags in
                    tags.map { "--build-context '\(name)\($0)=oci-layout://\(bases)/\(name)'" }
                }
            return """
                '\(Program.coracle.path)' build --store '\(scratch)/store' {build_args} {labels} {target} {platform} \
                -f {dockerfile} \(contexts.joined(separator: " ")) --output type=oci,dest={out},tar=false {context}
                """
        }
    }
}
