// SPDX-License-Identifier: Apache-2.0
import BuildPlan
import DockerfileSyntax
import Foundation
import OCI
import TestSupport
import Testing

extension Conformance {
    /// Whether the image we plan is the image BuildKit plans.
    @Suite("Plans")
    struct PlanConformance {
        @Test("Whole files give BuildKit's image configuration and history", arguments: ["dockerfiles", "heredocs"])
        func files(file: String) async throws {
            var counts = Counts("\(file).json plans")
            for (index, item) in try ConformanceData.cases("1-buildkit/\(file).json").enumerated() {
                let fault = try await PlanConformance.fault(
                    in: item["expected"],
                    Array((item["dockerfile"].string ?? "").utf8)
                )
                counts.check("\(file)[\(index)] \(item["from"].string ?? "")") { fault }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        @Test("Real Dockerfiles give BuildKit's image configuration and history")
        func realWorld() async throws {
            var counts = Counts("3-realworld plans")
            for (name, bytes, expected) in try ConformanceData.realWorld() {
                let fault = try await PlanConformance.fault(in: expected, bytes)
                counts.check(name) { fault }
            }
            counts.report()
            #expect(counts.failed == [])
        }

        /// The base that every recorded plan has: a PATH and a command.
        struct StubBases: BaseImageResolver {
            func resolve(_ request: BaseImageRequest) async -> BaseImage? {
                var config = ImageConfig(platform: Platform(os: "linux", architecture: "amd64"))
                config.environment = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
                config.command = ["/bin/sh"]
                config.history = [ImageConfig.History(createdBy: "stub base", comment: "", isEmptyLayer: false)]
                return BaseImage(reference: nil, config: config)
            }
        }

        static func options() -> PlanOptions {
            var options = PlanOptions()
            options.platform = Platform(os: "linux", architecture: "amd64")
            options.buildPlatform = Platform(os: "linux", architecture: "amd64")
            return options
        }

        /// The first difference between a recorded plan and ours.
        static func fault(in expected: JSON, _ bytes: [UInt8]) async throws -> String? {
            let source = SourceText(bytes, name: "Dockerfile")
            let (dockerfile, faults) = Dockerfile.parse(source)
            var errors = faults.filter { $0.severity == .error }
            var plan: Plan?
            if errors.isEmpty {
                let result = try await Plan.make(dockerfile, options: options(), resolver: StubBases())
                plan = result.plan
                errors = result.diagnostics.filter { $0.severity == .error }
            }
            let recorded = expected["plan"]
            if let message = recorded["error"].string {
                return errors.isEmpty ? "planned without a fault; BuildKit says: \(message)" : nil
            }
            guard let plan else {
                let first = errors.first
                return "line \(source.line(at: first?.range.start ?? 0)): \(first?.message ?? "no plan")"
            }
            let config = recorded["image"]["config"]
            if let difference = SyntaxConformance.difference(config, view(plan.image)) { return difference }
            let history = recorded["image"]["history"].array
                .map {
                    "\($0["empty_layer"].bool == true ? "-" : "+") \($0["created_by"].string ?? "")"
                }
            let ours = plan.image.history.map { "\($0.isEmptyLayer ? "-" : "+") \($0.createdBy)" }
            if let index = (0..<max(history.count, ours.count))
                .first(where: {
                    $0 >= history.count || $0 >= ours.count || history[$0] != ours[$0]
                })
            {
                return
                    "history[\(index)]: ours \(index < ours.count ? ours[index] : "none") theirs \(index < history.count ? history[index] : "none")"
            }
            return nil
        }

        private static func view(_ image: ImageConfig) -> [String: Any] {
            var view: [String: Any] = [
                "User": image.user, "Env": image.environment, "WorkingDir": image.workingDirectory,
                "ExposedPorts": set(image.exposedPorts), "Volumes": set(image.volumes), "Labels": image.labels,
                "StopSignal": image.stopSignal, "Shell": image.shell, "OnBuild": image.onBuild,
                "ArgsEscaped": image.isArgsEscaped,
            ]
            view["Entrypoint"] = image.entrypoint
            view["Cmd"] = image.command
            if let check = image.healthcheck {
                view["Healthcheck"] = [
                    "Test": check.test, "Interval": Int(check.interval), "Timeout": Int(check.timeout),
                    "StartPeriod": Int(check.startPeriod), "StartInterval": Int(check.startInterval),
                    "Retries": check.retries,
                ]
            }
            return view
        }

        /// Go's sets are objects with empty objects in them, which ``Plain`` leaves out.
        private static func set(_ names: Set<String>) -> [String: Any] {
            Dictionary(uniqueKeysWithValues: names.map { ($0, ["": ""]) })
        }
    }
}
