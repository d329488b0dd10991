// SPDX-License-Identifier: Apache-2.0
public import DockerfileSyntax
public import OCI

/// What a plan depends on besides the Dockerfile.
public struct PlanOptions: Sendable {
    /// The stage wanted, by name or index; `nil` for the last.
    public var target: String?
    /// The values of `--build-arg`.
    public var buildArguments: [String: String] = [:]
    /// What the image will run on; `nil` to take it from the base, else from this machine.
    public var platform: Platform?
    /// What the build runs on.
    public var buildPlatform = Platform.host
    /// The names of contexts given on the command line.
    public var namedContexts: Set<String> = []
    /// Those of them that hold nothing, and so are what `scratch` is.
    public var emptyContexts: Set<String> = []
    /// The rules of `.dockerignore`, for the rule that looks for hidden files; `nil` where there is none.
    public var ignoreFile: IgnoreFile?
    /// Whether stages that the target does not need are evaluated too, as a check does.
    public var includesAllStages = false
    /// Seconds since 1970 that SOURCE_DATE_EPOCH turned out to be, where it names a context or a stage; `nil` while
    /// that is not known.
    public var resolvedEpoch: Int64?
    /// Labels added to the image.
    public var labels: [String: String] = [:]

    /// The last stage for this machine, without arguments.
    public init() {}

    /// What a context given on the command line is built on.
    func action(ofContext name: String, _ platform: Platform) -> BaseAction {
        BaseAction(origin: emptyContexts.contains(name) ? .scratch : .namedContext(name), platform: platform)
    }

    /// The context given on the command line that a name means: one of the same name, or of the same image.
    func context(named name: String) -> String? {
        if namedContexts.isEmpty { return nil }
        if namedContexts.contains(name) { return name }
        guard let reference = try? ImageReference(name) else { return nil }
        return namedContexts.sorted().first { (try? ImageReference($0)) == reference }
    }
}
