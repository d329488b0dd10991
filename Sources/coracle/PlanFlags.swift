// SPDX-License-Identifier: Apache-2.0
internal import ArgumentParser
internal import CoracleKit
internal import Glibc

/// The flags of `docker build` that decide what is built.
struct PlanFlags: ParsableArguments {
    @Option(
        help:
            "The stage to build, by name; a number, which docker build does not know, counts from 0. The last by default."
    )
    var target: String?

    @Option(
        name: .customLong("build-arg"),
        help: "A build argument, NAME=value; NAME alone takes it from the environment."
    )
    var buildArguments: [String] = []

    @Option(help: "What the image runs on, for example linux/arm64.")
    var platform: String?

    @Option(
        name: .customLong("build-context"),
        help: "A further context, NAME=location, for FROM, COPY --from and mounts."
    )
    var buildContexts: [String] = []

    var settings: PlanSettings {
        var settings = PlanSettings()
        settings.target = target
        settings.buildArguments = buildArguments
        settings.platform = platform
        settings.buildContexts = buildContexts
        return settings
    }
}

/// The environment of the process, as it was at the start.
enum Environment {
    static let all: [String: String] = {
        var all: [String: String] = [:]
        var entry = environ
        while let pointer = entry.pointee {
            let text = String(cString: pointer)
            if let equals = text.firstIndex(of: "=") {
                all[String(text[..<equals])] = String(text[text.index(after: equals)...])
            }
            entry += 1
        }
        return all
    }()

    /// Has times of archives that say no zone taken in UTC: the same input makes the same image wherever it is.
    ///
    /// Called while the process has one thread.
    static func unifyTime() {
        // What is asked for `TZ` by name, as `--build-arg TZ`, is still told the caller's.
        _ = all
        setenv("TZ", "UTC0", 1)
    }
}
