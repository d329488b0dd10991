// SPDX-License-Identifier: Apache-2.0
public import BuildPlan
internal import DockerfileSyntax
internal import OCI

/// The flags that `check` and `plan` share, as they were typed.
public struct PlanSettings: Sendable {
    /// `--target`: the name of a stage or, beyond what `docker build` knows, its number; empty for the last.
    public var target: String?
    /// `--build-arg`: `NAME=value`, or `NAME` for the value of the environment variable.
    public var buildArguments: [String] = []
    /// `--platform`.
    public var platform: String?
    /// `--build-context`: `NAME=location`.
    public var buildContexts: [String] = []

    /// No flags.
    public init() {}

    /// Checks the flags.
    ///
    /// - Parameter environment: The environment of the process.
    /// - Returns: What a plan takes.
    /// - Throws: ``ExitReason`` for a malformed flag.
    public func options(environment: [String: String]) throws(ExitReason) -> PlanOptions {
        var options = PlanOptions()
        // Scripts pass an empty name on; it means none.
        options.target = target.flatMap { $0.isEmpty ? nil : $0 }
        for argument in buildArguments {
            let (name, value) = PlanSettings.split(argument)
            if name.isEmpty { throw ExitReason(.usage, "--build-arg \"\(argument)\" has no name: NAME=value") }
            // Without a value the variable is passed on, and left out where it is not set.
            if let value = value ?? environment[name] { options.buildArguments[name] = value }
        }
        for context in buildContexts {
            let (name, value) = PlanSettings.split(context)
            guard !name.isEmpty, let value, !value.isEmpty else {
                throw ExitReason(.usage, "--build-context \"\(context)\" is not NAME=LOCATION")
            }
            if case .nothing = try ContextLocation(value, of: name) { options.emptyContexts.insert(name) }
            options.namedContexts.insert(name)
        }
        if let platform { options.platform = try PlanSettings.platform(platform) }
        return options
    }

    /// What `DOCKER_DEFAULT_PLATFORM` says, which holds where no flag does.
    static func defaultPlatforms(_ environment: [String: String]) -> [String] {
        (environment["DOCKER_DEFAULT_PLATFORM"] ?? "").split(separator: ",").map(String.init)
    }

    /// Reads a value of `--platform`.
    static func platform(_ text: String) throws(ExitReason) -> Platform {
        do {
            return try Platform(text)
        } catch {
            throw ExitReason(.usage, "--platform \(error.message)")
        }
    }

    static func split(_ text: String) -> (String, String?) {
        guard let equals = text.firstIndex(of: "=") else { return (text, nil) }
        return (String(text[..<equals]), String(text[text.index(after: equals)...]))
    }
}
